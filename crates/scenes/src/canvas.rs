//! Anti-aliased painting that remembers which samples the object covers.

use burnsight_core::{Error, Result};
use image::{GrayImage, Luma, Rgb, RgbImage};

use crate::Scene;
use crate::colour::{Colour, bytes, mix, scale};

/// Samples per pixel in each direction; their hits fit the 16 bits of [`Canvas::hits`].
const GRID: u32 = 4;

/// Largest side of a picture.
const LARGEST: u32 = 4096;

/// A rectangle in pixels, y down. It may reach beyond the canvas.
pub struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

pub struct Canvas {
    pub width: u32,
    pub height: u32,
    light: Vec<Colour>,
    /// One bit per sample: the union over everything painted with [`Canvas::paint_object`].
    hits: Vec<u16>,
}

impl Canvas {
    /// Black, without an object.
    pub fn new(width: u32, height: u32) -> Result<Self> {
        for (name, side) in [("width", width), ("height", height)] {
            if !(16..=LARGEST).contains(&side) {
                return Err(Error::parameter(name, side, "16 to 4096 pixels"));
            }
        }
        let pixels = (width * height) as usize;
        Ok(Self { width, height, light: vec![[0.0; 3]; pixels], hits: vec![0; pixels] })
    }

    /// The whole canvas.
    pub fn everything(&self) -> Area {
        Area { left: 0.0, top: 0.0, right: f64::from(self.width), bottom: f64::from(self.height) }
    }

    /// Paints background. `shade` is asked at each sample (x and y in pixels, y down) for a colour and its opacity.
    pub fn paint(&mut self, area: Area, shade: impl Fn(f64, f64) -> Option<(Colour, f64)>) {
        self.cover(area, shade);
    }

    /// Paints a part of the object: every sample with a colour belongs to it. Always opaque.
    pub fn paint_object(&mut self, area: Area, shade: impl Fn(f64, f64) -> Option<Colour>) {
        for (index, hits) in self.cover(area, |x, y| shade(x, y).map(|colour| (colour, 1.0))) {
            self.hits[index] |= hits;
        }
    }

    /// Blends the samples of each pixel in `area` over what is there; returns which samples were hit.
    fn cover(&mut self, area: Area, shade: impl Fn(f64, f64) -> Option<(Colour, f64)>) -> Vec<(usize, u16)> {
        let within = |v: f64, side: u32| v.clamp(0.0, f64::from(side)) as u32;
        let (left, right) = (within(area.left.floor(), self.width), within(area.right.ceil(), self.width));
        let (top, bottom) = (within(area.top.floor(), self.height), within(area.bottom.ceil(), self.height));
        let mut touched = Vec::new();
        for (y, x) in (top..bottom).flat_map(|y| (left..right).map(move |x| (y, x))) {
            let (mut sum, mut opacity, mut hits) = ([0.0; 3], 0.0, 0);
            for sample in 0..GRID * GRID {
                let inside = |pixel: u32, step: u32| f64::from(pixel) + (f64::from(step) + 0.5) / f64::from(GRID);
                if let Some((colour, alpha)) = shade(inside(x, sample % GRID), inside(y, sample / GRID)) {
                    sum = [0, 1, 2].map(|c| sum[c] + alpha * colour[c]);
                    opacity += alpha;
                    hits |= 1 << sample;
                }
            }
            if hits != 0 && opacity > 0.0 {
                let index = (y * self.width + x) as usize;
                let samples = f64::from(GRID * GRID);
                self.light[index] = mix(self.light[index], scale(sum, 1.0 / opacity), opacity / samples);
                touched.push((index, hits));
            }
        }
        touched
    }

    /// Blurs all that has been painted, by a box whose half side (in pixels) may differ from row to row.
    ///
    /// Summed-area table: every box costs four look-ups, whatever its size.
    pub fn defocus(&mut self, half_side: impl Fn(f64) -> f64) {
        let (width, height) = (self.width as usize, self.height as usize);
        let stride = width + 1;
        let mut table = vec![[0.0; 3]; stride * (height + 1)];
        for (y, row) in self.light.chunks_exact(width).enumerate() {
            let mut sum = [0.0; 3];
            for (x, colour) in row.iter().enumerate() {
                sum = [0, 1, 2].map(|c| sum[c] + colour[c]);
                table[(y + 1) * stride + x + 1] = [0, 1, 2].map(|c| table[y * stride + x + 1][c] + sum[c]);
            }
        }
        for y in 0..height {
            let half = half_side(y as f64 + 0.5).round() as usize;
            let (top, bottom) = (y.saturating_sub(half), (y + half + 1).min(height));
            for x in 0..width {
                let (left, right) = (x.saturating_sub(half), (x + half + 1).min(width));
                let area = ((bottom - top) * (right - left)) as f64;
                let at = |y: usize, x: usize, c: usize| table[y * stride + x][c];
                self.light[y * width + x] = [0, 1, 2].map(|c| {
                    (at(bottom, right, c) - at(bottom, left, c) - at(top, right, c) + at(top, left, c)) / area
                });
            }
        }
    }

    /// The picture in bytes and the mask.
    pub fn finish(self) -> Scene {
        let index = |x: u32, y: u32| (y * self.width + x) as usize;
        let object = |hits: u16| if hits.count_ones() * 2 > GRID * GRID { 255 } else { 0 };
        Scene {
            picture: RgbImage::from_fn(self.width, self.height, |x, y| Rgb(bytes(self.light[index(x, y)]))),
            mask: GrayImage::from_fn(self.width, self.height, |x, y| Luma([object(self.hits[index(x, y)])])),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn square() -> Area {
        Area { left: 2.0, top: 2.0, right: 6.0, bottom: 6.0 }
    }

    #[test]
    fn mask_needs_more_than_half_of_a_pixel() {
        let mut canvas = Canvas::new(16, 16).unwrap();
        canvas.paint_object(square(), |x, _| (x < 4.5).then_some([1.0; 3]));
        canvas.paint_object(square(), |x, y| (x < 4.75 && y < 3.0).then_some([1.0; 3]));
        let scene = canvas.finish();
        assert_eq!((2..7).map(|x| scene.mask.get_pixel(x, 2)[0]).collect::<Vec<_>>(), [255, 255, 255, 0, 0]);
        assert_eq!((2..7).map(|x| scene.mask.get_pixel(x, 4)[0]).collect::<Vec<_>>(), [255, 255, 0, 0, 0]);
        // Half the light, shown on the square-root scale.
        assert_eq!(scene.picture.get_pixel(4, 4).0, [180; 3]);
    }

    #[test]
    fn defocus_keeps_the_mean_and_spreads_evenly() {
        let mut canvas = Canvas::new(16, 16).unwrap();
        canvas.paint(Area { left: 8.0, top: 8.0, right: 9.0, bottom: 9.0 }, |_, _| Some(([0.9; 3], 1.0)));
        canvas.defocus(|_| 1.0);
        for (i, colour) in canvas.light.iter().enumerate() {
            let near = (7..=9).contains(&(i % 16)) && (7..=9).contains(&(i / 16));
            assert!((colour[0] - if near { 0.1 } else { 0.0 }).abs() < 1e-12);
        }
    }

    #[test]
    fn sizes_outside_the_range_are_refused() {
        for (width, height) in [(0, 64), (64, 15), (4097, 64)] {
            assert!(Canvas::new(width, height).is_err());
        }
    }
}
