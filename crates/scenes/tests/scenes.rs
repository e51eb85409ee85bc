//! What a scene promises, checked on both.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burnsight_core::Error;
use burnsight_scenes::{EXAMPLE_SIZE, GolfBall, Parachute, Scene};
use image::GrayImage;

/// Number of object pixels.
fn area(mask: &GrayImage) -> f64 {
    assert!(mask.pixels().all(|p| p[0] == 0 || p[0] == 255));
    mask.pixels().filter(|p| p[0] == 255).count() as f64
}

/// Left, top, right and bottom of the object's pixels (the last two exclusive).
fn bounds(mask: &GrayImage) -> [u32; 4] {
    mask.enumerate_pixels()
        .filter(|(_, _, p)| p[0] == 255)
        .fold([u32::MAX, u32::MAX, 0, 0], |[l, t, r, b], (x, y, _)| [l.min(x), t.min(y), r.max(x + 1), b.max(y + 1)])
}

fn assert_refused(result: burnsight_core::Result<Scene>, name: &str) {
    match result {
        Err(Error::Parameter { parameter, .. }) => assert_eq!(parameter, name),
        other => panic!("`{name}` should have been refused: {:?}", other.map(|_| "drawn")),
    }
}

#[test]
fn ball_mask_is_the_disc() -> Result<()> {
    for (center, radius) in [([0.5, 0.5], 0.3), ([0.3, 0.62], 0.2), ([0.8, 0.4], 0.1)] {
        let (width, height) = (150, 100);
        let scene = GolfBall { center, radius, ..GolfBall::default() }.draw(width, height)?;
        assert_eq!(scene.picture.dimensions(), (width, height));
        assert_eq!(scene.mask.dimensions(), (width, height));

        let (x, y, r) = (center[0] * 150.0, center[1] * 100.0, radius * 100.0);
        let exact = std::f64::consts::PI * r * r;
        assert!((area(&scene.mask) / exact - 1.0).abs() < 0.02, "{} for {exact}", area(&scene.mask));
        for (px, py, p) in scene.mask.enumerate_pixels() {
            let distance = (f64::from(px) + 0.5 - x).hypot(f64::from(py) + 0.5 - y);
            // Only where the edge cuts the pixel may the centre and the majority of the samples disagree.
            assert!((distance - r).abs() < 0.5 || (p[0] == 255) == (distance < r), "({px}, {py})");
        }
    }
    Ok(())
}

#[test]
fn parachute_fills_the_height_it_was_given() -> Result<()> {
    let scene = Parachute { height: 0.8, lean: 0.0, center: [0.4, 0.5], ..Parachute::default() }.draw(320, 200)?;
    let unit = 0.8 * 200.0 / 2.4;
    let expected = [128.0 - unit, 20.0, 128.0 + unit, 180.0];
    for (found, expected) in bounds(&scene.mask).into_iter().zip(expected) {
        assert!((f64::from(found) - expected).abs() <= 2.0, "{:?}, not {expected:?}", bounds(&scene.mask));
    }
    // The dome is half an ellipse of half axes 1 and 0.7; rim, lines and person add less than as much again.
    let dome = std::f64::consts::FRAC_PI_2 * 0.7 * unit * unit;
    assert!((1.0..1.6).contains(&(area(&scene.mask) / dome)), "{}", area(&scene.mask) / dome);
    Ok(())
}

#[test]
fn objects_may_touch_the_border_but_not_cross_it() -> Result<()> {
    assert_eq!(
        bounds(&GolfBall { center: [0.5, 0.5], radius: 0.5, ..GolfBall::default() }.draw(64, 64)?.mask),
        [0, 0, 64, 64]
    );
    for center in [[0.1, 0.5], [0.5, 0.95], [f64::NAN, 0.5]] {
        assert_refused(GolfBall { center, ..GolfBall::default() }.draw(64, 64), "center");
        assert_refused(Parachute { center, ..Parachute::default() }.draw(64, 64), "center");
    }
    Ok(())
}

#[test]
fn same_seed_same_bytes_other_seed_same_mask() -> Result<()> {
    let ball = |seed| GolfBall { seed, ..GolfBall::default() }.draw(96, 72);
    let parachute = |seed| Parachute { seed, ..Parachute::default() }.draw(96, 72);
    for (a, again, b) in [(ball(3)?, ball(3)?, ball(4)?), (parachute(3)?, parachute(3)?, parachute(4)?)] {
        assert_eq!(a, again);
        assert_eq!(a.mask, b.mask);
        assert_ne!(a.picture, b.picture);
    }
    Ok(())
}

#[test]
fn light_and_stripes_change_the_picture_only() -> Result<()> {
    let size = |scene: Parachute| scene.draw(96, 72);
    let (usual, other) = (
        size(Parachute::default())?,
        size(Parachute { light: [0.5, 1.0, 0.0], stripes: vec![[20, 90, 160]], ..Parachute::default() })?,
    );
    assert_eq!(usual.mask, other.mask);
    assert_ne!(usual.picture, other.picture);
    Ok(())
}

#[test]
fn bad_parameters_are_named() {
    assert_refused(GolfBall::default().draw(15, 64), "width");
    assert_refused(Parachute::default().draw(64, 5000), "height");
    for radius in [0.0, -0.1, 0.51, f64::NAN] {
        assert_refused(GolfBall { radius, ..GolfBall::default() }.draw(64, 64), "radius");
    }
    for height in [0.0, 1.1, f64::NAN] {
        assert_refused(Parachute { height, ..Parachute::default() }.draw(64, 64), "height");
    }
    for light in [[0.0; 3], [0.0, -1.0, 0.5], [f64::NAN, 1.0, 0.0], [0.0, f64::INFINITY, 0.0]] {
        assert_refused(GolfBall { light, ..GolfBall::default() }.draw(64, 64), "light");
        assert_refused(Parachute { light, ..Parachute::default() }.draw(64, 64), "light");
    }
    assert_refused(Parachute { lean: 2.0, ..Parachute::default() }.draw(64, 64), "lean");
    assert_refused(Parachute { stripes: vec![], ..Parachute::default() }.draw(64, 64), "stripes");
}

#[test]
fn committed_pictures_are_these_drawings() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/images");
    let open = |file: PathBuf| image::open(&file).with_context(|| format!("cannot read {}", file.display()));
    let (width, height) = EXAMPLE_SIZE;
    for (file, scene) in [
        ("golf-ball.png", GolfBall::default().draw(width, height)?),
        ("parachute.png", Parachute::default().draw(width, height)?),
    ] {
        assert!(open(folder.join(file))?.into_rgb8() == scene.picture, "{file} differs: run the example `draw`");
        assert!(open(folder.join("masks").join(file))?.into_luma8() == scene.mask, "masks/{file} differs");
    }
    Ok(())
}
