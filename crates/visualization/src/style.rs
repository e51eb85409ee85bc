//! All steps of a drawing in one declared value.

use crate::color::Palette;
use crate::drawing::Drawing;
use crate::scale::{FullScale, scaled};
use crate::{ChannelReduction, ColorMap, Overlay, PictureColors, SaliencyMap, Scaling, Sign};
use burnsight_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Everything that stands between the numbers of a map and its picture, in the order in which it is applied.
///
/// Serialised, it declares in a sidecar file what a picture shows. Start from [`Style::sequential`],
/// [`Style::diverging`] or [`Style::channels`] and change fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Style {
    /// How channels become one number.
    pub reduction: ChannelReduction,
    /// Which sign is drawn.
    pub sign: Sign,
    /// Which value becomes full scale.
    pub scaling: Scaling,
    /// Which colour a scaled value has.
    pub colors: ColorMap,
    /// How the map lies over the picture.
    pub overlay: Overlay,
}

impl Style {
    /// Magnitude only: max-abs over channels, each map clipped at its 99th percentile, inferno. For gradients, whose
    /// sign depends on whether the object is lighter or darker than its ground (Smilkov et al. 2017), and for maps
    /// without a negative part such as Grad-CAM.
    pub fn sequential() -> Self {
        Self {
            reduction: ChannelReduction::MaxAbs,
            sign: Sign::Absolute,
            scaling: Scaling::PerImage { percentile: 99.0 },
            colors: ColorMap::Inferno,
            overlay: Overlay::default(),
        }
    }

    /// For and against: channels summed, sign kept, each map clipped at its 99th percentile of magnitude, blue to red.
    /// For maps whose values are contributions: input × gradient, integrated gradients, LRP, occlusion, SHAP. The
    /// picture below is grey, or its own reds and blues would look like evidence.
    pub fn diverging() -> Self {
        Self {
            reduction: ChannelReduction::Sum,
            sign: Sign::Signed,
            colors: ColorMap::BlueRed,
            overlay: Overlay { picture: PictureColors::Grey, ..Overlay::default() },
            ..Self::sequential()
        }
    }

    /// The three channels of the map as colours around mid grey, clipped at the 99th percentile of all three together.
    /// For guided backprop and DeconvNet, as their papers show them: alone, by [`Drawing::image`]. Over the picture its
    /// fine structure is lost among the picture's own.
    pub fn channels() -> Self {
        Self { reduction: ChannelReduction::None, sign: Sign::Signed, colors: ColorMap::Channels, ..Self::sequential() }
    }

    /// Checks every setting and that they go together, before any map is there.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a percentile, full scale or opacity out of range, a sign that the reduction has already
    /// lost, and colours that cannot show the sign.
    pub fn check(&self) -> Result<()> {
        self.scaling.check()?;
        self.overlay.check()?;
        let signed = self.sign == Sign::Signed;
        let refuse = |parameter, value: &dyn std::fmt::Debug, need: &str| {
            Err(Error::parameter(parameter, format!("{value:?}"), need))
        };
        if self.reduction == ChannelReduction::MaxAbs && self.sign != Sign::Absolute {
            return refuse(
                "sign",
                &self.sign,
                "max-abs over channels leaves no sign; sum the channels or draw absolute",
            );
        }
        if self.colors == ColorMap::Channels && !(signed && self.reduction == ChannelReduction::None) {
            return refuse("colors", &self.colors, "the map's own channels need reduction none and sign signed");
        }
        if signed && !self.colors.is_diverging() {
            return refuse("colors", &self.colors, "a signed drawing needs diverging colours: blue-red or grey");
        }
        if !signed && !self.colors.is_sequential() {
            return refuse("colors", &self.colors, "only a signed drawing has use for diverging colours; try inferno");
        }
        Ok(())
    }

    /// This style with one full scale for all `maps`: the percentile of their magnitudes pooled.
    ///
    /// # Errors
    /// As [`Style::draw`]; and [`Error::Parameter`] without a map, or when the scaling is [`Scaling::None`].
    pub fn shared_over<'a>(&self, maps: impl IntoIterator<Item = &'a SaliencyMap>) -> Result<Self> {
        let (Scaling::PerImage { percentile } | Scaling::Shared { percentile, .. }) = self.scaling else {
            return Err(Error::parameter("scaling", "none", "a shared scale needs a percentile: start from per-image"));
        };
        let mut pooled = Vec::new();
        for map in maps {
            pooled.extend(self.signed_values(map)?);
        }
        if pooled.is_empty() {
            return Err(Error::parameter("maps", 0, "a shared scale needs at least one map"));
        }
        let full_scale = FullScale::of(pooled.into_iter(), percentile).value;
        Ok(Self { scaling: Scaling::Shared { percentile, full_scale }, ..self.clone() })
    }

    /// Draws `map`, `[channels, height, width]`, pixel by pixel; [`Drawing::over`] puts it on the picture.
    ///
    /// # Errors
    /// As [`Style::check`]; and [`Error::Image`] when the map's channels do not fit the reduction or the colours.
    pub fn draw(&self, map: &SaliencyMap) -> Result<Drawing> {
        let values = self.signed_values(map)?;
        let mut notes = Vec::new();
        let full_scale = match self.scaling {
            Scaling::PerImage { percentile } => {
                let found = FullScale::of(values.iter().copied(), percentile);
                if found.fell_back_to_maximum {
                    notes.push(format!("scaled to the maximum: percentile {percentile} is zero"));
                }
                found.value
            }
            Scaling::Shared { full_scale, .. } => full_scale,
            Scaling::None => 1.0,
        };
        let beyond = values.iter().filter(|v| v.abs() > 1.0).count();
        if self.scaling == Scaling::None && beyond > 0 {
            notes.push(format!("unscaled: {beyond} of {} values beyond 1 are clipped", values.len()));
        }
        notes.extend(self.emptiness(map, &values));

        let pixels = map.width() * map.height();
        let planes =
            values.chunks(pixels).map(|plane| plane.iter().map(|&v| scaled(v, full_scale)).collect()).collect();
        let palette = Palette::new(self.colors, self.sign == Sign::Signed);
        Ok(Drawing { style: self.clone(), full_scale, notes, size: [map.width(), map.height()], planes, palette })
    }

    /// The map after reduction and sign: one plane, or three where the channels are colours.
    fn signed_values(&self, map: &SaliencyMap) -> Result<Vec<f64>> {
        self.check()?;
        let shape = || format!("map [{}, {}, {}]", map.channels(), map.height(), map.width());
        if self.colors == ColorMap::Channels && map.channels() != 3 {
            return Err(Error::image(shape(), "only a map of three channels can be drawn in its own colours"));
        }
        if self.reduction == ChannelReduction::None && self.colors != ColorMap::Channels && map.channels() != 1 {
            return Err(Error::image(shape(), "reduction none needs one channel; reduce by max-abs or sum"));
        }
        Ok(self.reduction.apply(map).into_iter().map(|v| self.sign.apply(v)).collect())
    }

    /// What a reader must know who sees an evenly coloured picture.
    fn emptiness(&self, map: &SaliencyMap, values: &[f64]) -> Option<String> {
        let all_zero = values.iter().all(|&v| v == 0.0);
        let constant = values.iter().all(|&v| v == values[0]);
        if all_zero && ChannelReduction::None.apply(map).iter().all(|&v| v == 0.0) {
            Some("the map is zero everywhere".into())
        } else if all_zero {
            Some(match self.sign {
                Sign::Positive => "the map is positive nowhere".into(),
                Sign::Negative => "the map is negative nowhere".into(),
                Sign::Absolute | Sign::Signed => "the channels cancel everywhere".into(),
            })
        } else if constant && values.len() > 1 {
            Some("the map is the same everywhere".into())
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn map(values: &[f32]) -> SaliencyMap {
        SaliencyMap::new(1, 1, values.len(), values.to_vec()).unwrap()
    }

    fn full(style: Style) -> Style {
        Style { scaling: Scaling::PerImage { percentile: 100.0 }, ..style }
    }

    fn colors(drawing: &Drawing) -> Vec<[u8; 3]> {
        drawing.image().pixels().map(|p| p.0).collect()
    }

    #[test]
    fn zero_is_exactly_neutral_however_lopsided_the_map() {
        let neutral = Palette::new(ColorMap::BlueRed, true).at(0.5);
        for values in [[-1.0, 0.0, 1.0], [0.0, 0.0, 5.0], [-1e30, 0.0, 1e-30], [-3.0, 0.0, -2.0]] {
            assert_eq!(colors(&full(Style::diverging()).draw(&map(&values)).unwrap())[1], neutral, "{values:?}");
        }
    }

    #[test]
    fn a_map_without_negative_values_leaves_the_against_half_unused() {
        let drawing = full(Style::diverging()).draw(&map(&[0.0, 1.0, 2.0])).unwrap();
        assert_eq!(drawing.planes[0], [0.0, 0.5, 1.0]);
    }

    #[test]
    fn per_image_scaling_hides_strength_and_shared_scaling_shows_it() {
        let (strong, weak) = (map(&[0.0, 4.0]), map(&[0.0, 1.0]));
        let own = full(Style::sequential());
        assert_eq!(own.draw(&weak).unwrap().planes, own.draw(&strong).unwrap().planes);
        let shared = own.shared_over([&strong, &weak]).unwrap();
        assert_eq!(shared.draw(&strong).unwrap().planes[0], [0.0, 1.0]);
        assert_eq!(shared.draw(&weak).unwrap().planes[0], [0.0, 0.25]);
        assert_eq!(shared.scaling, Scaling::Shared { percentile: 100.0, full_scale: 4.0 });
    }

    #[test]
    fn a_shared_scale_needs_maps_and_a_percentile() {
        assert!(Style::sequential().shared_over([]).is_err());
        let unscaled = Style { scaling: Scaling::None, ..Style::sequential() };
        assert!(unscaled.shared_over([&map(&[1.0])]).is_err());
    }

    #[test]
    fn the_percentile_becomes_full_scale() {
        let values: Vec<f32> = (0..=100).map(|i| i as f32).collect();
        let drawing = Style::sequential().draw(&map(&values)).unwrap();
        assert_eq!(drawing.full_scale, 99.0);
        assert_eq!(drawing.planes[0][98..], [98.0 / 99.0, 1.0, 1.0]);
    }

    #[test]
    fn unscaled_values_are_taken_as_they_are_and_clipping_is_noted() {
        let style = Style { scaling: Scaling::None, ..Style::diverging() };
        let drawing = style.draw(&map(&[-0.5, 0.25, 3.0])).unwrap();
        assert_eq!(drawing.planes[0], [-0.5, 0.25, 1.0]);
        assert_eq!(drawing.notes, ["unscaled: 1 of 3 values beyond 1 are clipped"]);
    }

    #[test]
    fn zero_maps_are_neutral_in_every_style_and_say_so() {
        let zero = SaliencyMap::new(3, 2, 3, vec![0.0; 18]).unwrap();
        for style in [Style::sequential(), Style::diverging(), Style::channels()] {
            let drawing = style.draw(&zero).unwrap();
            let zero_color = Palette::new(style.colors, style.sign == Sign::Signed).color(0.0);
            assert!(colors(&drawing).iter().all(|&c| c == zero_color), "{style:?}");
            assert_eq!(drawing.notes, ["the map is zero everywhere"]);
        }
    }

    #[test]
    fn maps_of_which_nothing_is_left_say_why() {
        let notes = |style: Style, values: &[f32]| style.draw(&map(values)).unwrap().notes;
        let positive = Style { reduction: ChannelReduction::Sum, sign: Sign::Positive, ..Style::sequential() };
        let negative = Style { sign: Sign::Negative, ..positive.clone() };
        assert_eq!(notes(positive, &[-1.0, -2.0]), ["the map is positive nowhere"]);
        assert_eq!(notes(negative, &[1.0, 2.0]), ["the map is negative nowhere"]);
        assert_eq!(notes(Style::sequential(), &[3.0, 3.0]), ["the map is the same everywhere"]);
        let cancelling = SaliencyMap::new(2, 1, 1, vec![1.0, -1.0]).unwrap();
        assert_eq!(Style::diverging().draw(&cancelling).unwrap().notes, ["the channels cancel everywhere"]);
    }

    #[test]
    fn a_sparse_map_is_drawn_and_says_how() {
        let mut values = [0.0; 500];
        values[7] = 2.0;
        let drawing = Style::sequential().draw(&map(&values)).unwrap();
        assert_eq!(drawing.planes[0][7], 1.0);
        assert_eq!(drawing.notes, ["scaled to the maximum: percentile 99 is zero"]);
    }

    #[test]
    fn channels_are_colours_around_mid_grey() {
        let map = SaliencyMap::new(3, 1, 2, vec![2.0, 0.0, 0.0, 0.0, -2.0, 0.0]).unwrap();
        assert_eq!(colors(&full(Style::channels()).draw(&map).unwrap()), [[255, 127, 0], [127; 3]]);
    }

    #[test]
    fn huge_tiny_and_single_values_are_drawn() {
        for value in [f32::MAX, 1e30, 1e-30, f32::MIN_POSITIVE] {
            let drawing = Style::diverging().draw(&map(&[value])).unwrap();
            assert_eq!(drawing.planes[0], [1.0], "{value}");
            let pair = full(Style::diverging()).draw(&map(&[value, -value / 2.0])).unwrap();
            assert_eq!(pair.planes[0], [1.0, -0.5], "{value}");
        }
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let refused = |style: Style| style.check().unwrap_err().to_string();
        assert!(refused(Style { sign: Sign::Signed, ..Style::sequential() }).contains("max-abs"));
        assert!(refused(Style { colors: ColorMap::Inferno, ..Style::diverging() }).contains("diverging colours"));
        assert!(refused(Style { colors: ColorMap::BlueRed, ..Style::sequential() }).contains("inferno"));
        assert!(refused(Style { colors: ColorMap::Channels, ..Style::diverging() }).contains("reduction none"));
        let two = SaliencyMap::new(2, 1, 1, vec![0.0; 2]).unwrap();
        assert!(Style::channels().draw(&two).is_err());
        let unreduced = Style { reduction: ChannelReduction::None, ..Style::sequential() };
        assert!(unreduced.draw(&two).unwrap_err().to_string().contains("one channel"));
        assert!(unreduced.draw(&map(&[1.0])).is_ok());
    }

    #[test]
    fn styles_survive_json() {
        let shared = Scaling::Shared { percentile: 99.5, full_scale: 0.1 };
        for style in [
            Style::sequential(),
            Style { scaling: shared, ..Style::diverging() },
            Style { scaling: Scaling::None, ..Style::channels() },
        ] {
            let json = serde_json::to_string(&style).unwrap();
            assert_eq!(serde_json::from_str::<Style>(&json).unwrap(), style, "{json}");
        }
        let json = serde_json::to_value(Style::sequential()).unwrap();
        assert_eq!(json["reduction"], "max-abs");
        assert_eq!(json["scaling"]["per-image"]["percentile"], 99.0);
        let typo = json.to_string().replace("percentile", "percentil");
        assert!(serde_json::from_str::<Style>(&typo).is_err());
    }
}
