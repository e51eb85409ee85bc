//! How long a weight file takes to load, and how much memory: `load FILE`.

use std::{
    io::{Write, stdout},
    path::PathBuf,
    time::Instant,
};

use anyhow::{Context, Result};
use burnsight::zoo::{self, Card};
use burnsight_benches::{devices, memory, peak_memory, settle};

fn main() -> Result<()> {
    let path: PathBuf = std::env::args_os().nth(1).context("name a .safetensors or .pth file")?.into();
    let size = path.metadata().with_context(|| path.display().to_string())?.len() as f64;
    let (backend, device) = devices().into_iter().next().context("no backend is compiled in")?;
    let start = Instant::now();
    let model = zoo::load_file(&path, &Card::default(), &device)?;
    settle(&device);
    let seconds = start.elapsed().as_secs_f64();
    let unknown = "no /proc/self/status: this figure is taken on Linux only";
    let (after, peak) = (memory().context(unknown)? as f64, peak_memory().context(unknown)? as f64);
    let mut out = stdout();
    writeln!(out, "{backend}, {}, {} classes, SHA-256 {}", model.name, model.labels.len(), model.sha256)?;
    writeln!(out, "on disk {:.1} MB, loaded in {seconds:.2} s", size / 1e6)?;
    writeln!(out, "process {:.1} MB, peak {:.1} MB: {:.2} × the size on disk", after / 1e6, peak / 1e6, peak / size)?;
    Ok(())
}
