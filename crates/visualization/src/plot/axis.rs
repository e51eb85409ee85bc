//! The range of an axis and the round numbers on it.

/// A range of numbers with marks at multiples of 1, 2 or 5 times a power of ten.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    step: f64,
}

impl Axis {
    /// An axis that holds all finite values with a little room, marked at most `marks` times; `None` without a value. Zero
    /// is part of it when it is near.
    pub fn of(values: impl IntoIterator<Item = f64>, marks: usize) -> Option<Self> {
        let (low, high) = extent(values)?;
        let (low, high) = if low > 0.0 && low < 0.4 * high { (0.0, high) } else { (low, high) };
        let (low, high) = if high < 0.0 && high > 0.4 * low { (low, 0.0) } else { (low, high) };
        // A constant is drawn in the middle. The span must be more than the rounding of the values.
        let size = low.abs().max(high.abs());
        let room = if high - low > 1e-9 * size { 0.04 * (high - low) } else { (0.5 * size).max(1e-300) };
        let room = if size == 0.0 { 1.0 } else { room };
        let below = if low == 0.0 && high > 0.0 { 0.0 } else { room };
        let above = if high == 0.0 && low < 0.0 { 0.0 } else { room };
        Some(Self::over(low - below, high + above, marks))
    }

    /// An axis from the smallest to the largest value, without room.
    pub fn tight(values: impl IntoIterator<Item = f64>, marks: usize) -> Option<Self> {
        let (low, high) = extent(values)?;
        Some(if high > low { Self::over(low, high, marks) } else { Self::over(low - 0.5, high + 0.5, marks) })
    }

    fn over(low: f64, high: f64, marks: usize) -> Self {
        // Halved first: the difference of two large numbers may overflow.
        let least = 2.0 * ((high / 2.0 - low / 2.0) / marks.max(1) as f64);
        let power = 10f64.powf(least.log10().floor());
        let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least);
        Self { low, high, step: factor.unwrap_or(10.0) * power }
    }

    /// Where the marks are.
    pub fn marks(&self) -> Vec<f64> {
        // Rounding of the last mark must not lose it.
        let (first, last) = ((self.low / self.step - 1e-9).ceil(), (self.high / self.step + 1e-9).floor());
        let count = if (last - first).is_finite() { (last - first) as usize } else { 0 };
        (0..=count.min(100)).map(|index| (first + index as f64) * self.step + 0.0).collect()
    }

    /// A mark's number, with the decimals that tell it from the next.
    pub fn label(&self, mark: f64) -> String {
        self.format(mark, 0)
    }

    /// A number to `further` decimals more than the marks.
    pub fn format(&self, value: f64, further: usize) -> String {
        let digits = -self.step.log10().floor() as i32;
        let size = self.low.abs().max(self.high.abs());
        let text = if size >= 1e6 || digits > 4 {
            let significant = size.log10().floor() as i32 + digits;
            format!("{value:.0$e}", significant.clamp(0, 6) as usize + further)
        } else {
            format!("{value:.0$}", digits.max(0) as usize + further)
        };
        let is_zero = text.chars().all(|c| !('1'..='9').contains(&c) || text.starts_with("0e"));
        if is_zero { text.trim_start_matches('-').into() } else { text.replace('-', "−") }
    }

    /// Where a value is, between 0 and 1.
    pub fn share(&self, value: f64) -> f64 {
        (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
    }
}

fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |range, value| match range {
        Some((low, high)) => Some((value.min(low), value.max(high))),
        None => Some((value, value)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.marks().iter().map(|&mark| axis.label(mark)).collect()
    }

    #[test]
    fn marks_are_round_numbers_written_alike() {
        assert_eq!(labels(&Axis::tight([0.0, 1.0], 5).unwrap()), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::tight([-1.0, 1.0], 4).unwrap()), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(&Axis::tight([0.0, 100.0], 5).unwrap()), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(labels(&Axis::tight([0.993, 0.9991], 4).unwrap()), ["0.994", "0.996", "0.998"]);
        assert_eq!(labels(&Axis::tight([0.0, 3e-7], 3).unwrap()), ["0e0", "1e−7", "2e−7", "3e−7"]);
        assert_eq!(labels(&Axis::tight([0.0, 2e9], 2).unwrap()), ["0e0", "1e9", "2e9"]);
    }

    #[test]
    fn axes_hold_their_values_and_the_zero_that_is_near() {
        let axis = Axis::of([0.1, f64::NAN, 0.9, f64::INFINITY], 5).unwrap();
        assert!(axis.low == 0.0 && (0.9..1.0).contains(&axis.high), "{axis:?}");
        let axis = Axis::of([0.7, 0.9], 5).unwrap();
        assert!((0.6..0.7).contains(&axis.low), "{axis:?}");
        let axis = Axis::of([-0.5, 0.5], 5).unwrap();
        assert!(axis.low < -0.5 && axis.high > 0.5 && axis.share(0.0) == 0.5);
    }

    #[test]
    fn constants_and_extremes_have_an_axis() {
        assert_eq!(Axis::of([f64::NAN], 5), None);
        for values in
            [[0.0, 0.0], [3.0, 3.0], [-2e-12, -2e-12], [1.0, 1.0 + f64::EPSILON], [-1e300, 1e300], [0.0, 1e-300]]
        {
            let axis = Axis::of(values, 5).unwrap();
            assert!(
                axis.low < axis.high && values.iter().all(|value| (axis.low..=axis.high).contains(value)),
                "{axis:?}"
            );
            assert!((1..=12).contains(&axis.marks().len()), "{axis:?} {:?}", axis.marks());
            assert!(axis.share(values[0]).is_finite() && !axis.label(values[1]).is_empty());
        }
    }
}
