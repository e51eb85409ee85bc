//! What the colours of a drawing mean: a colour bar with its end values.

use crate::color::Palette;
use crate::text::{INK, PALE_INK, Text};
use crate::{ColorMap, Drawing, Scaling, Sign};
use image::{Rgb, RgbImage};

/// A colour bar's content, from [`Drawing::legend`]. Drawings in the same colours and on the same scale have equal
/// legends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Legend {
    colors: ColorMap,
    signed: bool,
    /// Under the left end, the middle and the right end of the bar.
    labels: [String; 3],
    /// Under the labels: what is drawn, and on which scale.
    description: String,
}

impl Legend {
    pub(crate) fn of(drawing: &Drawing) -> Self {
        let style = &drawing.style;
        let (full, scale) = match style.scaling {
            Scaling::PerImage { percentile: 100.0 } => ("max".to_owned(), "each map on its own scale"),
            Scaling::PerImage { percentile } => (format!("percentile {percentile}"), "each map on its own scale"),
            Scaling::Shared { .. } => (number(drawing.full_scale), "one scale for all maps"),
            Scaling::None => ("1".to_owned(), "values as they are"),
        };
        let (low, middle, high, description) = match style.sign {
            Sign::Absolute => ("0", "", full, format!("magnitude, {scale}")),
            Sign::Positive => ("0", "", full, format!("evidence for, {scale}")),
            Sign::Negative => ("0", "", full, format!("evidence against, {scale}")),
            Sign::Signed if style.colors == ColorMap::Channels => {
                ("negative", "0", "positive".into(), format!("red, green and blue, {scale}, full at ±{full}"))
            }
            Sign::Signed => ("against", "0", "for".into(), format!("{scale}, full at ±{full}")),
        };
        let labels = [low.into(), middle.into(), high];
        Self { colors: style.colors, signed: style.sign == Sign::Signed, labels, description }
    }

    /// Height of what [`Legend::draw`] draws in a block of this width.
    pub(crate) fn height(&self, text: &Text, width: u32) -> u32 {
        let lines = 1 + text.wrap(&self.description, width, DESCRIPTION_LINES).len() as u32;
        bar_height(text) + text.line_height / 4 + lines * text.line_height
    }

    /// Draws bar, labels and description into the block of `width` pixels right of and below `(left, top)`.
    pub(crate) fn draw(&self, image: &mut RgbImage, text: &Text, (left, top): (u32, u32), width: u32) {
        let palette = Palette::new(self.colors, self.signed);
        for x in 0..width {
            let color = Rgb(palette.at(x as f32 / (width - 1).max(1) as f32));
            (0..bar_height(text)).for_each(|y| image.put_pixel(left + x, top + y, color));
        }
        let mut line = top + bar_height(text) + text.line_height / 4;
        let [low, middle, high] = &self.labels;
        // The low label, 0 or a word, is short: what it leaves over belongs to the high one.
        let high = text.shorten(high, width.saturating_sub(text.width(low) + text.width(middle)) * 9 / 10);
        text.draw(image, low, (left, line), INK);
        text.draw(image, middle, (left + (width - text.width(middle)) / 2, line), INK);
        text.draw(image, &high, (left + width - text.width(&high), line), INK);
        for words in text.wrap(&self.description, width, DESCRIPTION_LINES) {
            line += text.line_height;
            text.draw(image, &words, (left, line), PALE_INK);
        }
    }
}

const DESCRIPTION_LINES: usize = 2;

fn bar_height(text: &Text) -> u32 {
    text.line_height * 2 / 3
}

/// Three significant digits, as short as they can be written.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let exponent = value.abs().log10().floor() as i32;
    if (-3..=4).contains(&exponent) {
        format!("{value:.0$}", (2 - exponent).max(0) as usize)
    } else {
        format!("{value:.2e}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{SaliencyMap, Style};

    fn legend(style: &Style, values: [f32; 2]) -> Legend {
        style.draw(&SaliencyMap::new(1, 1, 2, values.to_vec()).unwrap()).unwrap().legend()
    }

    #[test]
    fn legends_name_the_ends_and_the_scale() {
        let own = legend(&Style::sequential(), [0.0, 1.0]);
        assert_eq!(own.labels, ["0", "", "percentile 99"]);
        assert_eq!(own.description, "magnitude, each map on its own scale");
        let signed = legend(&Style::diverging(), [0.0, 1.0]);
        assert_eq!(signed.labels, ["against", "0", "for"]);
        let shared = Scaling::Shared { percentile: 99.0, full_scale: 0.01234 };
        let shared = legend(&Style { scaling: shared, ..Style::diverging() }, [0.0, 1.0]);
        assert_eq!(shared.description, "one scale for all maps, full at ±0.0123");
    }

    #[test]
    fn maps_on_their_own_scales_share_a_legend_and_maps_on_different_shared_scales_do_not() {
        let style = Style::sequential();
        assert_eq!(legend(&style, [0.0, 1.0]), legend(&style, [0.0, 50.0]));
        let shared = |full_scale| Style { scaling: Scaling::Shared { percentile: 99.0, full_scale }, ..style.clone() };
        assert_ne!(legend(&shared(1.0), [0.0, 1.0]), legend(&shared(2.0), [0.0, 1.0]));
    }

    #[test]
    fn both_ends_of_the_bar_and_their_labels_are_drawn() {
        let text = Text::new(14.0);
        let mut image = RgbImage::from_pixel(220, 100, Rgb([255; 3]));
        legend(&Style::sequential(), [0.0, 1.0]).draw(&mut image, &text, (10, 10), 200);
        assert_eq!(image.get_pixel(10, 10).0, [0x00, 0x00, 0x04]);
        assert_eq!(image.get_pixel(209, 10).0, [0xfc, 0xff, 0xa4]);
        let labels = 10 + bar_height(&text) + text.line_height / 4;
        let ink = |columns: std::ops::Range<u32>| {
            let line = || labels..labels + text.line_height;
            columns.flat_map(|x| line().map(move |y| (x, y))).filter(|&(x, y)| image.get_pixel(x, y)[0] < 150).count()
        };
        assert!(ink(10..20) > 5, "0");
        assert!(ink(140..210) > 60, "percentile 99");
        assert_eq!(ink(25..120), 0);
    }

    #[test]
    fn numbers_have_three_digits() {
        let written = [0.0, 1.0, 0.012345, 99.96, 1234.5, 1e-30, 4.5678e9].map(number);
        assert_eq!(written, ["0", "1.00", "0.0123", "100.0", "1234", "1.00e-30", "4.57e9"]);
    }
}
