//! A drawn map on the picture it explains.

use crate::Drawing;
use burnsight_core::{CropBox, Error, Result};
use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};

/// Last step: how the drawn map lies over the picture. Colours are mixed as they are stored (sRGB).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Overlay {
    /// Share of the map's colour where the map is strongest, in `[0, 1]`; 0 leaves the picture as it is.
    pub opacity: f32,
    /// How the opacity follows the map.
    pub blend: Blend,
    /// What becomes of the picture's own colours.
    pub picture: PictureColors,
}

/// How opacity follows the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blend {
    /// The same opacity everywhere: colours are those of the colour bar, and the picture fades behind them.
    Uniform,
    /// `opacity × min(1, 2 |v|)` for a scaled value `v` (the strongest of three, for a map drawn in its own colours):
    /// where the map is zero the picture is untouched, and from half scale on only the colour tells strengths apart.
    /// In proportion to `|v|` itself, half-strong evidence can hardly be seen on a picture with colours of its own.
    Magnitude,
}

/// What becomes of the picture's own colours, inside the crop, under the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PictureColors {
    /// They stay. A red roof may then be taken for evidence.
    Original,
    /// They become grey: every colour left is the map's.
    Grey,
}

impl Default for Overlay {
    /// Opacity 0.85, growing with magnitude, on the picture in its own colours.
    fn default() -> Self {
        Self { opacity: 0.85, blend: Blend::Magnitude, picture: PictureColors::Original }
    }
}

impl Overlay {
    pub(crate) fn check(self) -> Result<()> {
        if (0.0..=1.0).contains(&self.opacity) {
            return Ok(());
        }
        Err(Error::parameter("opacity", self.opacity, "give a number from 0 to 1"))
    }
}

/// Half a pixel of slack: the box comes from a division, and loses nothing where it is a hair too large.
fn check_inside(crop: CropBox, picture: &RgbImage) -> Result<()> {
    let inside =
        |start: f64, length: f64, side: u32| length > 0.0 && start >= -0.5 && start + length <= f64::from(side) + 0.5;
    if inside(crop.left, crop.width, picture.width()) && inside(crop.top, crop.height, picture.height()) {
        return Ok(());
    }
    let CropBox { left, top, width, height } = crop;
    let problem = format!("the crop box (left {left}, top {top}, width {width}, height {height}) is not inside it");
    Err(Error::image(format!("{} × {}", picture.width(), picture.height()), problem))
}

impl Drawing {
    /// The map over `picture`, at the picture's own size.
    ///
    /// The scaled values (not the colours) are resampled bilinearly from the map to `crop`, with half-pixel centres as
    /// torch's `align_corners=False`; where the crop is smaller than the map, the values under each pixel are averaged
    /// by the same triangle. Pixels whose centre is outside `crop` never reached the model: they are drawn in grey at
    /// two fifths of their brightness, whatever the opacity.
    ///
    /// # Errors
    /// [`Error::Image`] when `crop` is empty or leaves the picture by more than half a pixel.
    pub fn over(&self, picture: &RgbImage, crop: CropBox) -> Result<RgbImage> {
        check_inside(crop, picture)?;
        let [width, height] = self.size;
        let columns: Vec<_> = (0..picture.width()).map(|x| taps(x, crop.left, crop.width, width)).collect();
        let rows: Vec<_> = (0..picture.height()).map(|y| taps(y, crop.top, crop.height, height)).collect();
        let Overlay { opacity, blend, picture: colors } = self.style.overlay;
        Ok(RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
            let original = picture.get_pixel(x, y).0;
            let (Some(row), Some(column)) = (&rows[y as usize], &columns[x as usize]) else {
                return Rgb([(0.4 * luma(original)).round() as u8; 3]);
            };
            let resampled = |plane: &Vec<f32>| {
                let of_row = |i: usize| column.iter().map(|&(j, weight)| weight * plane[i * width + j]).sum::<f32>();
                // Weights sum to one up to rounding, so a value of one might come out a hair above.
                row.iter().map(|&(i, weight)| weight * of_row(i)).sum::<f32>().clamp(-1.0, 1.0)
            };
            let values: Vec<f32> = self.planes.iter().map(resampled).collect();
            let strongest = values.iter().fold(0.0, |strongest: f32, v| strongest.max(v.abs()));
            let alpha = match blend {
                Blend::Uniform => opacity,
                Blend::Magnitude => opacity * (2.0 * strongest).min(1.0),
            };
            let below = match colors {
                PictureColors::Original => original,
                PictureColors::Grey => [luma(original).round() as u8; 3],
            };
            Rgb(mix(below, self.color(&values), alpha))
        }))
    }
}

/// The samples, of `count` spread evenly over `[start, start + length)`, that make up the value at the centre of
/// `pixel`, with weights that sum to one; `None` where that centre is outside.
fn taps(pixel: u32, start: f64, length: f64, count: usize) -> Option<Vec<(usize, f32)>> {
    let centre = f64::from(pixel) + 0.5 - start;
    if centre < 0.0 || centre >= length {
        return None;
    }
    let samples_per_pixel = count as f64 / length;
    let position = centre * samples_per_pixel - 0.5;
    let reach = samples_per_pixel.max(1.0);
    let weight = |i: usize| 1.0 - (i as f64 - position).abs() / reach;
    let first = (position - reach).ceil().max(0.0) as usize;
    let last = ((position + reach).floor() as usize).min(count - 1);
    let total: f64 = (first..=last).map(weight).sum();
    Some((first..=last).map(|i| (i, (weight(i) / total) as f32)).collect())
}

/// Brightness of a pixel, `[0, 255]` (Rec. 601, as in JPEG).
fn luma([r, g, b]: [u8; 3]) -> f32 {
    0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)
}

/// `alpha` of `above`, the rest of `below`; exactly `below` for 0.
pub(crate) fn mix(below: [u8; 3], above: [u8; 3], alpha: f32) -> [u8; 3] {
    std::array::from_fn(|c| (f32::from(below[c]) * (1.0 - alpha) + f32::from(above[c]) * alpha).round() as u8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{ColorMap, SaliencyMap, Scaling, Style};

    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([(x * 7) as u8, (y * 11) as u8, 200]))
    }

    /// Grey, unscaled, opaque: the overlay shows the resampled values themselves.
    fn plain() -> Style {
        Style {
            scaling: Scaling::None,
            colors: ColorMap::Grey,
            overlay: Overlay { opacity: 1.0, blend: Blend::Uniform, ..Overlay::default() },
            ..Style::sequential()
        }
    }

    fn greys(image: &RgbImage) -> Vec<u8> {
        image.pixels().map(|p| p[0]).collect()
    }

    #[test]
    fn bilinear_with_half_pixel_centres() {
        // torch: interpolate(tensor([0, 1]), scale_factor=2, mode='bilinear', align_corners=False) = 0 .25 .75 1
        let map = SaliencyMap::new(1, 1, 2, vec![0.0, 1.0]).unwrap();
        let picture = picture(4, 1);
        let over = plain().draw(&map).unwrap().over(&picture, CropBox::whole(picture.dimensions())).unwrap();
        assert_eq!(greys(&over), [0, 63, 191, 255]);
    }

    #[test]
    fn rows_and_columns_of_a_map_that_is_not_square() {
        let map = SaliencyMap::new(1, 2, 1, vec![0.0, 1.0]).unwrap();
        let picture = picture(3, 4);
        let over = plain().draw(&map).unwrap().over(&picture, CropBox::whole(picture.dimensions())).unwrap();
        assert_eq!(greys(&over), [[0; 3], [63; 3], [191; 3], [255; 3]].concat());
    }

    #[test]
    fn a_crop_smaller_than_the_map_averages_and_loses_no_pixel() {
        let picture = picture(2, 1);
        for set in 0..8 {
            let mut values = vec![0.0; 8];
            values[set] = 1.0;
            let map = SaliencyMap::new(1, 1, 8, values).unwrap();
            let over = plain().draw(&map).unwrap().over(&picture, CropBox::whole(picture.dimensions())).unwrap();
            assert!(greys(&over).iter().any(|&g| g > 20), "{set}");
        }
    }

    #[test]
    fn taps_sum_to_one_for_every_crop() {
        for (start, length, count) in [(0.0, 10.0, 3), (0.3, 8.9, 7), (1.7, 2.2, 224), (0.0, 10.0, 1)] {
            for pixel in 0..10 {
                if let Some(taps) = taps(pixel, start, length, count) {
                    assert!((taps.iter().map(|t| t.1).sum::<f32>() - 1.0).abs() < 1e-5, "{start} {length} {count}");
                }
            }
        }
    }

    #[test]
    fn opacity_zero_keeps_the_pixels_of_the_crop_and_dims_the_others() {
        let map = SaliencyMap::new(1, 2, 2, vec![1.0, 0.5, 0.0, 1.0]).unwrap();
        let picture = picture(10, 6);
        let crop = CropBox { left: 2.0, top: 0.0, width: 6.0, height: 6.0 };
        for blend in [Blend::Uniform, Blend::Magnitude] {
            let overlay = Overlay { opacity: 0.0, blend, picture: PictureColors::Original };
            let style = Style { overlay, ..Style::sequential() };
            let over = style.draw(&map).unwrap().over(&picture, crop).unwrap();
            assert_eq!(over.dimensions(), picture.dimensions());
            for (x, y, pixel) in over.enumerate_pixels() {
                let original = picture.get_pixel(x, y);
                if (2..8).contains(&x) {
                    assert_eq!(pixel, original);
                } else {
                    assert_eq!(pixel.0, [(0.4 * luma(original.0)).round() as u8; 3]);
                }
            }
        }
    }

    #[test]
    fn opacity_grows_from_zero_to_half_scale() {
        let map = SaliencyMap::new(1, 1, 4, vec![0.0, -0.5, -1.0, -2.0]).unwrap();
        let style = Style {
            colors: ColorMap::Grey,
            scaling: Scaling::PerImage { percentile: 100.0 },
            overlay: Overlay { opacity: 0.5, ..Overlay::default() },
            ..Style::diverging()
        };
        let picture = RgbImage::from_pixel(4, 1, Rgb([100, 200, 50]));
        let over = style.draw(&map).unwrap().over(&picture, CropBox::whole(picture.dimensions())).unwrap();
        // Of the greys 127, 95, 63 and 0 that the four values have: nothing, a quarter, a half and a half.
        let expected = [[100, 200, 50], [99, 174, 61], [82, 132, 57], [50, 100, 25]];
        assert_eq!(over.pixels().map(|p| p.0).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_grey_picture_leaves_no_colour_but_the_maps() {
        let map = SaliencyMap::new(1, 1, 2, vec![0.0, 1.0]).unwrap();
        let overlay = Overlay { picture: PictureColors::Grey, ..Overlay::default() };
        let picture = RgbImage::from_pixel(2, 1, Rgb([100, 200, 50]));
        let drawing = Style { overlay, ..Style::diverging() }.draw(&map).unwrap();
        let over = drawing.over(&picture, CropBox::whole(picture.dimensions())).unwrap();
        assert_eq!(over.get_pixel(0, 0).0, [153; 3]); // 0.299 · 100 + 0.587 · 200 + 0.114 · 50
        assert!(over.get_pixel(1, 0)[0] > over.get_pixel(1, 0)[2] + 80, "red");
    }

    #[test]
    fn a_zero_map_leaves_the_picture_alone() {
        let picture = picture(5, 5);
        let map = SaliencyMap::new(3, 2, 2, vec![0.0; 12]).unwrap();
        for style in [Style::sequential(), Style::diverging(), Style::channels()] {
            let style = Style { overlay: Overlay::default(), ..style };
            assert_eq!(
                style.draw(&map).unwrap().over(&picture, CropBox::whole(picture.dimensions())).unwrap(),
                picture
            );
        }
    }

    #[test]
    fn crops_outside_the_picture_and_opacities_out_of_range_are_refused() {
        let picture = picture(10, 6);
        let drawing = Style::sequential().draw(&SaliencyMap::new(1, 1, 1, vec![1.0]).unwrap()).unwrap();
        let whole = CropBox::whole(picture.dimensions());
        let bad = [
            CropBox { left: -1.0, ..whole },
            CropBox { width: 0.0, ..whole },
            CropBox { height: 7.0, ..whole },
            CropBox { top: f64::NAN, ..whole },
            CropBox { width: f64::INFINITY, ..whole },
        ];
        for crop in bad {
            assert!(drawing.over(&picture, crop).unwrap_err().to_string().contains("crop box"), "{crop:?}");
        }
        assert!(drawing.over(&picture, CropBox { width: 10.4, ..whole }).is_ok());
        for opacity in [-0.1, 1.1, f32::NAN] {
            let overlay = Overlay { opacity, ..Overlay::default() };
            assert!(Style { overlay, ..Style::sequential() }.check().unwrap_err().to_string().contains("opacity"));
        }
    }

    #[test]
    fn boxes_survive_json() {
        let crop = CropBox { left: 106.5, top: 0.0, width: 427.0, height: 426.999 };
        let json = serde_json::to_string(&crop).unwrap();
        assert_eq!(serde_json::from_str::<CropBox>(&json).unwrap(), crop);
    }
}
