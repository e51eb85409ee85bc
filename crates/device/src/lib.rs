#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::{Arc, Mutex},
};

use burn::tensor::{Device, Tensor};
use burnsight_core::{Error, Result, read};

/// A kind of device that Burn can compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backend {
    /// Its name in `--device`, and the Cargo feature that compiles it in.
    pub name: &'static str,
    /// What it computes on, and when to choose it.
    pub description: &'static str,
    /// Whether this build has it.
    pub compiled: bool,
}

/// Every backend, compiled in or not, the default first.
pub const BACKENDS: [Backend; 7] = [
    Backend {
        name: "flex",
        description: "CPU, vectorised and multi-threaded; the default",
        compiled: cfg!(feature = "flex"),
    },
    Backend {
        name: "ndarray",
        description: "CPU, deprecated in Burn; very slow convolution gradients",
        compiled: cfg!(feature = "ndarray"),
    },
    Backend {
        name: "wgpu",
        description: "any GPU, by the system's own graphics interface",
        compiled: cfg!(feature = "wgpu"),
    },
    Backend { name: "vulkan", description: "any GPU, by Vulkan", compiled: cfg!(feature = "vulkan") },
    Backend { name: "metal", description: "Apple GPUs, by Metal", compiled: cfg!(feature = "metal") },
    Backend { name: "cuda", description: "NVIDIA GPUs, by CUDA", compiled: cfg!(feature = "cuda") },
    Backend { name: "cpu", description: "CPU, kernels compiled at run time", compiled: cfg!(feature = "cpu") },
];

/// A backend and which of its devices, as in `cuda:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    backend: Backend,
    index: Option<usize>,
}

impl Name {
    fn parse(text: &str) -> Result<Self> {
        let (backend, index) = match text.split_once(':') {
            Some((backend, index)) => (backend, Some(index)),
            None => (text, None),
        };
        let Some(backend) = BACKENDS.into_iter().find(|known| known.name == backend) else {
            let names: Vec<&str> = BACKENDS.iter().map(|backend| backend.name).collect();
            let requirement =
                format!("known devices are {}, those with several take an index as in wgpu:1", names.join(", "));
            return Err(Error::parameter("device", text, &requirement));
        };
        let number = |index: &str| {
            index
                .parse()
                .map_err(|_| Error::parameter("device", text, "behind the colon stands a number, as in wgpu:1"))
        };
        Ok(Self { backend, index: index.map(number).transpose()? })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}:{index}", self.backend.name),
            None => write!(f, "{}", self.backend.name),
        }
    }
}

/// Opens a device by name: `flex`, `ndarray`, `cpu`, `wgpu`, `vulkan`, `metal`, `cuda`, or one of several as in `wgpu:1`.
///
/// The device is tried with one small computation, so that a driver that is missing or broken is an error here and not
/// a panic in the middle of the work.
///
/// # Errors
/// [`Error::Parameter`] for a name that is unknown, not compiled in (the message names the feature) or an index beyond
/// the devices there are; [`Error::Backend`] when the device does not work.
pub fn open(name: &str) -> Result<Device> {
    let name = Name::parse(name)?;
    if !name.backend.compiled {
        let requirement = format!(
            "this build does not have it: build with `--features {}` (see `burnsight devices`)",
            name.backend.name
        );
        return Err(Error::parameter("device", name, &requirement));
    }
    let devices = list(name.backend)?;
    let index = name.index.unwrap_or(0);
    let Some(device) = devices.get(index).cloned() else {
        let requirement = match devices.len() {
            0 => format!("no {} device was found on this machine: is its driver installed?", name.backend.name),
            1 => format!("there is one {0} device, {0}:0", name.backend.name),
            count => format!("there are {count} {0} devices, {0}:0 to {0}:{1}", name.backend.name, count - 1),
        };
        return Err(Error::parameter("device", name, &requirement));
    };
    match guarded(|| read(Tensor::<1>::ones([4], &device) * 2.0)).flatten() {
        Ok(values) if values == [2.0; 4] => Ok(device),
        Ok(values) => Err(Error::Backend(format!("device {name} does not work: 1 × 2 gave {values:?} on it"))),
        Err(error) => Err(Error::Backend(format!("device {name} does not work: {error}"))),
    }
}

/// The devices of a backend on this machine, in the order of their index. Empty when it is not compiled in.
///
/// # Errors
/// [`Error::Backend`] when the backend cannot even look for devices, e.g. because its driver library is missing.
pub fn list(backend: Backend) -> Result<Vec<Device>> {
    guarded(|| enumerate(backend.name)).map_err(|error| {
        Error::Backend(format!("{} devices cannot be listed, is the driver installed? {error}", backend.name))
    })
}

fn enumerate(backend: &str) -> Vec<Device> {
    #[allow(unused_imports, reason = "no backend may be compiled in")]
    use burn::tensor::DeviceType;
    match backend {
        #[cfg(feature = "flex")]
        "flex" => Device::enumerate(DeviceType::Flex).into_vec(),
        #[cfg(feature = "ndarray")]
        "ndarray" => Device::enumerate(DeviceType::NdArray).into_vec(),
        #[cfg(feature = "wgpu")]
        "wgpu" => Device::enumerate(DeviceType::Wgpu).into_vec(),
        #[cfg(feature = "vulkan")]
        "vulkan" => Device::enumerate(DeviceType::Vulkan).into_vec(),
        #[cfg(feature = "metal")]
        "metal" => Device::enumerate(DeviceType::Metal).into_vec(),
        #[cfg(feature = "cuda")]
        "cuda" => Device::enumerate(DeviceType::Cuda).into_vec(),
        #[cfg(feature = "cpu")]
        "cpu" => Device::enumerate(DeviceType::Cpu).into_vec(),
        _ => Vec::new(),
    }
}

/// Runs `work` and turns a panic in it into an error with the panic's message and place.
///
/// Burn panics where it cannot go on (a missing driver, a kernel that fails). This is for the outermost layer of a
/// program; while it runs, the process's panic hook is replaced so that the panic is not printed as well. It cannot catch
/// a process that is aborted, which is what running out of memory on the CPU does.
///
/// # Errors
/// [`Error::Backend`] when `work` panicked.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T> {
    let place = Arc::new(Mutex::new(None));
    let hook = take_hook();
    let noted = place.clone();
    set_hook(Box::new(move |panic| {
        // The first panic is the cause; those of other threads follow from it.
        if let Ok(mut place) = noted.lock() {
            place.get_or_insert_with(|| panic.location().map(ToString::to_string));
        }
    }));
    let result = catch_unwind(AssertUnwindSafe(work));
    set_hook(hook);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let place = place.lock().ok().and_then(|mut place| place.take().flatten()).unwrap_or_default();
        Error::Backend(format!("{} [{place}]", text.unwrap_or_else(|| "no reason given".into()).trim()))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[cfg(feature = "flex")]
    #[test]
    fn the_default_opens() {
        for name in ["flex", "flex:0"] {
            assert_eq!(format!("{:?}", open(name).unwrap()), format!("{:?}", Device::flex()));
        }
        let refused = open("flex:1").unwrap_err().to_string();
        assert!(refused.contains("`device` is flex:1") && refused.contains("there is one flex device"), "{refused}");
    }

    #[test]
    fn unknown_names_list_the_choices() {
        for name in ["gpu", "", "flex:", "wgpu:one", "wgpu:-1", "cuda:0:1"] {
            let refused = open(name).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("`device` is {name}:")), "{refused}");
        }
        assert!(open("gpu").unwrap_err().to_string().contains("flex, ndarray, wgpu, vulkan, metal, cuda, cpu"));
    }

    #[test]
    fn backends_that_are_not_compiled_in_name_the_feature() {
        for backend in BACKENDS.into_iter().filter(|backend| !backend.compiled) {
            let refused = open(backend.name).unwrap_err().to_string();
            assert!(refused.contains(&format!("--features {}", backend.name)), "{refused}");
            assert!(list(backend).unwrap().is_empty());
        }
    }

    #[test]
    fn panics_become_messages() {
        let error = guarded(|| -> u8 { panic!("no driver {}", 7) }).unwrap_err().to_string();
        assert!(error.starts_with("the backend failed: no driver 7") && error.contains("lib.rs"), "{error}");
        assert_eq!(guarded(|| 1).unwrap(), 1);
    }
}
