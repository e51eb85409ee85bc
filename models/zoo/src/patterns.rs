//! Patterns that come with a model.

use std::path::{Path, PathBuf};

use burnsight_core::Result;
use burnsight_pattern_net::Patterns;

use crate::Model;

impl Model {
    /// Patterns that were fitted to these weights, for PatternNet and PatternAttribution: those built in, or those in the
    /// file that [`patterns_beside`] names. `None` where there is no such file.
    ///
    /// # Errors
    /// [`Error::Model`](burnsight_core::Error::Model) when there is one that is not whole or belongs to other weights.
    pub fn patterns(&self) -> Result<Option<Patterns>> {
        let Some(file) = &self.file else { return Ok(None) };
        let path = patterns_beside(file);
        path.exists().then(|| Patterns::open(&path, &self.network, &self.sha256)).transpose()
    }
}

/// Where the patterns of a weight file are looked for: its name with the ending `patterns.safetensors`.
pub fn patterns_beside(weights: &Path) -> PathBuf {
    weights.with_extension("patterns.safetensors")
}
