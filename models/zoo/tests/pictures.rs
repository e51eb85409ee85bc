//! Every kind of picture file, good and bad.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use burnsight_core::Error;
use burnsight_zoo::{DEFAULT_MAX_PIXELS, Picture, find_pictures};
use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, Rgba, RgbaImage};
use tempfile::TempDir;

const WRITABLE: [ImageFormat; 7] = [
    ImageFormat::Bmp,
    ImageFormat::Gif,
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::Pnm,
    ImageFormat::Tiff,
    ImageFormat::WebP,
];

/// 24 × 16: red, green, blue and white quarters, as `pictures/generate.py` draws.
fn quarters() -> DynamicImage {
    let rgb = image::RgbImage::from_fn(24, 16, |x, y| {
        image::Rgb(match (x < 12, y < 8) {
            (true, true) => [255, 0, 0],
            (false, true) => [0, 255, 0],
            (true, false) => [0, 0, 255],
            (false, false) => [255, 255, 255],
        })
    });
    rgb.into()
}

fn is_quarters(picture: &Picture) -> bool {
    let centres = [(4, 4), (18, 4), (4, 12), (18, 12)];
    let expected = quarters().into_rgb8();
    picture.rgb.dimensions() == (24, 16)
        && centres.iter().all(|&(x, y)| {
            let (a, b) = (picture.rgb.get_pixel(x, y), expected.get_pixel(x, y));
            a.0.iter().zip(b.0).all(|(a, b)| a.abs_diff(b) <= 4)
        })
}

/// Something without flat areas, so that every byte of the file matters.
fn coloured(width: u32, height: u32) -> DynamicImage {
    let rgb = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 37 + y * 11) as u8, (x * y) as u8, (x * x + 3 * y) as u8])
    });
    rgb.into()
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn decode(bytes: &[u8]) -> burnsight_core::Result<Picture> {
    Picture::decode(bytes, "test", DEFAULT_MAX_PIXELS)
}

#[track_caller]
fn refused(result: burnsight_core::Result<Picture>, name: &str, says: &str) {
    let error = result.map(|picture| picture.rgb.dimensions()).unwrap_err();
    assert!(matches!(error, Error::Image { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains(name) && message.contains(says), "{message}");
}

fn folder_with(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(name)
}

#[test]
fn every_format_is_read_whatever_its_name() {
    for format in WRITABLE {
        let folder = folder_with(&[("picture.txt", &encoded(&quarters(), format))]);
        let picture = Picture::open(folder.path().join("picture.txt"), DEFAULT_MAX_PIXELS).unwrap();
        assert!(is_quarters(&picture), "{format:?}");
        assert!(picture.notes.is_empty(), "{format:?}: {:?}", picture.notes);
    }
}

#[test]
fn exif_orientation_is_applied() {
    for name in ["exif_3.jpg", "exif_5.jpg", "exif_6.jpg", "exif_8.jpg", "exif_6.png"] {
        assert!(is_quarters(&Picture::open(fixture(name), DEFAULT_MAX_PIXELS).unwrap()), "{name}");
    }
}

#[test]
fn cmyk_becomes_the_right_colours_and_a_note() {
    for name in ["cmyk_adobe.jpg", "cmyk_plain.jpg", "ycck_adobe.jpg"] {
        let picture = Picture::open(fixture(name), DEFAULT_MAX_PIXELS).unwrap();
        assert!(is_quarters(&picture), "{name}");
        assert!(picture.notes.len() == 1 && picture.notes[0].contains("CMYK"), "{:?}", picture.notes);
    }
}

#[test]
fn grey_is_the_same_in_every_channel() {
    for grey in [DynamicImage::from(coloured(9, 5).into_luma8()), coloured(9, 5).into_luma16().into()] {
        let picture = decode(&encoded(&grey, ImageFormat::Png)).unwrap();
        assert_eq!(picture.rgb, DynamicImage::from(grey.to_luma8()).into_rgb8());
    }
}

#[test]
fn sixteen_bits_are_rounded_to_eight() {
    let values: Vec<u16> = vec![0, 128, 129, 0x7FFF, 0xFF80, 0xFFFF];
    let deep = image::ImageBuffer::<image::Rgb<u16>, _>::from_raw(2, 1, values).unwrap();
    let picture = decode(&encoded(&deep.into(), ImageFormat::Png)).unwrap();
    assert_eq!(picture.rgb.into_raw(), [0, 0, 1, 127, 255, 255]);
}

#[test]
fn transparency_is_laid_over_white_with_a_note() {
    let pixels = [[255, 0, 0, 255], [255, 0, 0, 0], [255, 0, 0, 128]];
    let image = RgbaImage::from_fn(3, 1, |x, _| Rgba(pixels[x as usize]));
    let picture = decode(&encoded(&image.into(), ImageFormat::Png)).unwrap();
    assert_eq!(picture.rgb.into_raw(), [255, 0, 0, 255, 255, 255, 255, 127, 127]);
    assert!(picture.notes.len() == 1 && picture.notes[0].contains("transparent"), "{:?}", picture.notes);

    let opaque = encoded(&quarters().into_rgba8().into(), ImageFormat::Png);
    assert!(decode(&opaque).unwrap().notes.is_empty());
}

#[test]
fn of_an_animation_the_first_frame_is_taken_with_a_note() {
    let mut bytes = Vec::new();
    let frames = [quarters(), coloured(24, 16)].map(|image| Frame::new(image.into_rgba8()));
    GifEncoder::new(&mut bytes).encode_frames(frames).unwrap();
    let picture = decode(&bytes).unwrap();
    assert!(is_quarters(&picture));
    assert!(picture.notes.len() == 1 && picture.notes[0].contains("first frame"), "{:?}", picture.notes);
}

#[test]
fn a_large_picture_is_refused_from_its_header() {
    for format in WRITABLE {
        let bytes = encoded(&coloured(30, 20), format);
        refused(Picture::decode(&bytes, "large", 599), "large", "30 × 20 = 600 pixels");
        refused(Picture::decode(&bytes, "large", 599), "599", "--max-pixels");
        assert!(Picture::decode(&bytes, "large", 600).is_ok(), "{format:?}");
    }
    // 4 × 10⁹ pixels announced, none there: only the header can have been read.
    refused(decode(b"P6 65535 65535 255\n"), "65535 × 65535", "--max-pixels");
}

#[test]
fn what_is_no_picture_is_refused() {
    let folder = folder_with(&[("text.png", b"not a picture at all"), ("empty.jpg", b"")]);
    let open = |name: &str| Picture::open(folder.path().join(name), DEFAULT_MAX_PIXELS);
    refused(open("text.png"), "text.png", "PNG");
    refused(open("empty.jpg"), "empty.jpg", "empty");
    refused(open("missing.png"), "missing.png", "no such file");
    refused(open(""), &folder.path().display().to_string(), "folder");
    refused(decode(b"qoif\0\0\0\x01\0\0\0\x01\x03\0"), "QOI", "not supported");
}

#[test]
fn every_cut_of_every_format_is_refused() {
    for format in WRITABLE {
        let bytes = encoded(&coloured(40, 30), format);
        // The last four bytes close the file in some formats: no pixel depends on them.
        for length in 0..bytes.len() - 4 {
            assert!(decode(&bytes[..length]).is_err(), "{format:?}: {length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn a_thumbnail_does_not_hide_that_a_jpeg_is_cut_off() {
    let bytes = fs::read(fixture("thumbnail.jpg")).unwrap();
    assert!(is_quarters(&decode(&bytes).unwrap()));
    refused(decode(&bytes[..bytes.len() - 2]), "test", "end marker");
}

#[test]
fn a_jpeg_damaged_in_the_middle_is_refused() {
    let mut bytes = encoded(&coloured(64, 64), ImageFormat::Jpeg);
    let middle = bytes.len() * 2 / 3;
    // A marker that has no business there. Lenient decoding stops and leaves what follows grey.
    bytes[middle..middle + 2].copy_from_slice(&[0xFF, 0xD8]);
    assert!(image::load_from_memory(&bytes).is_ok());
    refused(decode(&bytes), "test", "damaged");
}

#[test]
fn data_after_the_end_of_a_jpeg_are_ignored() {
    let mut bytes = encoded(&quarters(), ImageFormat::Jpeg);
    bytes.extend([0xFF, 0xD8, 0x12, 0x34]);
    assert!(is_quarters(&decode(&bytes).unwrap()));
}

#[test]
fn no_damage_makes_a_decoder_panic() {
    for format in WRITABLE {
        let bytes = encoded(&coloured(60, 50), format);
        // The first 64 bytes one by one, for that is where sizes and types are; then further and further apart.
        let places = (0..64).chain((64..bytes.len()).step_by(bytes.len() / 200 + 1)).filter(|at| *at < bytes.len());
        for at in places {
            for mask in [0xFF, 0x80, 0x01] {
                let mut damaged = bytes.clone();
                damaged[at] ^= mask;
                if let Err(error) = Picture::decode(&damaged, "damaged", 1_000_000) {
                    let message = error.to_string();
                    assert!(!message.contains("decoder failed"), "{format:?} byte {at} ^ {mask}: {message}");
                }
            }
        }
    }
}

#[test]
fn a_folder_gives_its_pictures_sorted() {
    let folder = folder_with(&[("b.png", b""), ("a.JPG", b""), ("c.txt", b""), ("._a.jpg", b""), ("d.webp", b"")]);
    fs::create_dir(folder.path().join("e.png")).unwrap();
    let named = folder.path().join("c.txt");
    let found = find_pictures(&[named.clone(), folder.path().into()]).unwrap();
    let expected: Vec<PathBuf> = ["a.JPG", "b.png", "d.webp"].map(|name| folder.path().join(name)).into();
    assert_eq!(found[0], named, "a file that is named itself is taken as it is");
    assert_eq!(found[1..], expected);
}

#[test]
fn a_folder_without_pictures_and_a_missing_path_are_refused() {
    let folder = folder_with(&[("notes.txt", b"")]);
    let refusal = |path: &Path| find_pictures(&[path.to_path_buf()]).unwrap_err().to_string();
    let message = refusal(folder.path());
    assert!(message.contains(&folder.path().display().to_string()) && message.contains("jpeg, jpg"), "{message}");
    let message = refusal(&folder.path().join("missing"));
    assert!(message.contains("missing") && message.contains("no such file or folder"), "{message}");
}
