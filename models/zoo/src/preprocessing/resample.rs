//! Scaling, of no more than what is seen.

use burnsight_core::{CropBox, Error, Result};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, IntoImageView, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

/// The part of a picture of `(width, height)` that is seen after its shorter side was scaled to `resize` and the
/// middle `[h, w]` cut out.
pub(super) fn view((width, height): (u32, u32), resize: usize, [h, w]: [usize; 2]) -> CropBox {
    let (short, long) = (width.min(height), width.max(height));
    // As torchvision: the product is a whole number, its quotient cut off, so that the two scales differ slightly.
    let scaled_long = ((resize as u64 * u64::from(long)) as f64 / f64::from(short)).trunc();
    let scaled_short = resize as f64;
    let (scaled_width, scaled_height) =
        if width <= height { (scaled_short, scaled_long) } else { (scaled_long, scaled_short) };

    let (left, width) = middle(f64::from(width), scaled_width, w as f64);
    let (top, height) = middle(f64::from(height), scaled_height, h as f64);
    CropBox { left, top, width, height }
}

/// Start and length, on the scale of `original`, of the middle `seen` of `scaled` pixels.
fn middle(original: f64, scaled: f64, seen: f64) -> (f64, f64) {
    // Python rounds halves to even.
    let offset = ((scaled - seen) / 2.0).round_ties_even();
    let start = offset * original / scaled;
    // The last bit of a quotient must not reach over the edge.
    (start, (seen * original / scaled).min(original - start))
}

/// The part of the picture in `view`, scaled to `[h, w]`: `3·h·w` bytes, R, G, B interleaved.
///
/// At its edges the filter reaches for the pixels outside of the view, as if the whole picture had been scaled.
pub(super) fn scale(picture: &RgbImage, view: CropBox, [h, w]: [usize; 2]) -> Result<Vec<u8>> {
    let (width, height) = picture.dimensions();
    let failed = |error: String| Error::image(format!("{width} × {height}"), format!("it cannot be scaled: {error}"));
    let source = ImageRef::new(width, height, picture, PixelType::U8x3).map_err(|error| failed(error.to_string()))?;

    // First across, then down, each rounded to 8 bits, as Pillow does; the one call for both goes the other way round,
    // and every seventh value comes out one off. Down needs the rows that the filter reaches around the view.
    let reach = (view.height / h as f64).max(1.0);
    let top = (view.top - reach).floor().max(0.0);
    let bottom = (view.top + view.height + reach).ceil().min(f64::from(height));
    let rows = CropBox { top, height: bottom - top, ..view };
    let across = pass(&source, rows, (w as u32, rows.height as u32)).map_err(failed)?;
    let seen = CropBox { left: 0.0, top: view.top - top, width: w as f64, height: view.height };
    Ok(pass(&across, seen, (w as u32, h as u32)).map_err(failed)?.into_vec())
}

fn pass(
    source: &impl IntoImageView,
    part: CropBox,
    (width, height): (u32, u32),
) -> std::result::Result<Image<'static>, String> {
    let mut scaled = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(
        part.left,
        part.top,
        part.width,
        part.height,
    );
    Resizer::new().resize(source, &mut scaled, &options).map_err(|error| error.to_string())?;
    Ok(scaled)
}
