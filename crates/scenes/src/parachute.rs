//! A parachute under the sky.

use std::f64::consts::FRAC_1_SQRT_2;

use burnsight_core::{Error, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::canvas::{Area, Canvas};
use crate::colour::{Colour, mix, rgb, scale};
use crate::noise::Noise;
use crate::vector::{Vector, add, check_light, dot, smoothstep, unit};
use crate::{Distractor, Scene};

/// A round striped parachute with a person, seen from a little below, before a blue sky with clouds.
///
/// The object, and so the mask, is all of it: canopy, suspension lines and person.
#[derive(Clone, Debug, PartialEq)]
pub struct Parachute {
    /// Centre of the whole, half way from the top of the canopy to the feet, as fractions of width and height from
    /// the top left. Default: `[0.5, 0.5]`.
    pub center: [f64; 2],
    /// Height from the feet to the top of the canopy, as a fraction of the shorter side. Default: 0.84. All of the
    /// parachute must lie in the picture.
    pub height: f64,
    /// Lean to the right: the top is this many heights to the right of the feet. Default: 0.12; −1 to 1.
    pub lean: f64,
    /// Colours of the stripes, taken in turn, as red, green and blue bytes. Default: red and white.
    pub stripes: Vec<[u8; 3]>,
    /// Direction towards the sun: right, up, towards the viewer; any length. Default: `[-0.5, 0.7, 0.5]`.
    pub light: [f64; 3],
    /// What else is there. Default: nothing.
    pub distractors: Vec<Distractor>,
    /// Seed of the clouds; the parachute does not depend on it. Default: 0.
    pub seed: u64,
}

impl Default for Parachute {
    fn default() -> Self {
        Self {
            center: [0.5, 0.5],
            height: 0.84,
            lean: 0.12,
            stripes: vec![[214, 40, 34], [245, 243, 238]],
            light: [-0.5, 0.7, 0.5],
            distractors: Vec::new(),
            seed: 0,
        }
    }
}

// The parachute's own coordinates: u to the right, v up, the middle at (0, 0), the canopy's half width 1.

/// Top of the canopy; the feet are at `−TOP`.
const TOP: f64 = 1.2;
/// Height of the skirt, the canopy's open lower rim.
const SKIRT: f64 = 0.5;
/// The skirt is a circle seen at a slant: an ellipse of half height `SLANT`, its near half above `SKIRT`.
const SLANT: f64 = 0.1;
/// Between two lines the skirt is pulled up by this much.
const SCALLOP: f64 = 0.05;
/// Sines of the longitudes (every 22.5°) at which the gores, the canopy's strips, meet and the lines are tied.
const SEAMS: [f64; 9] = [
    -1.0,
    -0.923_879_532_511_286_7,
    -FRAC_1_SQRT_2,
    -0.382_683_432_365_089_8,
    0.0,
    0.382_683_432_365_089_8,
    FRAC_1_SQRT_2,
    0.923_879_532_511_286_7,
    1.0,
];
/// Half the thickness of a suspension line.
const LINE: f64 = 0.008;
/// Where the lines meet, above the left and the right shoulder.
const RISERS: [[f64; 2]; 2] = [[-0.05, -0.66], [0.05, -0.66]];

impl Parachute {
    /// Draws the scene at `width` × `height` pixels.
    ///
    /// # Errors
    ///
    /// A side outside 16 to 4096 pixels; a parachute that is not wholly in the picture; no stripes; a light that does
    /// not come from above.
    pub fn draw(&self, width: u32, height: u32) -> Result<Scene> {
        let mut canvas = Canvas::new(width, height)?;
        let light = check_light(self.light)?;
        let view = self.view(f64::from(width), f64::from(height))?;
        if self.stripes.is_empty() {
            return Err(Error::parameter("stripes", "empty", "at least one colour"));
        }
        let stripes: Vec<Colour> =
            self.stripes.iter().map(|&[r, g, b]| rgb(u32::from_be_bytes([0, r, g, b]))).collect();

        paint_sky(&mut canvas, &Noise::new(&mut ChaCha8Rng::seed_from_u64(self.seed)));
        self.distractors.iter().for_each(|distractor| distractor.paint(&mut canvas, light));
        canvas.paint_object(view.area([-1.0, SKIRT - SLANT], [1.0, TOP], 0.0), |x, y| {
            canopy_colour(view.local(x, y), &stripes, light)
        });
        for side in [-1.0, 1.0] {
            for seam in SEAMS {
                let tied = [seam, SKIRT + side * SLANT * (1.0 - seam * seam).sqrt()];
                paint_rod(&mut canvas, &view, tied, RISERS[usize::from(seam > 0.0)], LINE, rgb(0xd9d4c8));
            }
        }
        paint_person(&mut canvas, &view);
        Ok(canvas.finish())
    }

    /// Checks the placement.
    fn view(&self, w: f64, h: f64) -> Result<View> {
        if !(self.height > 0.0 && self.height <= 1.0) {
            return Err(Error::parameter("height", self.height, "above 0, at most 1"));
        }
        if !(-1.0..=1.0).contains(&self.lean) {
            return Err(Error::parameter("lean", self.lean, "-1 to 1"));
        }
        let up = unit([self.lean, 1.0, 0.0]);
        let unit = self.height * w.min(h) / (2.0 * TOP);
        let view = View { x: self.center[0] * w, y: self.center[1] * h, unit, up: [up[0], up[1]] };
        let Area { left, top, right, bottom } = view.area([-1.0, -TOP], [1.0, TOP], 0.0);
        // `area` would overlook a NaN, which `contains` refuses.
        let placed = self.center.iter().all(|c| (0.0..=1.0).contains(c));
        if placed && left >= 0.0 && top >= 0.0 && right <= w && bottom <= h {
            return Ok(view);
        }
        Err(Error::parameter(
            "center",
            format!("{:?}", self.center),
            "a parachute of this height and lean must lie wholly in the picture",
        ))
    }
}

/// From pixels to the parachute's own coordinates and back.
struct View {
    /// The middle, in pixels.
    x: f64,
    y: f64,
    /// Pixels per unit.
    unit: f64,
    /// The unit vector from the feet to the top, y up: the cosine and sine of the lean, without calling them.
    up: [f64; 2],
}

impl View {
    fn local(&self, x: f64, y: f64) -> [f64; 2] {
        let (dx, dy) = ((x - self.x) / self.unit, (self.y - y) / self.unit);
        [dx * self.up[1] - dy * self.up[0], dx * self.up[0] + dy * self.up[1]]
    }

    /// The pixels around a rectangle given by two opposite corners and a margin in own coordinates.
    fn area(&self, a: [f64; 2], b: [f64; 2], margin: f64) -> Area {
        let corners = [[a[0], a[1]], [a[0], b[1]], [b[0], a[1]], [b[0], b[1]]].map(|[u, v]| {
            let (dx, dy) = (u * self.up[1] + v * self.up[0], v * self.up[1] - u * self.up[0]);
            [self.x + self.unit * dx, self.y - self.unit * dy]
        });
        let margin = margin * self.unit;
        let most = |axis: usize| corners.iter().map(|c| c[axis]).fold(f64::MIN, f64::max) + margin;
        let least = |axis: usize| corners.iter().map(|c| c[axis]).fold(f64::MAX, f64::min) - margin;
        Area { left: least(0), right: most(0), top: least(1), bottom: most(1) }
    }
}

/// Blue, paler towards the horizon, with clouds.
pub fn paint_sky(canvas: &mut Canvas, noise: &Noise) {
    let h = f64::from(canvas.height);
    canvas.paint(canvas.everything(), |x, y| {
        let (x, y) = (x / h, y / h);
        let blue = mix(rgb(0x2f6fb8), rgb(0xa9cfea), y);
        // Noise displaced by noise looks billowing.
        let swirl = noise.fractal(3.0 * x + 9.0, 4.0 * y, 2) - 0.5;
        let thickness = noise.fractal(1.7 * x + 0.5 * swirl, 3.2 * y + 0.6 * swirl + 3.0, 4);
        let cloud = smoothstep(0.5, 0.78, thickness + 0.10 * y);
        let white = mix(rgb(0xffffff), rgb(0xd5dde6), smoothstep(0.6, 0.85, thickness));
        Some((mix(blue, white, 0.85 * cloud), 1.0))
    });
}

/// The canopy: a half ellipsoid whose outside is seen above the near rim, and whose inside below it.
fn canopy_colour([u, v]: [f64; 2], stripes: &[Colour], light: Vector) -> Option<Colour> {
    // Height above the skirt in units in which the dome is a half circle.
    let dome = ((v - SKIRT) / (TOP - SKIRT)).max(0.0);
    let ring = (1.0 - dome * dome).max(0.0).sqrt();
    if u.abs() >= ring {
        return None;
    }
    // On the dome a point at longitude φ is seen at u = ring · sin φ.
    let longitude = u / ring;
    let gore = SEAMS.iter().rposition(|&seam| seam <= longitude)?.min(SEAMS.len() - 2);
    let across = 2.0 * (longitude - SEAMS[gore]) / (SEAMS[gore + 1] - SEAMS[gore]) - 1.0;
    let slant = SLANT * (1.0 - longitude * longitude).sqrt();
    let scallop = SCALLOP * (1.0 - across * across);

    let seam = 1.0 - 0.3 * smoothstep(0.9, 1.0, across.abs());
    if v >= SKIRT + slant + scallop {
        // Each gore bulges between its seams: its normal leans to the side `across` points to.
        let depth = (1.0 - u * u - dome * dome).max(0.0).sqrt();
        let normal = unit(add([u, dome, depth], [1.0, 0.0, 0.0], 0.35 * across));
        let sun = dot(normal, light).max(0.0);
        return Some(scale(stripes[gore % stripes.len()], seam * (0.38 + 0.72 * sun)));
    }
    // Inside, in the shade: light that the cloth lets through. The far side has the stripes in the same turn.
    (v >= SKIRT - slant + scallop).then(|| {
        let deep = smoothstep(SKIRT - slant, SKIRT + slant + SCALLOP, v);
        scale(stripes[gore % stripes.len()], seam * (0.34 - 0.2 * deep))
    })
}

/// A straight rod with round ends from `a` to `b`.
fn paint_rod(canvas: &mut Canvas, view: &View, a: [f64; 2], b: [f64; 2], half: f64, colour: Colour) {
    canvas.paint_object(view.area(a, b, half), |x, y| {
        let [u, v] = view.local(x, y);
        let along = [b[0] - a[0], b[1] - a[1]];
        let length2 = along[0] * along[0] + along[1] * along[1];
        let t = (((u - a[0]) * along[0] + (v - a[1]) * along[1]) / length2).clamp(0.0, 1.0);
        let (du, dv) = (u - a[0] - t * along[0], v - a[1] - t * along[1]);
        // Darker to the lower right, like a round thing lit from the upper left.
        let side = ((du - dv) / half).clamp(-1.0, 1.0);
        (du * du + dv * dv < half * half).then(|| scale(colour, 0.8 - 0.25 * side))
    });
}

/// A person in a harness, arms up at the risers.
fn paint_person(canvas: &mut Canvas, view: &View) {
    let (suit, trousers, skin, helmet) = (rgb(0x2b3a55), rgb(0x33373d), rgb(0xc99a78), rgb(0xe0a92e));
    for side in [-1.0, 1.0] {
        paint_rod(canvas, view, [side * 0.035, -0.98], [side * 0.05, -1.09], 0.026, trousers);
        paint_rod(canvas, view, [side * 0.05, -1.09], [side * 0.045, -TOP + 0.02], 0.02, trousers);
        paint_rod(canvas, view, [side * 0.055, -0.84], [side * 0.085, -0.76], 0.018, suit);
        paint_rod(canvas, view, [side * 0.085, -0.76], [side * 0.05, -0.67], 0.015, skin);
    }
    paint_rod(canvas, view, [0.0, -0.86], [0.0, -0.97], 0.06, suit);
    paint_rod(canvas, view, [0.0, -0.765], [0.0, -0.775], 0.042, skin);
    paint_rod(canvas, view, [0.0, -0.745], [0.0, -0.755], 0.044, helmet);
}
