//! What a scene promises, checked on both.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burnsight_core::Error;
use burnsight_scenes::{Church, Distractor, DistractorKind, EXAMPLE_SIZE, GasPump, GolfBall, Object, Parachute, Scene};
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

#[test]
fn random_scenes_hold_a_whole_object_in_the_middle_square() -> Result<()> {
    for object in Object::ALL {
        let mut masks = Vec::new();
        for seed in 0..6 {
            let scene = object.draw_random(seed, 96, 72)?;
            let share = area(&scene.mask) / (96.0 * 72.0);
            assert!((0.02..0.5).contains(&share), "{object:?} {seed}: {share}");
            let [left, _, right, _] = bounds(&scene.mask);
            assert!(left >= 12 && right <= 84, "{object:?} {seed}: {:?}", bounds(&scene.mask));
            assert_eq!(scene, object.draw_random(seed, 96, 72)?);
            masks.push(scene.mask);
        }
        assert!(masks.windows(2).all(|pair| pair[0] != pair[1]), "{object:?}: two seeds, one mask");
    }
    Ok(())
}

#[test]
fn distractors_change_the_picture_and_never_the_mask() -> Result<()> {
    let at = |kind| Distractor { kind, center: [0.5, 0.5], size: 0.3, colour: [255, 0, 255] };
    let both = vec![at(DistractorKind::Ball), at(DistractorKind::Crate)];
    let pairs = [
        (
            GolfBall::default().draw(96, 72)?,
            GolfBall { distractors: both.clone(), ..GolfBall::default() }.draw(96, 72)?,
        ),
        (
            Parachute::default().draw(96, 72)?,
            Parachute { distractors: both.clone(), ..Parachute::default() }.draw(96, 72)?,
        ),
        (Church::default().draw(96, 72)?, Church { distractors: both.clone(), ..Church::default() }.draw(96, 72)?),
        (GasPump::default().draw(96, 72)?, GasPump { distractors: both, ..GasPump::default() }.draw(96, 72)?),
    ];
    for (plain, disturbed) in pairs {
        assert_eq!(plain.mask, disturbed.mask);
        assert_ne!(plain.picture, disturbed.picture);
        // Inside the object nothing shows through.
        let covered = plain.mask.enumerate_pixels().filter(|(x, y, _)| {
            let near =
                |dx: u32, dy: u32| plain.mask.get_pixel_checked(x + dx - 1, y + dy - 1).is_some_and(|p| p[0] == 255);
            *x > 0 && *y > 0 && (0..9).all(|i| near(i % 3, i / 3))
        });
        let all = covered.clone().count();
        let same = covered.filter(|(x, y, _)| plain.picture.get_pixel(*x, *y) == disturbed.picture.get_pixel(*x, *y));
        // Between lines of the parachute a pixel may be half of the object.
        assert!(all > 20 && same.count() * 100 > all * 95);
    }
    Ok(())
}

#[test]
fn buildings_stand_wholly_in_the_picture() {
    assert_refused(Church { center: [0.1, 0.5], ..Church::default() }.draw(64, 64), "center");
    assert_refused(GasPump { center: [0.5, f64::NAN], ..GasPump::default() }.draw(64, 64), "center");
    assert_refused(Church { height: 0.0, ..Church::default() }.draw(64, 64), "height");
    assert_refused(GasPump { height: 1.1, ..GasPump::default() }.draw(64, 64), "height");
    assert_refused(Church { light: [0.0, -1.0, 0.0], ..Church::default() }.draw(64, 64), "light");
}
