//! A map that has been reduced, scaled and given colours.

use crate::color::Palette;
use crate::{Legend, Style};
use image::{Rgb, RgbImage};

/// A drawn map, from [`Style::draw`].
#[derive(Debug, Clone)]
pub struct Drawing {
    /// What was done to the map.
    pub style: Style,
    /// The value drawn as full scale, in the map's unit.
    pub full_scale: f64,
    /// What a reader must be told besides the style, in words: nothing for an ordinary map, or for instance
    /// "the map is zero everywhere".
    pub notes: Vec<String>,
    pub(crate) size: [usize; 2],
    /// One plane, or three to be drawn as colours; scaled, in `[0, 1]`, or `[-1, 1]` when signed.
    pub(crate) planes: Vec<Vec<f32>>,
    pub(crate) palette: Palette,
}

impl Drawing {
    /// The map alone, at its own size, one pixel per value.
    pub fn image(&self) -> RgbImage {
        let [width, height] = self.size.map(|side| side as u32);
        RgbImage::from_fn(width, height, |x, y| {
            let at = y as usize * self.size[0] + x as usize;
            let values: Vec<f32> = self.planes.iter().map(|plane| plane[at]).collect();
            Rgb(self.color(&values))
        })
    }

    /// What the colours mean, for a colour bar.
    pub fn legend(&self) -> Legend {
        Legend::of(self)
    }

    /// The colour of one place, given the scaled values of all planes there.
    pub(crate) fn color(&self, values: &[f32]) -> [u8; 3] {
        match *values {
            // The palette of a map drawn in its own colours is grey: any of its components is that plane's brightness.
            [red, green, blue] => [red, green, blue].map(|value| self.palette.color(value)[0]),
            _ => self.palette.color(values[0]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::{SaliencyMap, Style};

    #[test]
    fn the_image_has_the_shape_of_the_map_row_by_row() {
        let map = SaliencyMap::new(1, 2, 3, vec![0.0, 0.0, 0.0, 0.0, 0.0, 1.0]).unwrap();
        let image = Style::sequential().draw(&map).unwrap().image();
        assert_eq!(image.dimensions(), (3, 2));
        let set: Vec<_> = image.enumerate_pixels().filter(|(_, _, p)| p[0] > 0).map(|(x, y, _)| (x, y)).collect();
        assert_eq!(set, [(2, 1)]);
    }

    #[test]
    fn a_single_pixel_is_drawn() {
        let map = SaliencyMap::new(1, 1, 1, vec![-0.5]).unwrap();
        assert_eq!(Style::sequential().draw(&map).unwrap().image().dimensions(), (1, 1));
    }
}
