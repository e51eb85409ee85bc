//! Torchvision's VGGs for ImageNet: what its `models/vgg.py` says about the files.

use burnsight_core::{Error, Result};

use crate::{BUILT_IN, Card, Description, Labels, Preprocessing};

/// Where the files are, unless a mirror is given.
pub const ORIGIN: &str = "https://download.pytorch.org/models/";

/// One of the files.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name to ask for, and torchvision's.
    pub name: &'static str,
    /// Its name ends in the first eight digits of its SHA-256.
    pub file: &'static str,
    /// Size in units of 2²⁰ bytes, to three digits.
    pub mebibytes: f64,
    parameters: usize,
    /// Share of ImageNet's validation pictures.
    accuracy: f64,
}

#[rustfmt::skip]
pub const MODELS: [Entry; 8] = [
    Entry { name: "vgg11", file: "vgg11-8a719046.pth", mebibytes: 506.84, parameters: 132_863_336, accuracy: 0.690_20 },
    Entry { name: "vgg13", file: "vgg13-19584684.pth", mebibytes: 507.545, parameters: 133_047_848, accuracy: 0.699_28 },
    Entry { name: "vgg16", file: "vgg16-397923af.pth", mebibytes: 527.796, parameters: 138_357_544, accuracy: 0.715_92 },
    Entry { name: "vgg19", file: "vgg19-dcbb9e9d.pth", mebibytes: 548.051, parameters: 143_667_240, accuracy: 0.723_76 },
    Entry { name: "vgg11_bn", file: "vgg11_bn-6002323d.pth", mebibytes: 506.881, parameters: 132_868_840, accuracy: 0.703_70 },
    Entry { name: "vgg13_bn", file: "vgg13_bn-abd245e5.pth", mebibytes: 507.59, parameters: 133_053_736, accuracy: 0.715_86 },
    Entry { name: "vgg16_bn", file: "vgg16_bn-6c64b313.pth", mebibytes: 527.866, parameters: 138_365_992, accuracy: 0.733_60 },
    Entry { name: "vgg19_bn", file: "vgg19_bn-c79401a0.pth", mebibytes: 548.143, parameters: 143_678_248, accuracy: 0.742_18 },
];

/// The file of that name.
pub fn find(name: &str) -> Result<&'static Entry> {
    MODELS.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names = MODELS.map(|entry| entry.name).join(", ");
        let nearest = MODELS
            .iter()
            .map(|entry| entry.name)
            .chain([BUILT_IN])
            .map(|known| (strsim::jaro_winkler(known, name), known));
        let nearest = nearest.max_by(|(a, _), (b, _)| a.total_cmp(b)).map_or(BUILT_IN, |(_, known)| known);
        let requirement = format!("no such model, did you mean {nearest}? There are {BUILT_IN}, {names}");
        Error::parameter("model", name, &requirement)
    })
}

impl Entry {
    /// The first digits of the SHA-256.
    pub fn sha256(&self) -> &'static str {
        let stem = self.file.strip_suffix(".pth").unwrap_or(self.file);
        stem.rsplit('-').next().unwrap_or(stem)
    }

    /// Size in bytes, to a kibibyte.
    pub fn bytes(&self) -> u64 {
        (self.mebibytes * f64::from(1 << 20)).round() as u64
    }

    pub fn card(&self) -> Card {
        let known = Card::from((Labels::imagenet(), Preprocessing::imagenet()));
        Card { name: Some(self.name.into()), sha256: Some(self.sha256().into()), ..known }
    }

    pub fn description(&self) -> Description {
        Description {
            name: self.name.into(),
            architecture: "VGG as in the paper, with batch norm where the name ends in _bn".into(),
            parameters: self.parameters,
            classes: 1000,
            size: Preprocessing::imagenet().size,
            accuracy: self.accuracy,
            accuracy_source: "torchvision, on ImageNet".into(),
            download: Some(self.bytes()),
            intended_use: "the 1000 classes of ImageNet".into(),
            licence: "torchvision's: BSD-3-Clause; trained on ImageNet, whose terms may bind you".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Four bytes per number and some kilobytes of names, and the digits that torch.hub looks for.
    #[test]
    fn entries_agree_with_themselves() {
        for entry in MODELS {
            let numbers = 4 * entry.parameters as u64;
            assert!((numbers..numbers + 100_000).contains(&entry.bytes()), "{}", entry.name);
            assert!(entry.file.starts_with(&format!("{}-", entry.name)));
            assert_eq!(entry.sha256().len(), 8);
            assert!(u32::from_str_radix(entry.sha256(), 16).is_ok());
            assert_eq!(find(entry.name).unwrap().file, entry.file);
        }
    }

    #[test]
    fn unknown_names_list_the_choices() {
        let error = find("vgg99").unwrap_err().to_string();
        assert!(error.contains("vgg99") && error.contains(BUILT_IN) && error.contains("vgg19_bn"), "{error}");
    }
}
