//! ONNX files: an error or a network, never a panic, a hang or more memory than sensible.
#![no_main]

use burn::tensor::Device;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = burnsight_onnx::parse("fuzz.onnx", bytes.to_vec(), None, &Device::flex());
});
