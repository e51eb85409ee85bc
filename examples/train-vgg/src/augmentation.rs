//! The same picture, a little different every time.

use anyhow::Result;
use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use image::{Rgb, RgbImage, imageops::flip_horizontal_in_place};
use rand::{Rng, RngExt};

/// Share of the picture's area that is cropped.
const AREA: [f64; 2] = [0.3, 1.0];
/// Width of the crop divided by its height.
const PROPORTIONS: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
/// How often colours change, and by how much at most.
const JITTER: (f64, f32) = (0.8, 0.4);
/// How often a part is painted over, its share of the area and its proportions.
const ERASE: (f64, [f64; 2], [f64; 2]) = (0.3, [0.02, 0.2], [0.3, 3.3]);
/// ImageNet's mean colour: after normalisation nothing.
const NOTHING: Rgb<u8> = Rgb([124, 116, 104]);

/// A random part of the picture, scaled to `size` × `size`, mirrored half the time, its colours changed, a rectangle
/// painted over.
pub fn augment(picture: &RgbImage, size: u32, random: &mut impl Rng) -> Result<RgbImage> {
    let mut picture = resized_crop(picture, size, random)?;
    if random.random() {
        flip_horizontal_in_place(&mut picture);
    }
    if random.random_bool(JITTER.0) {
        let mut factor = || random.random_range(1.0 - JITTER.1..1.0 + JITTER.1);
        jitter(&mut picture, [factor(), factor(), factor()]);
    }
    if random.random_bool(ERASE.0)
        && let Some([left, top, width, height]) = rectangle(picture.dimensions(), ERASE.1, ERASE.2, random)
    {
        for y in top as u32..(top + height) as u32 {
            (left as u32..(left + width) as u32).for_each(|x| picture.put_pixel(x, y, NOTHING));
        }
    }
    Ok(picture)
}

fn resized_crop(picture: &RgbImage, size: u32, random: &mut impl Rng) -> Result<RgbImage> {
    let (width, height) = picture.dimensions();
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let options = match rectangle((width, height), AREA, PROPORTIONS, random) {
        Some([left, top, width, height]) => options.crop(left, top, width, height),
        // Too narrow a picture for these proportions: its middle.
        None => options.fit_into_destination(None),
    };
    let mut scaled = Image::new(size, size, PixelType::U8x3);
    Resizer::new().resize(&ImageRef::new(width, height, picture, PixelType::U8x3)?, &mut scaled, &options)?;
    RgbImage::from_raw(size, size, scaled.into_vec()).ok_or_else(|| anyhow::anyhow!("a scaled picture lost pixels"))
}

/// Left, top, width and height of a random rectangle that fits, if ten tries find one.
fn rectangle(
    (width, height): (u32, u32),
    area: [f64; 2],
    proportions: [f64; 2],
    random: &mut impl Rng,
) -> Option<[f64; 4]> {
    let (width, height) = (f64::from(width), f64::from(height));
    (0..10).find_map(|_| {
        let area = width * height * random.random_range(area[0]..area[1]);
        let proportion = random.random_range(proportions[0].ln()..proportions[1].ln()).exp();
        let (w, h) = ((area * proportion).sqrt(), (area / proportion).sqrt());
        let fits = w >= 1.0 && h >= 1.0 && w <= width && h <= height;
        fits.then(|| [random.random_range(0.0..=width - w), random.random_range(0.0..=height - h), w, h])
    })
}

/// Multiplies brightness, contrast (the distance from the mean grey) and saturation (the distance from the pixel's grey).
fn jitter(picture: &mut RgbImage, [brightness, contrast, saturation]: [f32; 3]) {
    let grey = |[r, g, b]: [f32; 3]| 0.299 * r + 0.587 * g + 0.114 * b;
    let count = (picture.width() * picture.height()) as f32;
    let mean = picture.pixels().map(|pixel| grey(pixel.0.map(f32::from))).sum::<f32>() / count * brightness;
    for pixel in picture.pixels_mut() {
        let colour = pixel.0.map(|value| mean + (f32::from(value) * brightness - mean) * contrast);
        let own = grey(colour);
        pixel.0 = colour.map(|value| (own + (value - own) * saturation).round() as u8);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    /// Grey 100 and red 200: mean grey 0.5·100 + 0.5·0.299·200 = 79.9.
    #[test]
    fn colours_change_as_worked_out_by_hand() {
        let two = || RgbImage::from_raw(2, 1, vec![100, 100, 100, 200, 0, 0]).unwrap();
        let jittered = |factors| {
            let mut picture = two();
            jitter(&mut picture, factors);
            picture.into_raw()
        };
        assert_eq!(jittered([1.0, 1.0, 1.0]), two().into_raw());
        assert_eq!(jittered([1.5, 1.0, 1.0]), [150, 150, 150, 255, 0, 0]);
        assert_eq!(jittered([1.0, 0.5, 1.0]), [90, 90, 90, 140, 40, 40]);
        assert_eq!(jittered([1.0, 1.0, 0.0]), [100, 100, 100, 60, 60, 60]);
    }

    #[test]
    fn rectangles_fit_and_have_the_share_and_the_proportions() {
        let random = &mut StdRng::seed_from_u64(0);
        for _ in 0..500 {
            let [left, top, width, height] = rectangle((200, 160), AREA, PROPORTIONS, random).unwrap();
            assert!(left >= 0.0 && top >= 0.0 && left + width <= 200.0 + 1e-9 && top + height <= 160.0 + 1e-9);
            assert!((0.3..=1.0).contains(&(width * height / 32_000.0)));
            assert!((0.749..=1.334).contains(&(width / height)), "{width} × {height}");
        }
        // 30 % of this area is never as flat as 4 : 3.
        assert!(rectangle((1000, 10), AREA, PROPORTIONS, random).is_none());
        assert_eq!(augment(&RgbImage::new(1000, 10), 32, random).unwrap().dimensions(), (32, 32));
    }

    #[test]
    fn the_same_seed_gives_the_same_picture() {
        let picture = RgbImage::from_fn(60, 40, |x, y| Rgb([4 * x as u8, 6 * y as u8, (x * y) as u8]));
        let draw = |seed| augment(&picture, 32, &mut StdRng::seed_from_u64(seed)).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
