//! Pictures in which some pixels have been replaced, the first in some order.

use burn::tensor::{Tensor, TensorData};
use burnsight_core::{Result, Row, select_images};

use crate::Subject;

/// Two versions of every picture, the one taking the place of the other pixel by pixel.
pub struct Replacement {
    pub before: Tensor<4>,
    pub after: Tensor<4>,
}

impl Replacement {
    /// What is measured of every picture when so many of its places are replaced; `None` for pictures without an order.
    pub fn curves(
        &self,
        subject: &Subject<'_>,
        places: &[Option<Vec<f32>>],
        counts: &[usize],
        measure: impl Fn(Tensor<4>, &[Row]) -> Result<Vec<f32>>,
    ) -> Result<Vec<Option<Vec<f64>>>> {
        let [_, _, height, width] = self.before.dims();
        let place = (&self.before.device(), self.before.dtype());
        let ordered: Vec<usize> = (0..places.len()).filter(|image| places[*image].is_some()).collect();
        let flat: Vec<f32> = places.iter().flatten().flatten().copied().collect();
        let flat = Tensor::<4>::from_data(TensorData::new(flat, [ordered.len(), 1, height, width]), place);
        let mut curves: Vec<Option<Vec<f64>>> =
            places.iter().map(|places| places.as_ref().map(|_| Vec::new())).collect();
        subject.batches().run(ordered.len(), counts.len(), |rows| {
            let images: Vec<usize> = rows.iter().map(|row| ordered[row.image]).collect();
            let counts: Vec<f32> = rows.iter().map(|row| counts[row.sample] as f32).collect();
            let counts = Tensor::<4>::from_data(TensorData::new(counts, [rows.len(), 1, 1, 1]), place);
            let of_rows = select_images(&flat, rows.iter().map(|row| row.image));
            let before = select_images(&self.before, images.iter().copied());
            let is_replaced = of_rows.lower(counts.expand([rows.len(), 1, height, width])).expand(before.dims());
            let changed = before.mask_where(is_replaced, select_images(&self.after, images.iter().copied()));
            let rows: Vec<Row> =
                rows.iter().zip(&images).map(|(row, image)| Row { image: *image, sample: row.sample }).collect();
            for (row, value) in rows.iter().zip(measure(changed, &rows)?) {
                curves[row.image].iter_mut().for_each(|curve| curve.push(f64::from(value)));
            }
            Ok(())
        })?;
        Ok(curves)
    }
}

/// The place of every pixel when the largest come first, from 0. Of equal ones the upper left comes first; where all are equal
/// there is no order.
pub fn places(map: &[f32]) -> Option<Vec<f32>> {
    if map.iter().all(|value| *value == map[0]) {
        return None;
    }
    let mut order: Vec<usize> = (0..map.len()).collect();
    // −0 + 0 is 0: the total order would put −0, as products with a zero gradient are, behind its equal.
    order.sort_by(|a, b| (map[*b] + 0.0).total_cmp(&(map[*a] + 0.0)));
    let mut places = vec![0.0; map.len()];
    order.iter().enumerate().for_each(|(place, pixel)| places[*pixel] = place as f32);
    Some(places)
}

/// The points of curves, for pictures without one as many that are not defined.
pub fn points(curves: Vec<Option<Vec<f64>>>, length: usize) -> Vec<Vec<Option<f64>>> {
    let points = |curve: Option<Vec<f64>>| match curve {
        Some(curve) => curve.into_iter().map(Some).collect(),
        None => vec![None; length],
    };
    curves.into_iter().map(points).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_first_and_of_equal_ones_the_upper_left() {
        assert_eq!(places(&[0.5, 2.0, 0.5, -1.0]), Some(vec![1.0, 0.0, 2.0, 3.0]));
        assert_eq!(places(&[-0.0, 0.0, 1.0, -0.0]), Some(vec![1.0, 2.0, 0.0, 3.0]));
        assert_eq!(places(&[0.5, 0.5]), None);
        assert_eq!(places(&[0.0, -0.0]), None);
    }
}
