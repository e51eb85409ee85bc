//! What plots draw with: lines, areas, dots and letters in pixels of the finished picture, on any of plotters' backends.

use crate::text::{FONT_FILE, Text};
use burnsight_core::{Error, Result};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    FontDesc, FontFamily, FontStyle, FontTransform, RGBAColor, ShapeStyle, TextStyle, register_font,
};
use std::sync::LazyLock;

/// Backends count in whole pixels, which leaves steps in lines. Everything is drawn this much larger.
const OVERSAMPLING: u32 = 3;

/// In an SVG the reader's own font stands for it.
static FONT: LazyLock<FontFamily<'static>> = LazyLock::new(|| {
    // What is no font would already have failed in `Text`.
    let _ = register_font("sans-serif", FontStyle::Normal, FONT_FILE);
    FontFamily::SansSerif
});

/// Something that draws itself on any backend.
pub(super) trait Draw {
    fn draw<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()>;

    fn to_image(&self, width: u32, height: u32) -> Result<RgbImage> {
        let (wide, high) = (OVERSAMPLING * width, OVERSAMPLING * height);
        let mut large = RgbImage::from_pixel(wide, high, Rgb([255; 3]));
        let backend = BitMapBackend::with_buffer(&mut large, (wide, high));
        // Plotters sets the baseline half a line below the top of the letters' box.
        self.draw(&mut Canvas { backend, width, height, top_to_baseline: 0.5, slack: 1.0 })?;
        Ok(imageops::resize(&large, width, height, FilterType::Triangle))
    }

    fn to_svg(&self, width: u32, height: u32) -> Result<String> {
        let (wide, high) = (OVERSAMPLING * width, OVERSAMPLING * height);
        let mut drawn = String::new();
        let backend = SVGBackend::with_string(&mut drawn, (wide, high));
        // Plotters moves the baseline by 0.76 em, where an em is the size / 1.24. Other fonts may be wider than ours.
        self.draw(&mut Canvas { backend, width, height, top_to_baseline: 0.76 / 1.24, slack: 1.12 })?;
        let shapes = drawn.split_once('>').map_or("", |(_, shapes)| shapes);
        let size = format!("width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {wide} {high}\"");
        Ok(format!("<svg xmlns=\"http://www.w3.org/2000/svg\" {size}>{shapes}"))
    }
}

pub(super) struct Canvas<B> {
    backend: B,
    pub width: u32,
    pub height: u32,
    /// Share of the letters' size.
    top_to_baseline: f64,
    /// How much wider than in our font a text may be.
    slack: f64,
}

pub(super) type Point = (f64, f64);

/// Where a text is relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    RightOf,
    Around,
    LeftOf,
    /// Upwards, ending at the point.
    UpTo,
    /// Upwards, the point in its middle.
    UpAround,
}

impl<B: DrawingBackend> Canvas<B> {
    /// Width of a text with letters of this size.
    pub fn text_width(&self, text: &str, size: f64) -> f64 {
        f64::from(Text::new(size as f32).width(text)) * self.slack
    }

    /// A text that fits.
    pub fn shorten(&self, text: &str, size: f64, width: f64) -> String {
        Text::new(size as f32).shorten(text, (width / self.slack).max(0.0) as u32)
    }

    /// One line; the point is at half the height of its capitals.
    pub fn text(&mut self, text: &str, size: f64, (x, y): Point, place: Place, color: [u8; 3]) -> Result<()> {
        let (anchor, is_upwards) = match place {
            Place::RightOf => (HPos::Left, false),
            Place::Around => (HPos::Center, false),
            Place::LeftOf => (HPos::Right, false),
            Place::UpTo => (HPos::Right, true),
            Place::UpAround => (HPos::Center, true),
        };
        // Half of a capital's height, which is about 0.6 of a line, would set lower case words too low.
        let up = (self.top_to_baseline - 0.27) * size;
        let (at, turn) = match is_upwards {
            true => ((x - up, y), FontTransform::Rotate270),
            false => ((x, y - up), FontTransform::None),
        };
        let font = FontDesc::new(*FONT, size * f64::from(OVERSAMPLING), FontStyle::Normal).transform(turn);
        let style = TextStyle { font, color: rgba(color, 1.0).to_backend_color(), pos: Pos::new(anchor, VPos::Top) };
        self.backend.draw_text(text, &style, pixel(at)).map_err(failed)
    }

    /// A line through points, `thickness` pixels wide.
    pub fn line(&mut self, points: &[Point], color: [u8; 3], thickness: f64) -> Result<()> {
        let mut pixels: Vec<_> = points.iter().copied().map(pixel).collect();
        pixels.dedup();
        if pixels.len() < 2 {
            return Ok(());
        }
        let stroke_width = (thickness * f64::from(OVERSAMPLING)).round() as u32;
        let style = ShapeStyle { color: rgba(color, 1.0), filled: false, stroke_width };
        self.backend.draw_path(pixels, &style).map_err(failed)
    }

    /// A line of dashes: drawn and empty lengths in turn.
    pub fn dashes(&mut self, points: &[Point], pattern: &[f64], color: [u8; 3], thickness: f64) -> Result<()> {
        for dash in dashes(points, pattern) {
            self.line(&dash, color, thickness)?;
        }
        Ok(())
    }

    pub fn area(&mut self, points: &[Point], color: [u8; 3], opacity: f64) -> Result<()> {
        let style = ShapeStyle { color: rgba(color, opacity), filled: true, stroke_width: 0 };
        self.backend.fill_polygon(points.iter().copied().map(pixel), &style).map_err(failed)
    }

    pub fn dot(&mut self, center: Point, radius: f64, color: [u8; 3]) -> Result<()> {
        let style = ShapeStyle { color: rgba(color, 1.0), filled: true, stroke_width: 0 };
        let radius = (radius * f64::from(OVERSAMPLING)).round() as u32;
        self.backend.draw_circle(pixel(center), radius, &style, true).map_err(failed)
    }

    /// White everywhere: an SVG has no colour of its own.
    pub fn clear(&mut self) -> Result<()> {
        let (right, bottom) = (f64::from(self.width), f64::from(self.height));
        self.area(&[(0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom)], [255; 3], 1.0)
    }

    /// Everything is drawn.
    pub fn finish(&mut self) -> Result<()> {
        self.backend.present().map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::image("of the plot", error.to_string())
}

fn pixel((x, y): Point) -> (i32, i32) {
    let whole = |value: f64| (value * f64::from(OVERSAMPLING)).round() as i32;
    (whole(x), whole(y))
}

fn rgba([red, green, blue]: [u8; 3], alpha: f64) -> RGBAColor {
    RGBAColor(red, green, blue, alpha)
}

/// The drawn parts of a line, corners included. The pattern starts with a drawn length.
fn dashes(points: &[Point], pattern: &[f64]) -> Vec<Vec<Point>> {
    let mut parts: Vec<Vec<Point>> = Vec::new();
    let (mut index, mut left) = (0, pattern[0]);
    let mut is_open = false;
    for ends in points.windows(2) {
        let [(x0, y0), (x1, y1)] = [ends[0], ends[1]];
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while done < length {
            let next = (done + left).min(length);
            let at = |way: f64| (x0 + (x1 - x0) * way / length, y0 + (y1 - y0) * way / length);
            if index % 2 == 0 {
                match parts.last_mut() {
                    Some(part) if is_open => part.push(at(next)),
                    _ => parts.push(vec![at(done), at(next)]),
                }
                is_open = true;
            }
            left -= next - done;
            done = next;
            if left <= 1e-9 {
                index = (index + 1) % pattern.len();
                left = pattern[index];
                is_open = false;
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_go_around_corners() {
        // 10 to the right, 10 down; 8 drawn, 4 empty: 0..8, 12..20.
        let points = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)];
        assert_eq!(dashes(&points, &[8.0, 4.0]), [[(0.0, 0.0), (8.0, 0.0)], [(10.0, 2.0), (10.0, 10.0)]]);
        let around = vec![(0.0, 0.0), (10.0, 0.0), (10.0, 2.0)];
        assert_eq!(dashes(&points, &[12.0, 4.0]), [around, vec![(10.0, 6.0), (10.0, 10.0)]]);
    }
}
