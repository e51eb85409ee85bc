//! Labels: measured, shortened, wrapped and drawn.

use crate::overlay::mix;
use ab_glyph::{Font, FontRef, GlyphId, PxScaleFont, ScaleFont, point};
use image::RgbImage;
use std::sync::LazyLock;

/// The file of the label font.
pub(crate) const FONT_FILE: &[u8] = epaint_default_fonts::UBUNTU_LIGHT;

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(FONT_FILE).expect("the font is part of the program and was parsed by its tests")
});

/// Near black: full black on white makes the thin strokes look ragged.
pub(crate) const INK: [u8; 3] = [20; 3];
/// For what is said in passing.
pub(crate) const PALE_INK: [u8; 3] = [85; 3];

const ELLIPSIS: &str = "…";

/// The label font at one size. Latin, Greek and Cyrillic; any other character is drawn as an empty box. Characters are
/// set one after the other, left to right: scripts that join or reorder letters are not shaped.
pub(crate) struct Text {
    font: PxScaleFont<&'static FontRef<'static>>,
    pub line_height: u32,
}

impl Text {
    /// `size`: from the deepest descender to the highest ascender, in pixels.
    pub fn new(size: f32) -> Self {
        Self { font: FONT.as_scaled(size), line_height: (1.2 * size).ceil() as u32 }
    }

    /// Glyphs with the position of each pen, in pixels from the left, and the end of the line.
    fn layout(&self, text: &str) -> (Vec<(GlyphId, f32)>, f32) {
        let mut pen = 0.0;
        let mut before = None;
        let place = |character: char| {
            let id = self.font.glyph_id(if character.is_control() { ' ' } else { character });
            pen += before.map_or(0.0, |before| self.font.kern(before, id));
            before = Some(id);
            let at = pen;
            pen += self.font.h_advance(id);
            (id, at)
        };
        let glyphs = text.chars().map(place).collect();
        (glyphs, pen)
    }

    /// Width of `text` on one line, in whole pixels.
    pub fn width(&self, text: &str) -> u32 {
        self.layout(text).1.ceil() as u32
    }

    /// `text`, or as much of its beginning as fits `max_width` pixels with an ellipsis; empty if not even that fits.
    pub fn shorten(&self, text: &str, max_width: u32) -> String {
        if self.width(text) <= max_width {
            return text.into();
        }
        let Some(room) = max_width.checked_sub(self.width(ELLIPSIS)) else {
            return String::new();
        };
        // A character fits if the next one could start within the room; the last one does not, or `text` would.
        let starts = self.layout(text).0.into_iter().map(|(_, pen)| pen).skip(1);
        let fitting = starts.take_while(|&start| start <= room as f32).count();
        let kept: String = text.chars().take(fitting).collect();
        format!("{}{ELLIPSIS}", kept.trim_end())
    }

    /// `text` broken between words, and behind hyphens of words too long for a line, into at most `max_lines` lines that
    /// fit `max_width`; what is too long for that is shortened.
    pub fn wrap(&self, text: &str, max_width: u32, max_lines: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let parts = |word| match self.width(word) <= max_width {
            true => vec![word],
            false => word.split_inclusive('-').collect(),
        };
        let first_of_word = |word| parts(word).into_iter().enumerate().map(|(index, part)| (index == 0, part));
        for (is_word, part) in text.split_whitespace().flat_map(first_of_word) {
            let is_last = lines.len() == max_lines;
            let space = if is_word { " " } else { "" };
            match lines.last_mut() {
                Some(line) if is_last || self.width(&format!("{line}{space}{part}")) <= max_width => {
                    line.push_str(space);
                    line.push_str(part);
                }
                _ => lines.push(part.into()),
            }
        }
        lines.iter().map(|line| self.shorten(line, max_width)).collect()
    }

    /// Draws one line with its upper left corner at `(left, top)`; what is beyond the image is left out.
    pub fn draw(&self, image: &mut RgbImage, text: &str, (left, top): (u32, u32), color: [u8; 3]) {
        let baseline = top as f32 + self.font.ascent();
        for (id, pen) in self.layout(text).0 {
            let glyph = id.with_scale_and_position(self.font.scale(), point(left as f32 + pen, baseline));
            let Some(outline) = self.font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, coverage| {
                // A float left of or above the image saturates to 0 as an integer; labels keep a margin from there.
                let (x, y) = (corner.x as u32 + x, corner.y as u32 + y);
                if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
                    pixel.0 = mix(pixel.0, color, coverage.clamp(0.0, 1.0));
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_text_is_kept_and_long_text_ends_in_an_ellipsis_that_fits() {
        let text = Text::new(14.0);
        assert_eq!(text.shorten("church", 200), "church");
        let label = "three-toed sloth, ai, Bradypus tridactylus";
        for width in 20..200 {
            let short = text.shorten(label, width);
            assert!(text.width(&short) <= width, "{width}: {short}");
            assert!(short.ends_with(ELLIPSIS) && label.starts_with(short.trim_end_matches(ELLIPSIS)), "{short}");
        }
        let more = |width| text.shorten(label, width).chars().count();
        assert!(more(180) > more(100) && more(100) > 8);
        assert_eq!(text.shorten(label, 3), "");
    }

    #[test]
    fn wrapping_breaks_between_words_and_shortens_the_last_line() {
        let text = Text::new(14.0);
        let width = text.width("Guided Grad-CAM");
        assert_eq!(text.wrap("Guided Grad-CAM", width, 2), ["Guided Grad-CAM"]);
        assert_eq!(text.wrap("Guided Grad-CAM", width - 1, 2), ["Guided", "Grad-CAM"]);
        let lines = text.wrap("one two three four five six seven", text.width("two three"), 2);
        assert!(lines.len() == 2 && lines[1].ends_with(ELLIPSIS), "{lines:?}");
        assert!(text.wrap("  \n ", 100, 2).is_empty());
        let width = text.width("guided-integrated-");
        assert_eq!(text.wrap("guided-integrated-gradients", width, 2), ["guided-integrated-", "gradients"]);
        let lines = text.wrap("of guided-integrated-gradients", width, 3);
        assert_eq!(lines, ["of guided-", "integrated-", "gradients"]);
    }

    #[test]
    fn ink_stays_between_the_left_edge_and_the_measured_width() {
        let text = Text::new(16.0);
        for label in ["Wjgf", "integrated gradients", "AVATAR 93.1 %", "ελληνικά", "кириллица"] {
            let mut image = RgbImage::from_pixel(300, 40, image::Rgb([255; 3]));
            text.draw(&mut image, label, (50, 10), [0; 3]);
            let inked: Vec<_> =
                image.enumerate_pixels().filter(|(_, _, p)| p[0] < 200).map(|(x, y, _)| (x, y)).collect();
            assert!(inked.len() > 30, "{label}");
            let inside = |&(x, y): &(u32, u32)| {
                (49..=50 + text.width(label)).contains(&x) && (10..10 + text.line_height).contains(&y)
            };
            assert!(inked.iter().all(inside), "{label}");
        }
    }

    #[test]
    fn missing_glyphs_control_characters_and_edges_do_not_panic() {
        let text = Text::new(16.0);
        let mut image = RgbImage::new(40, 20);
        for label in ["教会", "كنيسة", "🦑\u{200d}🚀", "a\u{301}\t\n\u{0}b", "\u{10ffff}", ""] {
            text.draw(&mut image, label, (30, 12), [255; 3]);
            text.draw(&mut image, label, (0, 0), [255; 3]);
            text.draw(&mut image, label, (4000, 4000), [255; 3]);
        }
        assert!(text.width("教") > 4, "a box, not nothing");
    }
}
