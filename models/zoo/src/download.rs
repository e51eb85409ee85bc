//! One file from a server: whole, or not at all.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use sha2::{Digest, Sha256};
use ureq::{
    Agent, Body,
    config::ConfigBuilder,
    http::{Response, StatusCode, header},
    typestate::AgentScope,
};

use crate::{Cache, Card, sum};

/// How long a server may be silent.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How exactly sizes are known, in bytes.
const TOLERANCE: u64 = 1024;

/// A file that is wanted, and what is known about it.
#[derive(Debug)]
pub struct Download<'a> {
    /// What it is called in messages and in the command that fetches it.
    pub name: &'a str,
    pub url: &'a str,
    /// Where it shall be.
    pub target: &'a Path,
    /// The first digits of its SHA-256.
    pub sha256: &'a str,
    /// Its size, give or take [`TOLERANCE`].
    pub bytes: u64,
}

/// What went wrong, in a sentence.
type Outcome<T> = Result<T, String>;

/// A client that goes through the proxy of the environment and gives up on a server that says nothing for so long.
pub fn client(patience: Duration) -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("burnsight/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(patience))
        .timeout_connect(Some(patience))
        .timeout_send_request(Some(patience))
        .timeout_recv_response(Some(patience))
        .timeout_per_read(Some(patience))
}

/// What has arrived so far: the file beside the target, and the sum of its bytes.
struct Part {
    file: File,
    path: PathBuf,
    hash: Sha256,
    bytes: u64,
}

impl Download<'_> {
    /// Fetches the file, from where an earlier call got to, and records its whole SHA-256 in its [`Card`]. The target
    /// appears last, in one step.
    pub fn run(&self, agent: &Agent, progress: &mut dyn FnMut(u64, u64)) -> Outcome<()> {
        let mut part = self.open_part()?;
        // Everything may have arrived and only the last step be missing.
        if !self.is_whole(&part) {
            self.transfer(agent, &mut part, progress)?;
        }
        let sum = sum::hexadecimal(part.hash);
        if !sum.starts_with(self.sha256) {
            drop(part.file);
            let deleted = fs::remove_file(&part.path).map_or_else(|error| error.to_string(), |()| "deleted".into());
            return Err(format!(
                "what {} sent has SHA-256 {sum}, and not {}…: damaged on the way, or another file ({deleted}). Try again, \
                 or another --mirror",
                self.url, self.sha256
            ));
        }
        let keep = || -> io::Result<()> {
            part.file.sync_all()?;
            drop(part.file);
            let card = json!({ "name": self.name, "sha256": sum, "source": self.url });
            let card_part = part.path.with_extension("card.part");
            fs::write(&card_part, format!("{card:#}\n"))?;
            fs::rename(card_part, Card::path(self.target))?;
            fs::rename(&part.path, self.target)
        };
        keep().map_err(|error| self.unwritable(error))
    }

    /// Opens or creates the file that grows, for this process alone.
    fn open_part(&self) -> Outcome<Part> {
        let mut path = self.target.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let open = || {
            self.target.parent().map_or(Ok(()), fs::create_dir_all)?;
            File::options().create(true).truncate(false).read(true).write(true).open(&path)
        };
        let file = open().map_err(|error| self.unwritable(error))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(format!("{} is being written by another process", path.display()));
            }
            // Some network file systems have no locks; the sum is checked in any case.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut hash = Sha256::new();
        let bytes = sum::absorb(&mut hash, &file).map_err(|error| self.unwritable(error))?;
        Ok(Part { file, path, hash, bytes })
    }

    fn is_whole(&self, part: &Part) -> bool {
        self.fits(part.bytes) && sum::hexadecimal(part.hash.clone()).starts_with(self.sha256)
    }

    fn fits(&self, bytes: u64) -> bool {
        bytes.abs_diff(self.bytes) <= TOLERANCE
    }

    /// Appends what is missing.
    fn transfer(&self, agent: &Agent, part: &mut Part, progress: &mut dyn FnMut(u64, u64)) -> Outcome<()> {
        let mut response = self.request(agent, part.bytes)?;
        let mut start = 0;
        if part.bytes > 0 {
            match response.status() {
                StatusCode::PARTIAL_CONTENT if range(&response) == Some(part.bytes) => start = part.bytes,
                // Another range, or none behind what is there: the server has another file by now.
                StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => response = self.request(agent, 0)?,
                _ => {}
            }
        }
        let expected = if start > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        if response.status() != expected {
            return Err(format!("{} answered {}", self.url, response.status()));
        }
        let total = response.body().content_length().map_or(self.bytes, |length| start.saturating_add(length));
        if !self.fits(total) {
            return Err(format!("{} offers {total} bytes, and not {} as it should", self.url, self.bytes));
        }
        // Only now: a server that is out of order must not cost what another one sent.
        if start == 0 {
            part.start_again().map_err(|error| self.unwritable(error))?;
        }

        let mut body = response.into_body().into_reader();
        let mut chunk = vec![0; 1 << 17];
        progress(part.bytes, total);
        loop {
            let cut = |reason: String| {
                format!(
                    "{} sent {} of {total} bytes, then {reason}; they are kept, and the same command goes on there",
                    self.url, part.bytes
                )
            };
            match body.read(&mut chunk) {
                Ok(0) if self.fits(part.bytes) => return Ok(()),
                Ok(0) => return Err(cut("closed the connection".into())),
                Ok(count) if part.bytes + count as u64 > self.bytes + TOLERANCE => {
                    let too_long = format!("{} sends more than the {} bytes it should", self.url, self.bytes);
                    return Err(part.start_again().map_or_else(|error| error.to_string(), |()| too_long));
                }
                Ok(count) => part.append(&chunk[..count]).map_err(|error| self.unwritable(error))?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cut(format!("failed ({error})"))),
            }
            progress(part.bytes, total);
        }
    }

    fn request(&self, agent: &Agent, start: u64) -> Outcome<Response<Body>> {
        let mut request = agent.get(self.url);
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        request.call().map_err(|error| format!("cannot fetch {}: {error}", self.url))
    }

    fn unwritable(&self, error: io::Error) -> String {
        let folder = self.target.parent().unwrap_or(self.target).display();
        format!("cannot write to {folder}: {error}; the environment variable {} names another folder", Cache::VARIABLE)
    }
}

impl Part {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn start_again(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.hash = Sha256::new();
        self.bytes = 0;
        Ok(())
    }
}

/// Where the part of a file starts that a server sends.
fn range(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests;
