//! Where the object is.

use burnsight_core::{Error, Result};

/// Which pixels of a picture, as the model sees it, belong to the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    height: usize,
    width: usize,
    inside: Vec<bool>,
}

impl Mask {
    /// Row by row, `true` inside the object.
    ///
    /// # Errors
    /// [`Error::Parameter`] when there are not height · width values.
    pub fn new(height: usize, width: usize, inside: Vec<bool>) -> Result<Self> {
        if height * width == 0 || inside.len() != height * width {
            let requirement = format!("a mask of {width}×{height} has {} pixels, at least 1", height * width);
            return Err(Error::parameter("mask", format!("{} values", inside.len()), &requirement));
        }
        Ok(Self { height, width, inside })
    }

    /// In pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// In pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row by row.
    pub fn inside(&self) -> &[bool] {
        &self.inside
    }

    /// How many pixels belong to the object.
    pub fn count(&self) -> usize {
        self.inside.iter().filter(|inside| **inside).count()
    }

    /// The part of the picture that the object covers, 0 to 1: what a map of random numbers scores in most localization
    /// metrics.
    pub fn share(&self) -> f64 {
        self.count() as f64 / self.inside.len() as f64
    }

    /// Every pixel whose centre is at most `pixels` away from the centre of one inside; 0 changes nothing.
    pub fn widened(&self, pixels: usize) -> Self {
        let (height, width, radius) = (self.height, self.width, pixels as f64);
        let distances: Vec<Vec<Option<usize>>> = self.inside.chunks(width).map(distances_in_row).collect();
        let is_near = |y: usize, x: usize| {
            (y.saturating_sub(pixels)..=(y.saturating_add(pixels)).min(height - 1)).any(|row| {
                let reach = (radius.powi(2) - (row.abs_diff(y) as f64).powi(2)).sqrt();
                distances[row][x].is_some_and(|distance| distance as f64 <= reach)
            })
        };
        let inside = (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).map(|(y, x)| is_near(y, x)).collect();
        Self { height, width, inside }
    }
}

/// How far every pixel of a row is from the nearest one inside; `None` where the row has none.
fn distances_in_row(inside: &[bool]) -> Vec<Option<usize>> {
    let mut distances = vec![None; inside.len()];
    let forward: Vec<usize> = (0..inside.len()).collect();
    let backward: Vec<usize> = forward.iter().rev().copied().collect();
    for walk in [forward, backward] {
        let mut last = None;
        for x in walk {
            if inside[x] {
                last = Some(x);
            }
            let distance = last.map(|last| x.abs_diff(last));
            distances[x] = [distances[x], distance].into_iter().flatten().min();
        }
    }
    distances
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mask(rows: &[&str]) -> Mask {
        let inside = rows.iter().flat_map(|row| row.chars()).map(|pixel| pixel == '#').collect();
        Mask::new(rows.len(), rows[0].len(), inside).unwrap()
    }

    #[test]
    fn a_widened_pixel_is_a_disc() {
        let point = mask(&[".....", ".....", "..#..", ".....", "....."]);
        assert_eq!(point.widened(0), point);
        assert_eq!(point.widened(1), mask(&[".....", "..#..", ".###.", "..#..", "....."]));
        // √(1 + 4) > 2, √(1 + 1) < 2.
        assert_eq!(point.widened(2), mask(&["..#..", ".###.", "#####", ".###.", "..#.."]));
        assert_eq!(point.widened(usize::MAX).count(), 25);
    }

    #[test]
    fn widening_from_the_border_and_of_nothing() {
        assert_eq!(mask(&["#...#", "....."]).widened(1), mask(&["##.##", "#...#"]));
        assert_eq!(mask(&["..", ".."]).widened(9).count(), 0);
    }

    #[test]
    fn share_of_the_picture() {
        assert_eq!(mask(&["#..", "#.#"]).share(), 0.5);
    }

    #[test]
    fn as_many_values_as_pixels() {
        assert!(Mask::new(2, 2, vec![true; 3]).is_err());
        assert!(Mask::new(0, 2, Vec::new()).is_err());
    }
}
