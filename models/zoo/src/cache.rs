//! Downloaded weights, kept.

use std::{fs, path::PathBuf};

use burnsight_core::{Error, Result};

use crate::{
    Card,
    download::{self, Download},
    sum, torchvision,
};

/// The folder of downloaded weights. Files appear in it only whole and checked, each with a [`Card`] that records its full
/// SHA-256.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The environment variable that says where the cache is.
    pub const VARIABLE: &'static str = "BURNSIGHT_CACHE";

    /// A cache in a folder, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder that the environment variable [`Cache::VARIABLE`] names, or `burnsight` in the platform's cache folder.
    ///
    /// # Errors
    /// [`Error::Parameter`] when there is neither.
    pub fn of_platform() -> Result<Self> {
        let given = std::env::var_os(Self::VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let folder = given.or_else(|| Some(dirs::cache_dir()?.join("burnsight")));
        let unknown = || Error::parameter(Self::VARIABLE, "not set", "this system names no cache folder: name one");
        folder.map(Self::new).ok_or_else(unknown)
    }

    /// Where the weights of a model are, if they have been fetched.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a name that is not in [`models`](crate::models).
    pub fn find(&self, name: &str) -> Result<Option<PathBuf>> {
        Ok(Some(self.folder.join(torchvision::find(name)?.file)).filter(|path| path.is_file()))
    }

    /// As [`Cache::find`], but weights that are not there are an error.
    ///
    /// # Errors
    /// [`Error::Model`] with the size and the command that fetches them.
    pub fn require(&self, name: &str) -> Result<PathBuf> {
        self.find(name)?.ok_or_else(|| {
            let megabytes = torchvision::find(name).map_or(0, torchvision::Entry::bytes) as f64 / 1e6;
            let folder = self.folder.display();
            let problem =
                format!("its weights are not in {folder}: `burnsight models fetch {name}` fetches {megabytes:.0} MB");
            Error::model(name, problem)
        })
    }

    /// Fetches the weights of a model, or goes on where that was interrupted; what is there already is only checked.
    /// `mirror` has the same files as torchvision's server. `progress` is told how many bytes there are, of how many.
    ///
    /// # Errors
    /// [`Error::Parameter`] for an unknown name, [`Error::Model`] when the server does not answer, falls silent, or has
    /// another file. What has arrived until then is kept for the next call, but never used.
    pub fn fetch(&self, name: &str, mirror: Option<&str>, progress: &mut dyn FnMut(u64, u64)) -> Result<PathBuf> {
        let entry = torchvision::find(name)?;
        if let Some(path) = self.find(name)?.filter(|path| is_whole(path, entry)) {
            return Ok(path);
        }
        let url = format!("{}/{}", mirror.unwrap_or(torchvision::ORIGIN).trim_end_matches('/'), entry.file);
        let target = self.folder.join(entry.file);
        let download = Download { name, url: &url, target: &target, sha256: entry.sha256(), bytes: entry.bytes() };
        let agent = download::client(download::PATIENCE).build().new_agent();
        download.run(&agent, progress).map_err(|problem| Error::model(name, problem))?;
        Ok(target)
    }
}

/// Whether a file is what was fetched once.
fn is_whole(path: &std::path::Path, entry: &torchvision::Entry) -> bool {
    let Ok(sum) = fs::File::open(path).and_then(sum::sha256) else { return false };
    let recorded = Card::beside(path).ok().flatten().and_then(|card| card.sha256);
    let stated = [Some(entry.sha256().to_string()), recorded];
    stated.iter().flatten().all(|stated| sum::check(entry.name, &sum, stated).is_ok())
}
