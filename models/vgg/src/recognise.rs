//! From names and shapes to an architecture.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::zip,
};

use burnsight_core::{Error, Result};

use crate::{Depth, Part, VggConfig};

/// Names that are listed of a file that is no VGG.
const LISTED: usize = 3;

type Shapes = BTreeMap<String, Vec<usize>>;

/// What is wrong, in a sentence.
type Fitting<T> = std::result::Result<T, String>;

impl VggConfig {
    /// The VGG that has weights of these names and shapes, which are torchvision's: depth, batch norm, channels, size of
    /// the pool (a square), hidden layers and classes. Every name and shape is checked but for counters of training steps
    /// (`num_batches_tracked`).
    ///
    /// # Errors
    /// [`Error::Model`] with the first thing that does not fit.
    pub fn recognise(shapes: &BTreeMap<String, Vec<usize>>) -> Result<Self> {
        Self::fitting(shapes).map_err(|problem| Error::model("VGG", problem))
    }

    fn fitting(shapes: &Shapes) -> Fitting<Self> {
        let mut config = features(shapes)?;
        let mut widths = layers(shapes, "features", 4).into_iter().map(|(_, shape)| shape[0]);
        // The first convolution of each block; whether the others agree is seen below.
        config.channels = config.depth.blocks().map(|count| {
            let block: Vec<usize> = widths.by_ref().take(count).collect();
            block[0]
        });

        let linear = layers(shapes, "classifier", 2);
        let Some((_, first)) = linear.first() else {
            return Err(
                "there is no classifier.0.weight of two dimensions: a VGG without its head has no classes".into()
            );
        };
        if let Some(((index, _), _)) = zip(&linear, (0..).step_by(3)).find(|((index, _), expected)| index != expected) {
            return Err(format!("classifier.{index}.weight: the linear layers of a VGG are classifier.0, 3, 6, …"));
        }
        let widths: Vec<usize> = linear.iter().map(|(_, shape)| shape[0]).collect();
        config.hidden = widths[..widths.len() - 1].to_vec();
        config.classes = widths[widths.len() - 1];

        let [.., channels] = config.channels;
        let side = first[1].checked_div(channels).unwrap_or(0).isqrt();
        if side == 0 || side * side * channels != first[1] {
            return Err(format!(
                "classifier.0.weight has shape {first:?}: {} inputs are not the {channels} channels of the last \
                 convolution times a square pool",
                first[1]
            ));
        }
        config.pool = [side, side];
        config.check(shapes)?;
        Ok(config)
    }

    /// Whether exactly the weights of this network are there.
    fn check(&self, shapes: &Shapes) -> Fitting<()> {
        let mut known = BTreeSet::new();
        for (layer, part) in self.parts() {
            for (parameter, needed) in part.shapes() {
                let name = format!("{layer}.{parameter}");
                match shapes.get(&name) {
                    None => return Err(format!("{name} is missing: {self} has one, of shape {needed:?}")),
                    Some(shape) if *shape != needed => {
                        return Err(format!("{name} has shape {shape:?}, {self} needs {needed:?}"));
                    }
                    Some(shape) if shape.contains(&0) => return Err(format!("{name} is empty, of shape {shape:?}")),
                    Some(_) => known.insert(name),
                };
            }
        }
        let mut others = shapes.keys().filter(|name| !known.contains(*name) && !name.ends_with(".num_batches_tracked"));
        match others.next() {
            None => Ok(()),
            Some(name) => Err(format!("{name}, of shape {:?}, is not part of {self}", shapes[name])),
        }
    }
}

/// Depth and batch norm, from where the convolutions are.
fn features(shapes: &Shapes) -> Fitting<VggConfig> {
    let found: Vec<usize> = layers(shapes, "features", 4).into_iter().map(|(index, _)| index).collect();
    if found.is_empty() {
        let names: Vec<&str> = shapes.keys().take(LISTED).map(String::as_str).collect();
        return Err(format!(
            "there is no features.0.weight of four dimensions, as torchvision names a VGG's first convolution, among its \
             {} tensors ({}, …)",
            shapes.len(),
            names.join(", ")
        ));
    }
    let mut agreeing = 0;
    for depth in Depth::ALL {
        for batch_norm in [false, true] {
            let config = VggConfig::new(depth).with_batch_norm(batch_norm);
            let parts = config.parts().into_iter().enumerate();
            let expected =
                parts.filter(|(_, (_, part))| matches!(part, Part::Convolution { .. })).map(|(index, _)| index);
            let expected: Vec<usize> = expected.collect();
            if found == expected {
                return Ok(config);
            }
            agreeing = agreeing.max(zip(&found, &expected).take_while(|(found, expected)| found == expected).count());
        }
    }
    match found.get(agreeing) {
        Some(index) => Err(format!(
            "features.{index}.weight has shape {:?}, and no VGG (11, 13, 16, 19, with or without batch norm) has its \
             convolution number {} there",
            shapes[&weight("features", *index)],
            agreeing + 1
        )),
        None => Err(format!("no VGG (11, 13, 16, 19) has {} convolutions", found.len())),
    }
}

/// The layers of a group whose weights have so many dimensions, by index.
fn layers<'a>(shapes: &'a Shapes, group: &str, dimensions: usize) -> Vec<(usize, &'a [usize])> {
    let index = |name: &str| {
        let index = name.strip_prefix(group)?.strip_prefix('.')?.strip_suffix(".weight")?.parse().ok()?;
        // Not `+3` or `03`, which are numbers too.
        (weight(group, index) == name).then_some(index)
    };
    let found = shapes.iter().filter(|(_, shape)| shape.len() == dimensions);
    let mut layers: Vec<_> = found.filter_map(|(name, shape)| Some((index(name)?, shape.as_slice()))).collect();
    layers.sort();
    layers
}

fn weight(group: &str, index: usize) -> String {
    format!("{group}.{index}.weight")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shapes(config: &VggConfig) -> Shapes {
        let of_layer = |(layer, part): (String, Part)| {
            part.shapes().into_iter().map(move |(name, shape)| (format!("{layer}.{name}"), shape)).collect::<Vec<_>>()
        };
        config.parts().into_iter().flat_map(of_layer).collect()
    }

    fn small() -> VggConfig {
        VggConfig::new(Depth::Vgg11).with_channels([2, 3, 4, 5, 6]).with_head([2, 2], [7], 4)
    }

    #[test]
    fn every_vgg_is_recognised() {
        for depth in Depth::ALL {
            for batch_norm in [false, true] {
                for (pool, hidden) in [(7, vec![4096, 4096]), (1, vec![]), (3, vec![5, 6, 7])] {
                    let config = VggConfig::new(depth).with_batch_norm(batch_norm).with_head([pool, pool], hidden, 10);
                    assert_eq!(VggConfig::recognise(&shapes(&config)).unwrap(), config);
                    let narrow = config.with_channels([1, 9, 2, 8, 3]);
                    assert_eq!(VggConfig::recognise(&shapes(&narrow)).unwrap(), narrow);
                }
            }
        }
    }

    /// As torchvision's documentation has them.
    #[test]
    fn the_paper() {
        let parameters = |depth: Depth, batch_norm: bool| -> usize {
            let shapes = shapes(&VggConfig::new(depth).with_batch_norm(batch_norm));
            let learnt = shapes.iter().filter(|(name, _)| !name.contains("running"));
            learnt.map(|(_, shape)| shape.iter().product::<usize>()).sum()
        };
        assert_eq!(parameters(Depth::Vgg11, false), 132_863_336);
        assert_eq!(parameters(Depth::Vgg16, false), 138_357_544);
        assert_eq!(parameters(Depth::Vgg19, true), 143_678_248);
    }

    #[test]
    fn counters_do_not_matter() {
        let mut shapes = shapes(&small().with_batch_norm(true));
        shapes.insert("features.1.num_batches_tracked".into(), vec![]);
        assert_eq!(VggConfig::recognise(&shapes).unwrap(), small().with_batch_norm(true));
    }

    /// One thing is changed (an empty shape takes the tensor away), and named.
    #[test]
    fn what_does_not_fit_is_named() {
        let huge = 1usize << 40;
        type Change<'a> = (&'a str, &'a [usize]);
        let cases: &[(&[Change], &[&str])] = &[
            (
                &[("features.3.weight", &[3, 2, 5, 5])],
                &["features.3.weight has shape [3, 2, 5, 5]", "needs [3, 2, 3, 3]"],
            ),
            (&[("features.0.weight", &[2, 1, 3, 3])], &["features.0.weight has shape [2, 1, 3, 3]", "[2, 3, 3, 3]"]),
            (&[("features.8.weight", &[9, 4, 3, 3])], &["features.8.weight", "needs [4, 4, 3, 3]", "a VGG-11 without"]),
            (&[("features.8.bias", &[5])], &["features.8.bias has shape [5]", "needs [4]"]),
            (&[("features.18.bias", &[])], &["features.18.bias is missing"]),
            (&[("features.18.weight", &[])], &["no VGG", "7 convolutions"]),
            (&[("features.20.weight", &[6, 6, 3, 3])], &["features.20.weight", "convolution number 9"]),
            (&[("features.0.weight", &[])], &["features.3.weight", "convolution number 1"]),
            (&[("features.1.weight", &[2])], &["features.1.weight, of shape [2], is not part of a VGG-11"]),
            (&[("layer4.0.conv1.weight", &[8, 8, 3, 3])], &["layer4.0.conv1.weight", "is not part"]),
            (&[("features.+3.weight", &[3, 2, 3, 3])], &["features.+3.weight", "is not part"]),
            (&[("features.99999999999999999999.weight", &[3, 2, 3, 3])], &["is not part"]),
            (&[("classifier.0.weight", &[7, 25])], &["classifier.0.weight has shape [7, 25]", "square"]),
            (&[("classifier.0.weight", &[7, 12])], &["12 inputs", "6 channels", "square"]),
            (&[("classifier.3.weight", &[4, 8])], &["classifier.3.weight has shape [4, 8]", "needs [4, 7]"]),
            (&[("classifier.5.weight", &[4, 4])], &["classifier.5.weight", "classifier.0, 3, 6"]),
            (&[("classifier.0.weight", &[]), ("classifier.3.weight", &[])], &["no classifier.0.weight", "head"]),
            (&[("classifier.3.weight", &[0, 7]), ("classifier.3.bias", &[0])], &["classifier.3.weight is empty"]),
            (&[("classifier.0.weight", &[huge, huge << 20])], &["classifier.0.weight", "square"]),
            (&[("features.18.weight", &[huge, 6, 3, 3])], &["features.18.weight"]),
        ];
        for (changes, expected) in cases {
            let mut shapes = shapes(&small());
            for (name, shape) in *changes {
                match shape.is_empty() {
                    true => shapes.remove(*name),
                    false => shapes.insert(name.to_string(), shape.to_vec()),
                };
            }
            let error = VggConfig::recognise(&shapes).unwrap_err().to_string();
            for part in *expected {
                assert!(error.contains(part), "{changes:?}: no {part:?} in {error}");
            }
        }
        let resnet =
            ["bn1.weight", "conv1.weight", "fc.weight", "layer1.weight"].map(|name| (name.to_string(), vec![64]));
        let error = VggConfig::recognise(&resnet.into()).unwrap_err().to_string();
        assert!(
            error.contains("features.0.weight") && error.contains("4 tensors (bn1.weight, conv1.weight"),
            "{error}"
        );
        assert!(VggConfig::recognise(&Shapes::new()).is_err());
    }
}
