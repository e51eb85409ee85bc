//! JPEG, read strictly.
//!
//! `image` reads JPEG leniently: what is missing from a cut-off file comes out as an even grey, without an error, and
//! an explanation would explain the grey. So the decoder below it is called directly, and told to be strict.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{CMYK, Decoded, check_size};

pub(super) fn decode(bytes: &[u8], max_pixels: u64) -> Result<Decoded, String> {
    let damaged = |error| format!("the JPEG data are damaged or cut off: {error:?}");
    if !has_end(bytes) {
        return Err("the JPEG data are cut off: the end marker is missing".into());
    }

    // Stray bytes between headers do no harm, so strictness begins after them.
    let options = DecoderOptions::default().set_strict_mode(false);
    let options = options.set_max_width(usize::MAX).set_max_height(usize::MAX);
    let options = options.jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.info().map_or((0, 0), |info| (info.width.into(), info.height.into()));
    check_size((width, height), max_pixels)?;

    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let four_inks = decoder.info().is_some_and(|info| info.components == 4);
    decoder.set_options(options.set_strict_mode(true));
    let rgb = RgbImage::from_raw(width, height, decoder.decode().map_err(damaged)?)
        .ok_or("the JPEG data are damaged: they are of another size than announced")?;

    let mut notes = Vec::new();
    if four_inks {
        notes.push(CMYK.into());
    }
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok(Decoded { image: DynamicImage::ImageRgb8(rgb), orientation, notes })
}

/// Whether the end-of-image marker follows.
///
/// Even a strict decoder forgives an end in the last row of blocks. Segments are skipped by their length, for the
/// thumbnail inside the EXIF segment has an end marker of its own.
fn has_end(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    // Anything that is no marker lies between segments: pixels (FF 00 and restarts D0–D7 belong to them), fill bytes.
    while let Some(at) =
        rest.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xD0..=0xD7 | 0xFF))
    {
        let segment = &rest[at..];
        let skip = match segment[1] {
            0xD9 => return true,
            0x01 | 0xD8 => 2,
            _ => match segment.get(2..4) {
                Some(length) => 2 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
        };
        rest = segment.get(skip..).unwrap_or_default();
    }
    false
}
