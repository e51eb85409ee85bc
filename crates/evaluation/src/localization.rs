//! Does the map lie on the object? Metrics for pictures whose object is known to the pixel.
//!
//! They are only as good as their premise, that the model looks at the object. A model that tells boats by the water is
//! explained rightly by a map of the water and scores badly here. So they say something about *explanations* where the
//! object alone decides (scenes in which background and distractors are drawn independently of the class) and where the
//! model got the class right: leave the other pictures out with [`correctly_classified`] and say how many were left.
//!
//! ## Where no value is given
//! An empty mask, a mask that covers everything and a constant map say nothing about the map: all four metrics give
//! `None` there, never a hit.
//!
//! ## Chance
//! A map of random numbers does not score 0. It scores about the share of the picture that the object covers,
//! [`Mask::share`], so an object that fills half of the picture makes 0.5 worthless. Show the mean share beside the
//! means of these metrics; each page says what chance is.
//!
//! ## What is compared
//! One value per pixel, as [`Subject::with_pixel_value`] says: the sum over the colours with its sign, or the largest
//! magnitude. Arras et al. compare several such poolings, with different results.

mod correctly_classified;
mod intersection_over_union;
mod mass_accuracy;
mod pointing_game;
mod rank_accuracy;
#[cfg(test)]
mod tests;

use burnsight_core::Result;
use rayon::prelude::*;

pub use self::{
    correctly_classified::correctly_classified, intersection_over_union::IntersectionOverUnion,
    mass_accuracy::MassAccuracy, pointing_game::PointingGame, rank_accuracy::RankAccuracy,
};
use crate::{Mask, Subject};

/// Measures every picture on which the question makes sense; `measure` gets the values of the pixels and the mask.
fn measure_where_defined<T: Send>(
    subject: &Subject<'_>,
    metric: &str,
    measure: impl Fn(&[f32], &Mask) -> Option<T> + Sync,
) -> Result<Vec<Option<T>>> {
    let masks = subject.masks(metric)?;
    let maps = subject.pixel_values()?;
    let measured = maps.par_iter().zip(masks).map(|(map, mask)| {
        let is_constant = map.iter().all(|value| *value == map[0]);
        if is_constant || !has_both_sides(mask) { None } else { measure(map, mask) }
    });
    Ok(measured.collect())
}

/// Whether some pixels are inside and some are not.
fn has_both_sides(mask: &Mask) -> bool {
    (1..mask.inside().len()).contains(&mask.count())
}

/// Pixels that share a value.
struct Tie {
    pixels: usize,
    inside: usize,
}

/// All pixels, highest values first; equal values come together, so that their order in memory cannot matter.
fn highest_first(map: &[f32], mask: &Mask) -> Vec<Tie> {
    let mut order: Vec<usize> = (0..map.len()).collect();
    order.sort_unstable_by(|a, b| map[*b].total_cmp(&map[*a]));
    let tie =
        |tied: &[usize]| Tie { pixels: tied.len(), inside: tied.iter().filter(|pixel| mask.inside()[**pixel]).count() };
    order.chunk_by(|a, b| map[*a] == map[*b]).map(tie).collect()
}
