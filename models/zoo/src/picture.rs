//! Pictures from files: decoded completely or refused.

mod jpeg;
mod listing;

use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use burnsight_core::{Error, Result};
use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{
    AnimationDecoder, DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage,
    RgbaImage,
};

pub use listing::{PICTURE_EXTENSIONS, find_pictures};

/// The largest picture that is decoded unless asked otherwise: 100 megapixels, 300 MB of colours.
pub const DEFAULT_MAX_PIXELS: u64 = 100_000_000;

/// What can be read, for messages.
const FORMATS: &str = "BMP, GIF, JPEG, PNG, PNM, TIFF and WebP";

/// The note on pictures made for print.
const CMYK: &str = "it is CMYK: converted to RGB without its colour profile";

/// Bytes that decide the format; the longest signature has 12.
const SIGNATURE: u64 = 16;

/// Metadata and headers that a file may have on top of its pixels.
const OVERHEAD: u64 = 64 << 20;

/// A picture as a viewer shows it: 8-bit RGB, turned upright, nothing transparent.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The colours, at least 1 × 1.
    pub rgb: RgbImage,
    /// What was done to get there that changes what a model sees (transparency, further frames left out, CMYK), one
    /// sentence each.
    pub notes: Vec<String>,
}

impl Picture {
    /// Reads a file. Its content decides the format, not its name.
    ///
    /// Grey and palette pictures become RGB, 16 bits become 8, EXIF orientation is applied; transparency is laid over
    /// white, CMYK converted without its colour profile and of an animation the first frame taken, each with a note.
    /// Of a TIFF file with several pages the first is read.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] if the file is missing, not a picture, damaged or cut off, or has more than `max_pixels`
    /// pixels. The size is checked before anything is decoded.
    pub fn open(path: impl AsRef<Path>, max_pixels: u64) -> Result<Self> {
        let path = path.as_ref();
        let refuse = |problem: String| Error::image(path.display(), problem);
        let unreadable = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => refuse("there is no such file".into()),
            _ => refuse(format!("cannot be read: {error}")),
        };

        let mut file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.is_dir() {
            return Err(refuse("is a folder, not a picture".into()));
        }
        // Only what begins like a picture is read on: the path may name an endless device or a huge archive.
        let mut bytes = Vec::new();
        file.by_ref().take(SIGNATURE).read_to_end(&mut bytes).map_err(unreadable)?;
        guess_format(&bytes).map_err(refuse)?;
        let most = max_pixels.saturating_mul(8).saturating_add(OVERHEAD);
        file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::decode(&bytes, path.display(), max_pixels)
    }

    /// Decodes the bytes of a picture file as [`open`](Self::open) does; `name` appears in messages.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn decode(bytes: &[u8], name: impl std::fmt::Display, max_pixels: u64) -> Result<Self> {
        // Decoders are written not to panic, but they are other people's and the bytes may be hostile.
        catch_unwind(AssertUnwindSafe(|| decode(bytes, max_pixels)))
            .unwrap_or_else(|_| Err("the decoder failed on these data: they are damaged".into()))
            .map_err(|problem| Error::image(name, problem))
    }
}

/// What a decoder gives, before transparency is resolved.
struct Decoded {
    image: DynamicImage,
    orientation: Orientation,
    notes: Vec<String>,
}

fn decode(bytes: &[u8], max_pixels: u64) -> std::result::Result<Picture, String> {
    let format = guess_format(bytes)?;
    let Decoded { mut image, orientation, mut notes } = match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, max_pixels)?,
        _ => decode_other(bytes, format, max_pixels)?,
    };
    image.apply_orientation(orientation);
    if is_animated(bytes, format, limits(max_pixels)) {
        notes.push("it is animated: only the first frame is looked at".into());
    }
    let rgb = if image.color().has_alpha() {
        let (rgb, transparent) = over_white(&image.into_rgba8());
        if transparent {
            notes.push("it is partly transparent: laid over white".into());
        }
        rgb
    } else {
        image.into_rgb8()
    };
    Ok(Picture { rgb, notes })
}

fn guess_format(bytes: &[u8]) -> std::result::Result<ImageFormat, String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    let format = image::guess_format(bytes)
        .map_err(|_| format!("its content is not that of a picture; {FORMATS} can be read"))?;
    if !format.reading_enabled() {
        return Err(format!("{} pictures are not supported: save it as PNG; {FORMATS} can be read", upper(format)));
    }
    Ok(format)
}

/// Every format but JPEG.
fn decode_other(bytes: &[u8], format: ImageFormat, max_pixels: u64) -> std::result::Result<Decoded, String> {
    let damaged = |error: image::ImageError| match error {
        image::ImageError::Unsupported(error) => {
            format!("this kind of {} is not supported: {error}; save it as an 8-bit PNG", upper(format))
        }
        image::ImageError::Limits(error) => format!("{} needs too much memory: {error}", upper(format)),
        error => format!("the {} data are damaged or cut off: {error}", upper(format)),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits(max_pixels));
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    check_size(decoder.dimensions(), max_pixels)?;
    // A picture with unreadable metadata is still a picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut notes = Vec::new();
    if matches!(decoder.original_color_type(), ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16) {
        notes.push(CMYK.into());
    }
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    Ok(Decoded { image, orientation, notes })
}

/// What a decoder may allocate.
fn limits(max_pixels: u64) -> Limits {
    let mut limits = Limits::no_limits();
    // The widest pixel is four 32-bit floats.
    limits.max_alloc = Some(max_pixels.saturating_mul(16).saturating_add(OVERHEAD));
    limits
}

fn check_size((width, height): (u32, u32), max_pixels: u64) -> std::result::Result<(), String> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(format!("it has no pixels: {width} × {height}"));
    }
    if pixels > max_pixels {
        return Err(format!(
            "it is {width} × {height} = {pixels} pixels, and at most {max_pixels} are decoded: scale it down or raise \
             `--max-pixels`"
        ));
    }
    Ok(())
}

/// Whether there is more than one frame. Damage after the first frame does not matter here.
fn is_animated(bytes: &[u8], format: ImageFormat, limits: Limits) -> bool {
    let bytes = Cursor::new(bytes);
    match format {
        ImageFormat::Gif => GifDecoder::new(bytes)
            .is_ok_and(|mut decoder| decoder.set_limits(limits).is_ok() && decoder.into_frames().nth(1).is_some()),
        ImageFormat::Png => {
            PngDecoder::with_limits(bytes, limits).is_ok_and(|decoder| decoder.is_apng().unwrap_or(false))
        }
        ImageFormat::WebP => WebPDecoder::new(bytes).is_ok_and(|decoder| decoder.has_animation()),
        _ => false,
    }
}

/// The picture over a white page, and whether any of the page shows.
fn over_white(image: &RgbaImage) -> (RgbImage, bool) {
    let mut transparent = false;
    let mut rgb = RgbImage::new(image.width(), image.height());
    for (out, pixel) in rgb.pixels_mut().zip(image.pixels()) {
        let [colour @ .., alpha] = pixel.0;
        transparent |= alpha < 255;
        let alpha = u32::from(alpha);
        out.0 = colour.map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
    }
    (rgb, transparent)
}

fn upper(format: ImageFormat) -> String {
    format!("{format:?}").to_uppercase()
}
