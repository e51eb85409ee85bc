//! Patterns that come with a model.

use std::path::{Path, PathBuf};

use burnsight_core::Result;
use burnsight_pattern_net::Patterns;

use crate::{BUILT_IN, Model};

/// Those of the built-in model, fitted by `burnsight models fit-patterns`; the file says on what.
const OF_BUILT_IN: &[u8] = include_bytes!("../weights/vgg11-imagenette.patterns.safetensors");

impl Model {
    /// Patterns that were fitted to these weights, for PatternNet and PatternAttribution: those built in, or those in the
    /// file that [`patterns_beside`] names. `None` where there is no such file.
    ///
    /// # Errors
    /// [`Error::Model`](burnsight_core::Error::Model) when there is one that is not whole or belongs to other weights.
    pub fn patterns(&self) -> Result<Option<Patterns>> {
        match &self.file {
            Some(file) => {
                let path = patterns_beside(file);
                path.exists().then(|| Patterns::open(&path, &self.network, &self.sha256)).transpose()
            }
            None if self.name == BUILT_IN => {
                let name = "built-in patterns";
                Patterns::from_safetensors(name, OF_BUILT_IN, &self.network, &self.sha256).map(Some)
            }
            None => Ok(None),
        }
    }
}

/// Where the patterns of a weight file are looked for: its name with the ending `patterns.safetensors`.
pub fn patterns_beside(weights: &Path) -> PathBuf {
    weights.with_extension("patterns.safetensors")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use burn::tensor::Device;

    use super::*;
    use crate::{Card, load, load_file};

    #[test]
    fn the_built_in_model_has_patterns_fitted_on_many_pictures() {
        let model = load(BUILT_IN, &Device::default()).unwrap();
        let patterns = model.patterns().unwrap().unwrap();
        assert!(patterns.origin.pictures >= 1000, "{:?}", patterns.origin);
        assert_eq!(patterns.origin.weights_sha256, model.sha256);
        patterns.require("a method", &model.network).unwrap();
        let outputs: usize = patterns.layers.values().map(|pattern| pattern.dims()[0]).sum();
        let dead: usize = patterns.dead().unwrap().values().sum();
        assert!(10 * dead < outputs, "{dead} of {outputs} are dead");
    }

    #[test]
    fn a_file_has_those_beside_it_if_they_are_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("mine.safetensors");
        fs::write(&weights, include_bytes!("../weights/vgg11-imagenette.safetensors")).unwrap();
        let open = || load_file(&weights, &Card::default(), &Device::default()).unwrap();
        assert!(open().patterns().unwrap().is_none());
        let beside = patterns_beside(&weights);
        assert_eq!(beside, folder.path().join("mine.patterns.safetensors"));
        fs::write(&beside, OF_BUILT_IN).unwrap();
        assert!(open().patterns().unwrap().is_some());
        let other = Model { sha256: "0".repeat(64), ..open() };
        assert!(other.patterns().unwrap_err().to_string().contains("belong to the weights"));
        fs::write(&beside, &OF_BUILT_IN[..1000]).unwrap();
        assert!(open().patterns().is_err());
    }
}
