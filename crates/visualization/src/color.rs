//! From a scaled value to a colour.

use colorgrad::{Gradient, preset};
use serde::{Deserialize, Serialize};

/// Fourth step: the colour of a scaled value.
///
/// The *sequential* maps, for `[0, 1]`, grow steadily in lightness, so that equal steps of the value look equally large
/// (rainbow maps do not, and draw edges where there are none). The *diverging* ones are for `[-1, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColorMap {
    /// Black to white; as a diverging map black (against) over mid grey (zero) to white (for).
    Grey,
    /// Black over purple and orange to pale yellow. Sequential.
    Inferno,
    /// Black over purple and pink to pale yellow. Sequential.
    Magma,
    /// Dark blue over green to yellow; tells well apart for colour-blind readers. Sequential.
    Viridis,
    /// Blue (against) over near white (zero) to red (for): ColorBrewer's RdBu, reversed. Diverging.
    BlueRed,
    /// The map's own three channels as red, green and blue, zero at mid grey: how guided backprop is usually shown.
    /// Diverging, and only for maps of three channels that are not reduced.
    Channels,
}

impl ColorMap {
    pub(crate) fn is_sequential(self) -> bool {
        !matches!(self, Self::BlueRed | Self::Channels)
    }

    pub(crate) fn is_diverging(self) -> bool {
        matches!(self, Self::Grey | Self::BlueRed | Self::Channels)
    }

    /// `position` runs from 0, the low end, to 1, the high end.
    fn at(self, position: f32) -> [u8; 3] {
        // Half rounds down, so that the middle is 127 on either side of white and black.
        let grey = || [(255.0 * position).floor() as u8; 3];
        let preset = |gradient: colorgrad::BasisGradient, t: f32| {
            let [r, g, b, _] = gradient.at(t).to_rgba8();
            [r, g, b]
        };
        match self {
            Self::Grey | Self::Channels => grey(),
            Self::Inferno => preset(preset::inferno(), position),
            Self::Magma => preset(preset::magma(), position),
            Self::Viridis => preset(preset::viridis(), position),
            // The outermost tenths are nearly black: on a dark picture the strongest evidence would vanish.
            Self::BlueRed => preset(preset::rd_bu(), 0.9 - 0.8 * position),
        }
    }
}

/// A colour map as a table, because a spline per pixel is slow on large pictures.
#[derive(Debug, Clone)]
pub(crate) struct Palette {
    colors: Vec<[u8; 3]>,
    signed: bool,
}

/// Even, so that zero of a signed palette falls exactly on an entry; fine enough to move 8-bit colours by one.
const STEPS: usize = 1024;

impl Palette {
    pub fn new(colors: ColorMap, signed: bool) -> Self {
        Self { colors: (0..=STEPS).map(|i| colors.at(i as f32 / STEPS as f32)).collect(), signed }
    }

    /// `value` in `[-1, 1]` if the palette is signed, else in `[0, 1]`.
    pub fn color(&self, value: f32) -> [u8; 3] {
        let position = if self.signed { (value + 1.0) / 2.0 } else { value };
        self.at(position)
    }

    /// `position` runs from 0, the low end, to 1, the high end.
    pub fn at(&self, position: f32) -> [u8; 3] {
        self.colors[(position * STEPS as f32).round() as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_middle() {
        let grey = Palette::new(ColorMap::Grey, false);
        assert_eq!([0.0, 0.5, 1.0].map(|v| grey.color(v)), [[0; 3], [127; 3], [255; 3]]);
        let signed = Palette::new(ColorMap::Grey, true);
        assert_eq!([-1.0, 0.0, 1.0].map(|v| signed.color(v)), [[0; 3], [127; 3], [255; 3]]);
        let inferno = Palette::new(ColorMap::Inferno, false);
        assert_eq!([inferno.color(0.0), inferno.color(1.0)], [[0x00, 0x00, 0x04], [0xfc, 0xff, 0xa4]]);
    }

    #[test]
    fn zero_is_neutral_and_the_ends_are_blue_and_red() {
        let palette = Palette::new(ColorMap::BlueRed, true);
        let [r, g, b] = palette.color(0.0);
        assert!(r.abs_diff(b) < 6 && r.abs_diff(g) < 6 && r > 235, "{r} {g} {b}");
        let [r, _, b] = palette.color(1.0);
        assert!(r > b + 100);
        let [r, _, b] = palette.color(-1.0);
        assert!(b > r + 100);
    }

    #[test]
    fn sequential_maps_grow_in_lightness() {
        for colors in [ColorMap::Grey, ColorMap::Inferno, ColorMap::Magma, ColorMap::Viridis] {
            let palette = Palette::new(colors, false);
            let lightness = |i: u8| {
                let [r, g, b] = palette.at(f32::from(i) / 20.0);
                0.2126 * f32::from(r) + 0.7152 * f32::from(g) + 0.0722 * f32::from(b)
            };
            assert!((0..20).all(|i| lightness(i) < lightness(i + 1)), "{colors:?}");
        }
    }
}
