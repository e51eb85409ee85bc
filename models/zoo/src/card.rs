//! What a weight file does not say about itself.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use burnsight_core::{Error, Result};
use serde::{Deserialize, Deserializer};

use crate::{Labels, Preprocessing};

/// The largest file that is taken for a card, in bytes.
const LARGEST: u64 = 16 << 20;

/// ImageNet's number of classes: with so many, and no labels, its labels are assumed.
const IMAGENET_CLASSES: usize = 1000;

/// A model card: `FILE.json` beside `FILE.safetensors` or `FILE.pth`, or what the tool's flags say. Everything may be left
/// out, and a card may say more than is read here.
///
/// ```json
/// { "name": "birds", "sha256": "83208a1f…", "labels": ["crane", "heron"],
///   "input": { "size": 224, "resize": 256, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225] } }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Card {
    /// What the model is called.
    pub name: Option<String>,
    /// SHA-256 of the weight file, in hexadecimal; another file is refused. The first eight or more digits will do.
    pub sha256: Option<String>,
    /// Names of the classes, as many as the model has.
    pub labels: Option<Labels>,
    /// How pictures are prepared.
    #[serde(default)]
    pub input: InputCard,
}

/// The part of a [`Card`] that says how pictures are prepared, see [`Preprocessing`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct InputCard {
    /// Height and width of the model's input, in pixels; in a file, one number for both or `[height, width]`.
    #[serde(default, deserialize_with = "size")]
    pub size: Option<[usize; 2]>,
    /// Length of the shorter side before the crop, in pixels. The longer side of `size` where only that is given.
    pub resize: Option<usize>,
    /// Mean of R, G, B, on the scale 0 to 1.
    pub mean: Option<[f32; 3]>,
    /// Standard deviation of R, G, B, on the same scale.
    pub std: Option<[f32; 3]>,
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<[usize; 2]>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "input.size is a number of pixels or [height, width]")]
    enum Size {
        Square(usize),
        Sides([usize; 2]),
    }
    Ok(Option::deserialize(deserializer)?.map(|size| match size {
        Size::Square(side) => [side, side],
        Size::Sides(sides) => sides,
    }))
}

impl Card {
    /// The card of a weight file, if there is one.
    ///
    /// # Errors
    /// [`Error::Model`] when there is one that cannot be read.
    pub fn beside(weights: &Path) -> Result<Option<Self>> {
        let path = Self::path(weights);
        let refuse = |problem: String| Error::model(path.display(), format!("this card {problem}"));
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refuse(format!("cannot be read: {error}"))),
            Ok(_) if bytes.len() as u64 > LARGEST => return Err(refuse(format!("has more than {LARGEST} bytes"))),
            Ok(_) => {}
        }
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
        serde_json::from_slice(bytes).map(Some).map_err(|error| refuse(format!("is not as it should be: {error}")))
    }

    /// Where the card of a weight file is: its name with the ending `json`.
    pub fn path(weights: &Path) -> PathBuf {
        weights.with_extension("json")
    }

    /// This card, and where it is silent, the other. A size comes with its own `resize` or none.
    pub fn or(self, other: Self) -> Self {
        let (input, others) = (self.input, other.input);
        let resize = if input.size.is_some() { input.resize } else { input.resize.or(others.resize) };
        Self {
            name: self.name.or(other.name),
            sha256: self.sha256.or(other.sha256),
            labels: self.labels.or(other.labels),
            input: InputCard {
                size: input.size.or(others.size),
                resize,
                mean: input.mean.or(others.mean),
                std: input.std.or(others.std),
            },
        }
    }

    /// Labels and preprocessing of a model with so many classes. What the card does not say is taken from ImageNet, with a
    /// note for each assumption.
    ///
    /// # Errors
    /// [`Error::Model`] when there are more or fewer labels than classes, [`Error::Parameter`] for a setting out of range.
    pub fn complete(self, model: &str, classes: usize) -> Result<(Labels, Preprocessing, Vec<String>)> {
        let mut notes = Vec::new();
        let labels = match self.labels {
            Some(labels) if labels.len() != classes => {
                let problem =
                    format!("it has {classes} classes and `labels` has {} labels: give one for each", labels.len());
                return Err(Error::model(model, problem));
            }
            Some(labels) => labels,
            None if classes == IMAGENET_CLASSES => {
                notes.push("its 1000 classes are assumed to be ImageNet's; labels say otherwise".into());
                Labels::imagenet()
            }
            None => {
                notes.push(format!("its {classes} classes have no labels and are called by their index"));
                Labels::new((0..classes).map(|class| format!("class {class}")))
            }
        };
        let assumed = Preprocessing::imagenet();
        let InputCard { size, resize, mean, std } = self.input;
        let resize = resize.or(size.map(|[height, width]| height.max(width)));
        let missing = [("size", size.is_none()), ("mean", mean.is_none()), ("std", std.is_none())];
        let missing: Vec<&str> = missing.iter().filter(|(_, missing)| *missing).map(|(name, _)| *name).collect();
        let preprocessing = Preprocessing {
            resize: resize.unwrap_or(assumed.resize),
            size: size.unwrap_or(assumed.size),
            mean: mean.unwrap_or(assumed.mean),
            std: std.unwrap_or(assumed.std),
        };
        preprocessing.check()?;
        if !missing.is_empty() {
            let Preprocessing { resize, size: [height, width], mean, std } = &preprocessing;
            notes.push(format!(
                "nothing says the {} of its input: prepared as for ImageNet (shorter side {resize}, size {width}×{height}, \
                 mean {mean:?}, std {std:?})",
                missing.join(", ")
            ));
        }
        Ok((labels, preprocessing, notes))
    }
}

impl From<(Labels, Preprocessing)> for Card {
    fn from((labels, preprocessing): (Labels, Preprocessing)) -> Self {
        let Preprocessing { resize, size, mean, std } = preprocessing;
        let input = InputCard { size: Some(size), resize: Some(resize), mean: Some(mean), std: Some(std) };
        Self { labels: Some(labels), input, ..Self::default() }
    }
}
