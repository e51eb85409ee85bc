//! Statistics of sampled maps.

use burn::tensor::Tensor;

/// Mean and spread of maps that arrive one after the other (Welford's algorithm, Technometrics 1962).
///
/// Sums of squares would lose the variance to rounding in `f32` when maps hardly differ; Welford's update does not, and
/// a single map is returned bit for bit as its own mean.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    count: usize,
    /// Mean, and sum of squared deviations from it.
    state: Option<(Tensor<4>, Tensor<4>)>,
}

impl Moments {
    /// Adds one map.
    ///
    /// # Shapes
    /// - map: `[1, c, h, w]`, the same for every call
    pub fn add(&mut self, map: Tensor<4>) {
        self.count += 1;
        self.state = Some(match self.state.take() {
            None => {
                let squares = map.zeros_like();
                (map, squares)
            }
            Some((mean, squares)) => {
                let deviation = map.clone() - mean.clone();
                let mean = mean + deviation.clone() / self.count as f32;
                let squares = squares + deviation * (map - mean.clone());
                (mean, squares)
            }
        });
    }

    /// How many maps were added.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The mean map. `None` before the first map.
    pub fn mean(&self) -> Option<Tensor<4>> {
        self.state.as_ref().map(|(mean, _)| mean.clone())
    }

    /// Population variance, E\[x²\] − E\[x\]². `None` before the first map.
    pub fn variance(&self) -> Option<Tensor<4>> {
        self.state.as_ref().map(|(_, squares)| squares.clone() / self.count as f32)
    }

    /// Mean of squares, E\[x²\]. `None` before the first map.
    pub fn mean_of_squares(&self) -> Option<Tensor<4>> {
        Some(self.variance()? + self.mean()?.square())
    }

    /// Standard error of the mean, s/√n with the unbiased s. `None` before the second map: one sample has no spread.
    pub fn standard_error(&self) -> Option<Tensor<4>> {
        let (_, squares) = self.state.as_ref().filter(|_| self.count > 1)?;
        let count = self.count as f32;
        Some((squares.clone() / (count * (count - 1.0))).sqrt())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Device;

    use super::*;

    fn value(map: Option<Tensor<4>>) -> f32 {
        map.unwrap().into_scalar()
    }

    #[test]
    fn hand_computed() {
        let mut moments = Moments::default();
        assert!(moments.mean().is_none() && moments.variance().is_none() && moments.mean_of_squares().is_none());
        for x in [1.0, 3.0, 8.0] {
            moments.add(Tensor::full([1, 1, 1, 1], x, &Device::default()));
        }
        assert!((value(moments.mean()) - 4.0).abs() < 1e-6);
        assert!((value(moments.variance()) - 26.0 / 3.0).abs() < 1e-5); // (9 + 1 + 16) / 3
        assert!((value(moments.mean_of_squares()) - 74.0 / 3.0).abs() < 1e-5);
        assert!((value(moments.standard_error()) - (26.0f32 / 2.0 / 3.0).sqrt()).abs() < 1e-5);
        assert_eq!(moments.count(), 3);
    }

    #[test]
    fn one_map_is_its_own_mean_and_has_no_standard_error() {
        let mut moments = Moments::default();
        moments.add(Tensor::full([1, 1, 1, 1], 0.1, &Device::default()));
        assert_eq!(value(moments.mean()), 0.1);
        assert_eq!(value(moments.variance()), 0.0);
        assert!(moments.standard_error().is_none());
    }

    #[test]
    fn small_spread_on_a_large_mean_survives() {
        let mut moments = Moments::default();
        for x in [1000.0, 1000.5] {
            moments.add(Tensor::full([1, 1, 1, 1], x, &Device::default()));
        }
        assert!((value(moments.variance()) - 0.0625).abs() < 1e-6);
    }
}
