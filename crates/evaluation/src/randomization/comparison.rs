//! Maps of one network against maps of others.

use std::borrow::Borrow;

use burn::tensor::Tensor;
use burnsight_core::{Result, read, select_images};
use burnsight_network::Network;
use rayon::prelude::*;

use crate::{Curve, Direction, Reading, Subject, hog_similarity, spearman, ssim};

/// The ways in which maps are compared.
const WAYS: [&str; 4] = ["Spearman", "Spearman of magnitudes", "SSIM", "HOG"];

/// One similarity for each of the [`WAYS`].
type Similarities = [Option<f64>; WAYS.len()];

/// How alike the maps of every picture are.
pub(super) struct Comparison {
    /// To themselves, per picture: 1, or undefined.
    unchanged: Vec<Similarities>,
    /// To those of the original network, per changed network and picture.
    changed: Vec<Vec<Similarities>>,
}

/// Explains the subject's pictures on each of the networks and compares with the subject's maps.
pub(super) fn compare<N: Borrow<Network>>(
    subject: &Subject<'_>,
    metric: &str,
    mut networks: impl ExactSizeIterator<Item = N>,
) -> Result<Comparison> {
    let (count, cuts) = (subject.count(), networks.len());
    let mut comparison = Comparison { unchanged: Vec::with_capacity(count), changed: Vec::with_capacity(cuts) };
    let mut network = None;
    // All pictures on one network, then all on the next, so that only one is held: the networks stand where other metrics
    // have pictures, and the pictures where they have samples.
    subject.batches().run(cuts, count, |rows| {
        for rows in rows.chunk_by(|a, b| a.image == b.image) {
            if rows[0].image == comparison.changed.len() {
                network = networks.next();
                comparison.changed.push(Vec::with_capacity(count));
            }
            let network = network.as_ref().expect("there are as many networks as they said");
            let pictures = || rows.iter().map(|row| row.sample);
            let (images, target) = (select_images(subject.images(), pictures()), subject.target().select(pictures()));
            let maps = read_maps(select_images(&subject.attribution().map, pictures()))?;
            let changed = read_maps(subject.explain_on(metric, network.borrow(), images, &target)?.map)?;
            if comparison.changed.len() == 1 {
                comparison.unchanged.par_extend(maps.par_iter().map(|map| map.similarities(map)));
            }
            let similarities = maps.par_iter().zip(&changed).map(|(map, changed)| map.similarities(changed));
            comparison.changed[rows[0].image].par_extend(similarities);
        }
        Ok(())
    })?;
    Ok(comparison)
}

impl Comparison {
    /// A reading for each way to compare, with a curve over the cuts if they have names.
    pub(super) fn readings(&self, metric: &str, cuts: Option<(&str, Vec<String>)>) -> Vec<Reading> {
        let reading = |(way, label): (usize, &&str)| {
            let at_cuts = |picture: usize| self.changed.iter().map(move |cut| cut[picture][way]);
            let pictures = 0..self.unchanged.len();
            let values = pictures.clone().map(|picture| mean_of_defined(at_cuts(picture))).collect();
            let reading = Reading::new(format!("{metric}, {label}"), Direction::Lower, values);
            let Some((x_label, layers)) = &cuts else { return reading };
            reading.with_curve(Curve {
                x_label: (*x_label).into(),
                y_label: format!("similarity to the original map, {label}"),
                x: (0..=layers.len()).map(|cut| cut as f64).collect(),
                ticks: [&["none".into()], &layers[..]].concat(),
                y: pictures
                    .map(|picture| [self.unchanged[picture][way]].into_iter().chain(at_cuts(picture)).collect())
                    .collect(),
            })
        };
        WAYS.iter().enumerate().map(reading).collect()
    }
}

fn mean_of_defined(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.flatten().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// One picture's map, read both ways.
struct Map {
    /// Height and width.
    size: [usize; 2],
    /// The sum over the colours.
    signed: Vec<f64>,
    /// The largest magnitude among the colours.
    magnitudes: Vec<f64>,
}

impl Map {
    fn similarities(&self, other: &Self) -> Similarities {
        let is_finite = |map: &Self| map.magnitudes.iter().chain(&map.signed).all(|value| value.is_finite());
        if !is_finite(self) || !is_finite(other) {
            return Default::default();
        }
        [
            spearman(&self.signed, &other.signed),
            spearman(&self.magnitudes, &other.magnitudes),
            ssim(&self.magnitudes, &other.magnitudes, self.size),
            hog_similarity(&self.magnitudes, &other.magnitudes, self.size),
        ]
    }
}

/// Every picture's map. A map that is not finite is not refused: on fresh weights nobody is to blame for it.
fn read_maps(maps: Tensor<4>) -> Result<Vec<Map>> {
    let maps = maps.inner();
    let [_, _, height, width] = maps.dims();
    let double = |values: &[f32]| values.iter().copied().map(f64::from).collect();
    let signed = read(maps.clone().sum_dim(1))?;
    let magnitudes = read(maps.abs().max_dim(1))?;
    let pixels = height * width;
    let pictures = signed.chunks(pixels).zip(magnitudes.chunks(pixels));
    let map =
        |(signed, magnitudes)| Map { size: [height, width], signed: double(signed), magnitudes: double(magnitudes) };
    Ok(pictures.map(map).collect())
}
