//! Pictures of every format that is read.
#![no_main]

use burnsight_zoo::Picture;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Picture::decode(bytes, "fuzz", 1 << 22);
});
