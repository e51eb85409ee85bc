//! A gas pump at a filling station.

use burnsight_core::Result;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::building::{Upright, paint_contact_shadow, paint_ground, paint_tree_line};
use crate::canvas::Canvas;
use crate::colour::{Colour, mix, rgb, scale};
use crate::noise::Noise;
use crate::parachute::paint_sky;
use crate::vector::{Vector, check_light, smoothstep};
use crate::{Distractor, Scene};

/// An old gas pump with a globe, a dial and a hose, on a forecourt before trees and sky.
///
/// The object, and so the mask, is the pump with its hose and nozzle.
#[derive(Clone, Debug, PartialEq)]
pub struct GasPump {
    /// Centre of the whole, as fractions of width and height from the top left. Default: `[0.5, 0.52]`.
    pub center: [f64; 2],
    /// Height from the ground to the top of the globe, as a fraction of the shorter side. Default: 0.86. All of it must lie in the
    /// picture.
    pub height: f64,
    /// Whether the hose hangs at the left. Default: no.
    pub mirrored: bool,
    /// Colour of the housing as red, green and blue bytes. Default: red.
    pub housing: [u8; 3],
    /// Direction towards the sun: right, up, towards the viewer; any length. Default: `[-0.5, 0.7, 0.5]`.
    pub light: [f64; 3],
    /// What else is there. Default: nothing.
    pub distractors: Vec<Distractor>,
    /// Seed of clouds, trees and paving; the pump does not depend on it. Default: 0.
    pub seed: u64,
}

impl Default for GasPump {
    fn default() -> Self {
        Self {
            center: [0.5, 0.52],
            height: 0.86,
            mirrored: false,
            housing: [190, 30, 32],
            light: [-0.5, 0.7, 0.5],
            distractors: Vec::new(),
            seed: 0,
        }
    }
}

/// Half the width of everything, and of the housing.
const HALF: f64 = 0.3;
const BODY: f64 = 0.17;
/// Top of the housing, and the globe's middle and radius.
const SHOULDER: f64 = 0.8;
const GLOBE: [f64; 2] = [0.905, 0.095];

impl GasPump {
    /// Draws the scene at `width` × `height` pixels.
    ///
    /// # Errors
    ///
    /// A side outside 16 to 4096 pixels; a pump that is not wholly in the picture; a light that does not come from above.
    pub fn draw(&self, width: u32, height: u32) -> Result<Scene> {
        let mut canvas = Canvas::new(width, height)?;
        let light = check_light(self.light)?;
        let view = Upright::new(&canvas, self.center, self.height, HALF, "gas pump")?;
        let [r, g, b] = self.housing;
        let housing = rgb(u32::from_be_bytes([0, r, g, b]));
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let (clouds, plants) = (Noise::new(&mut random), Noise::new(&mut random));
        paint_sky(&mut canvas, &clouds);
        let horizon = view.foot() - 0.16 * view.unit();
        paint_tree_line(&mut canvas, &plants, horizon, 0.3 * view.unit());
        paint_ground(&mut canvas, &plants, horizon, true);
        self.distractors.iter().for_each(|distractor| distractor.paint(&mut canvas, light));
        paint_contact_shadow(&mut canvas, &view, -0.2, 0.2);
        let turn = if self.mirrored { -1.0 } else { 1.0 };
        canvas.paint_object(view.area(-HALF, 0.0, HALF, 1.0), |x, y| {
            let [u, v] = view.local(x, y);
            pump_colour([turn * u, v], housing, [turn * light[0], light[1], light[2]])
        });
        Ok(canvas.finish())
    }
}

/// The colour at a point of the pump, if there is one.
fn pump_colour([u, v]: [f64; 2], housing: Colour, light: Vector) -> Option<Colour> {
    hose_colour([u, v])
        .or_else(|| globe_colour([u, v - GLOBE[0]], light))
        .or_else(|| body_colour([u, v], housing, light))
}

fn globe_colour([u, v]: [f64; 2], light: Vector) -> Option<Colour> {
    let (a, b) = (u / GLOBE[1], v / GLOBE[1]);
    let ring = (a * a + b * b).sqrt();
    if ring >= 1.0 {
        return None;
    }
    let face =
        if (0.5..0.62).contains(&ring) || b.abs() < 0.14 && a.abs() < 0.45 { rgb(0xb4191b) } else { rgb(0xf6f3e6) };
    let shade = 0.75 + 0.25 * (a * light[0] + b * light[1]) - 0.35 * smoothstep(0.85, 1.0, ring);
    Some(scale(if ring > 0.9 { rgb(0x8d8f92) } else { face }, shade))
}

fn body_colour([u, v]: [f64; 2], housing: Colour, light: Vector) -> Option<Colour> {
    let half = match v {
        v if v < 0.05 => 0.2,
        v if v > SHOULDER - 0.06 => {
            // Round shoulders.
            let up = (v - SHOULDER + 0.06) / 0.06;
            BODY * (0.55 + 0.45 * (1.0 - up * up).max(0.0).sqrt())
        }
        _ => BODY,
    };
    if v >= SHOULDER + 0.015 || u.abs() >= half || v > SHOULDER && u.abs() > 0.06 {
        return None;
    }
    // A cylinder's shading on a box with round edges.
    let across = u / half;
    let round = 0.55 + 0.4 * light[2] + 0.25 * across * light[0] - 0.3 * smoothstep(0.75, 1.0, across.abs());
    if v < 0.05 {
        return Some(scale(rgb(0x77756f), round));
    }
    let chrome = [0.05, 0.3, 0.44, 0.74].iter().any(|line| (v - line).abs() < 0.008);
    if chrome {
        return Some(scale(rgb(0xd9dcde), 0.55 + 0.6 * smoothstep(0.4, -0.2, across.abs())));
    }
    if (0.46..0.72).contains(&v) && u.abs() < 0.135 {
        return Some(dial_colour([u / 0.135, (v - 0.59) / 0.13]));
    }
    if (0.33..0.41).contains(&v) && u.abs() < 0.1 {
        let letter = (u * 60.0).rem_euclid(1.0) < 0.6 && (0.35..0.39).contains(&v);
        return Some(if letter { rgb(0xb4191b) } else { scale(rgb(0xf1eddd), round) });
    }
    let panel = if (0.09..0.27).contains(&v) && u.abs() < 0.13 { 0.85 } else { 1.0 };
    Some(scale(housing, panel * round))
}

/// The window with the counters: sale, gallons, price.
fn dial_colour([a, b]: [f64; 2]) -> Colour {
    if a.abs() > 0.93 || b.abs() > 0.93 {
        return rgb(0xb9bcbe);
    }
    let counter = |middle: f64, wide: f64| (b - middle).abs() < 0.17 && a.abs() < wide;
    for (middle, wide, digits) in [(0.55, 0.7, 5.0), (0.05, 0.7, 5.0), (-0.5, 0.45, 3.0)] {
        if counter(middle, wide) {
            let place = ((a + wide) / (2.0 * wide) * digits).rem_euclid(1.0);
            let (x, y) = ((place - 0.5) / 0.28, (b - middle) / 0.11);
            // Digits as small rings.
            let ring = (x * x + y * y).sqrt();
            let ink = (0.6..1.0).contains(&ring) || place < 0.06;
            return if ink { rgb(0xf4f2ea) } else { rgb(0x17181a) };
        }
    }
    mix(rgb(0xe9e6da), rgb(0xffffff), smoothstep(-1.0, 1.0, b))
}

/// The hose: from the side of the housing down in a bow and up to the nozzle, which hangs at its side.
fn hose_colour([u, v]: [f64; 2]) -> Option<Colour> {
    let rod = |a: [f64; 2], b: [f64; 2], half: f64| {
        let along = [b[0] - a[0], b[1] - a[1]];
        let t = ((u - a[0]) * along[0] + (v - a[1]) * along[1]) / (along[0] * along[0] + along[1] * along[1]);
        let t = t.clamp(0.0, 1.0);
        let (du, dv) = (u - a[0] - t * along[0], v - a[1] - t * along[1]);
        (du * du + dv * dv < half * half).then_some((du - dv) / half)
    };
    let metal = |side: f64| scale(rgb(0xc3c6c8), 0.8 - 0.3 * side);
    let nozzle = rod([BODY + 0.03, 0.52], [BODY + 0.03, 0.66], 0.022)
        .or_else(|| rod([BODY + 0.03, 0.66], [BODY - 0.02, 0.7], 0.014));
    if let Some(side) = nozzle {
        return Some(metal(side));
    }
    // A half ellipse below the two ends.
    let (a, b) = ((u - BODY - 0.065) / 0.055, (v - 0.2) / 0.12);
    let ring = (a * a + b * b).sqrt();
    let bow = v < 0.2 && (ring - 1.0).abs() < 0.2;
    let up =
        (0.2..0.52).contains(&v) && ((u - BODY - 0.01).abs() < 0.011 || (u - BODY - 0.12).abs() < 0.011 && v < 0.42);
    let back = rod([BODY + 0.12, 0.42], [BODY - 0.01, 0.48], 0.011).is_some();
    (bow || up || back).then(|| rgb(0x1f1f20))
}
