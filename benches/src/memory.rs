//! The process's memory, as Linux counts it.

/// Bytes of physical memory that the process has now (`VmRSS`), or `None` where there is no `/proc`.
pub fn memory() -> Option<usize> {
    field("VmRSS:")
}

/// The most it has had (`VmHWM`) since it started or since [`forget_peak_memory`].
pub fn peak_memory() -> Option<usize> {
    field("VmHWM:")
}

/// Starts [`peak_memory`] anew from what the process has now. Returns whether the system allows it.
pub fn forget_peak_memory() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

fn field(name: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_large_allocation_is_seen_and_remembered() {
        // Other tests come and go in this process, with less than this.
        let (size, most_of_it) = (512 << 20, 256 << 20);
        let before = memory().unwrap();
        let large = std::hint::black_box(vec![1u8; size]);
        assert!(memory().unwrap() > before + most_of_it);
        drop(large);
        assert!(peak_memory().unwrap() > before + most_of_it);
    }
}
