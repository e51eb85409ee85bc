//! A church in a village.

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

/// A church with a steeple, seen from the side, on a meadow before trees and sky.
///
/// The object, and so the mask, is the whole building with its cross.
#[derive(Clone, Debug, PartialEq)]
pub struct Church {
    /// Centre of the whole, as fractions of width and height from the top left. Default: `[0.5, 0.52]`.
    pub center: [f64; 2],
    /// Height from the ground to the cross, as a fraction of the shorter side. Default: 0.82. All of it must lie in the picture.
    pub height: f64,
    /// Whether the steeple stands at the right end. Default: no.
    pub mirrored: bool,
    /// Colour of the walls as red, green and blue bytes. Default: white.
    pub walls: [u8; 3],
    /// Colour of the roofs. Default: slate.
    pub roofs: [u8; 3],
    /// Direction towards the sun: right, up, towards the viewer; any length. Default: `[-0.5, 0.7, 0.5]`.
    pub light: [f64; 3],
    /// What else is there. Default: nothing.
    pub distractors: Vec<Distractor>,
    /// Seed of clouds, trees and meadow; the church does not depend on it. Default: 0.
    pub seed: u64,
}

impl Default for Church {
    fn default() -> Self {
        Self {
            center: [0.5, 0.52],
            height: 0.82,
            mirrored: false,
            walls: [236, 231, 220],
            roofs: [92, 86, 92],
            light: [-0.5, 0.7, 0.5],
            distractors: Vec::new(),
            seed: 0,
        }
    }
}

/// Half the width of the building.
const HALF: f64 = 0.42;
/// The steeple's middle and half width.
const TOWER: f64 = -0.26;
const TOWER_HALF: f64 = 0.115;
/// Where its walls end, and its spire.
const EAVES: f64 = 0.56;
const SPIRE: f64 = 0.93;
/// The nave's walls and its ridge.
const WALL: f64 = 0.3;
const RIDGE: f64 = 0.5;

impl Church {
    /// Draws the scene at `width` × `height` pixels.
    ///
    /// # Errors
    ///
    /// A side outside 16 to 4096 pixels; a church that is not wholly in the picture; a light that does not come from above.
    pub fn draw(&self, width: u32, height: u32) -> Result<Scene> {
        let mut canvas = Canvas::new(width, height)?;
        let light = check_light(self.light)?;
        let view = Upright::new(&canvas, self.center, self.height, HALF, "church")?;
        let colour = |[r, g, b]: [u8; 3]| rgb(u32::from_be_bytes([0, r, g, b]));
        let (walls, roofs) = (colour(self.walls), colour(self.roofs));
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let (clouds, plants) = (Noise::new(&mut random), Noise::new(&mut random));
        paint_sky(&mut canvas, &clouds);
        let horizon = view.foot() - 0.04 * view.unit();
        paint_tree_line(&mut canvas, &plants, horizon, 0.22 * view.unit());
        paint_ground(&mut canvas, &plants, horizon, false);
        self.distractors.iter().for_each(|distractor| distractor.paint(&mut canvas, light));
        paint_contact_shadow(&mut canvas, &view, -HALF, HALF);
        canvas.paint_object(view.area(-HALF, 0.0, HALF, 1.0), |x, y| {
            let [u, v] = view.local(x, y);
            church_colour([if self.mirrored { -u } else { u }, v], walls, roofs, light, self.mirrored)
        });
        Ok(canvas.finish())
    }
}

/// The colour at a point of the building, if there is one.
fn church_colour([u, v]: [f64; 2], walls: Colour, roofs: Colour, light: Vector, mirrored: bool) -> Option<Colour> {
    // Walls face the viewer; what is near the side the sun comes from is a little brighter.
    let side = if mirrored { -light[0] } else { light[0] };
    let front = 0.45 + 0.5 * light[2].max(0.0) + 0.12 * side * u / HALF;
    let across = (u - TOWER) / TOWER_HALF;
    if v > SPIRE {
        let bar = (u - TOWER).abs() < 0.006 || ((u - TOWER).abs() < 0.025 && (v - 0.965).abs() < 0.006);
        return bar.then(|| rgb(0x2b2a28));
    }
    if v > EAVES {
        // The spire: two faces, the one towards the sun brighter.
        let width = 1.25 * (SPIRE - v) / (SPIRE - EAVES);
        let lit = 0.5 + 0.45 * smoothstep(-0.05, 0.05, across * side);
        let rows = 0.92 + 0.08 * smoothstep(0.3, 0.7, (v * 90.0).fract());
        return (across.abs() < width).then(|| scale(roofs, lit * rows));
    }
    if across.abs() < 1.0 {
        return Some(tower_colour([across, v], walls, front));
    }
    if !(TOWER..HALF).contains(&u) {
        return None;
    }
    if v > WALL {
        // The nave's roof leans back: it sees more of the sky.
        let inset = 0.05 * (v - WALL) / (RIDGE - WALL);
        let tiles = 0.9 + 0.1 * smoothstep(0.2, 0.8, (v * 70.0).fract());
        let inside = v < RIDGE && u < HALF - inset;
        return inside.then(|| scale(roofs, tiles * (0.55 + 0.5 * light[1])));
    }
    let eaves = 1.0 - 0.35 * smoothstep(WALL - 0.03, WALL, v);
    Some(scale(window([(u + 0.02) / 0.145, v], walls, [0.07, 0.22], front), eaves))
}

fn tower_colour([across, v]: [f64; 2], walls: Colour, front: f64) -> Colour {
    let edge = 1.0 - 0.18 * smoothstep(0.8, 1.0, across.abs());
    let cornice = 1.0 - 0.3 * smoothstep(0.012, 0.0, (v - 0.4).abs());
    let wall = scale(walls, front * edge * cornice);
    let arch = |width: f64, bottom: f64, top: f64| {
        let round = ((v - top) / (width * TOWER_HALF)).max(0.0);
        v > bottom && across.abs() < width * (1.0 - round * round).max(0.0).sqrt()
    };
    if arch(0.34, 0.0, 0.13) {
        return scale(rgb(0x5a3420), if across.abs() < 0.03 { 0.5 } else { 1.0 });
    }
    if arch(0.3, 0.43, 0.49) {
        return rgb(0x1c1d20);
    }
    let clock = (across * across + ((v - 0.33) / TOWER_HALF) * ((v - 0.33) / TOWER_HALF)).sqrt();
    match clock {
        c if c < 0.26 => {
            mix(rgb(0xf4efe0), rgb(0x20201e), smoothstep(0.05, 0.02, across.abs().min(((v - 0.34) / TOWER_HALF).abs())))
        }
        c if c < 0.33 => rgb(0x3a2f1c),
        _ => wall,
    }
}

/// A wall with a row of arched windows, one per unit of u.
fn window([u, v]: [f64; 2], walls: Colour, [bottom, top]: [f64; 2], front: f64) -> Colour {
    let across = (u.rem_euclid(1.0) - 0.5).abs() / 0.24;
    let round = ((v - top) / 0.035).max(0.0);
    let half = (1.0 - round * round).max(0.0).sqrt();
    if v > bottom && v < top + 0.035 && across < half {
        let glass = mix(rgb(0x1b2733), rgb(0x4d6478), smoothstep(bottom, top, v));
        return if across < 0.12 || ((v - bottom) / 0.05).fract() < 0.12 { scale(walls, 0.5 * front) } else { glass };
    }
    let frame = if v > bottom - 0.012 && v < top + 0.05 && across < half + 0.25 { 0.82 } else { 1.0 };
    scale(walls, front * frame)
}
