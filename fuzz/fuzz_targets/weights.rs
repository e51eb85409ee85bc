//! Weight files, safetensors and `.pth`: opened, recognised as a VGG, loaded.
#![no_main]

use std::io::Write;

use burn::tensor::Device;
use burnsight_network::WeightFile;
use burnsight_vgg::VggConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let device = Device::flex();
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").expect("memory for a file");
    file.write_all(bytes).expect("memory for a file");
    if let Ok(weights) = WeightFile::open(file.path(), &device) {
        if let Ok(config) = VggConfig::recognise(&weights.shapes()) {
            let _ = config.build(weights);
        }
    }
});
