//! SHA-256 of files.

use std::io::{self, Read};

use burnsight_core::{Error, Result};
use sha2::{Digest, Sha256};

/// SHA-256 of what is read, in hexadecimal.
pub fn sha256(data: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    absorb(&mut hash, data)?;
    Ok(hexadecimal(hash))
}

/// Reads to the end into a hash; returns how many bytes that were.
pub fn absorb(hash: &mut Sha256, mut data: impl Read) -> io::Result<u64> {
    let mut chunk = vec![0; 1 << 18];
    let mut total = 0;
    loop {
        match data.read(&mut chunk) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                hash.update(&chunk[..count]);
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The finished sum.
pub fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Refuses a file whose sum does not begin with what is stated.
pub fn check(file: &str, sum: &str, stated: &str) -> Result<()> {
    if !(8..=64).contains(&stated.len()) || !stated.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let problem = format!("the SHA-256 stated for it is {stated:?}: it takes 8 to 64 hexadecimal digits");
        return Err(Error::model(file, problem));
    }
    match sum.starts_with(&stated.to_lowercase()) {
        true => Ok(()),
        false => {
            let problem = format!("has SHA-256 {sum}, where {stated} is stated: it is damaged or another file");
            Err(Error::model(file, problem))
        }
    }
}
