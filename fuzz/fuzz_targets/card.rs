//! Cards and label files.
#![no_main]

use burnsight_zoo::{Card, Labels};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("memory for a folder");
    let weights = folder.path().join("model.safetensors");
    std::fs::write(Card::path(&weights), bytes).expect("memory for a file");
    if let Ok(Some(card)) = Card::beside(&weights) {
        let _ = card.complete("model", 3);
    }
    let _ = Labels::read(&Card::path(&weights));
});
