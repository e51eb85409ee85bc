//! A golf ball on grass.

use burnsight_core::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::canvas::{Area, Canvas};
use crate::colour::{Colour, mix, rgb, scale};
use crate::noise::Noise;
use crate::vector::{Vector, add, check_light, cross, dot, smoothstep, unit};
use crate::{Distractor, Scene};

/// A golf ball on a lawn, the trees behind it out of focus.
///
/// The mask is a disc: no blade of grass covers the ball.
#[derive(Clone, Debug, PartialEq)]
pub struct GolfBall {
    /// Centre, as fractions of width and height from the top left. Default: `[0.51, 0.55]`.
    pub center: [f64; 2],
    /// Radius as a fraction of the shorter side. Default: 0.34. The whole ball must lie in the picture.
    pub radius: f64,
    /// Direction towards the sun: right, up, towards the viewer; any length. Default: `[-0.55, 0.7, 0.6]`.
    pub light: [f64; 3],
    /// What else is there. Default: nothing.
    pub distractors: Vec<Distractor>,
    /// Seed of the lawn and the trees; the ball does not depend on it. Default: 0.
    pub seed: u64,
}

impl Default for GolfBall {
    fn default() -> Self {
        Self { center: [0.51, 0.55], radius: 0.34, light: [-0.55, 0.7, 0.6], distractors: Vec::new(), seed: 0 }
    }
}

/// Where the lawn meets the trees, as a fraction of the height.
const HORIZON: f64 = 0.2;

impl GolfBall {
    /// Draws the scene at `width` × `height` pixels.
    ///
    /// # Errors
    ///
    /// A side outside 16 to 4096 pixels; a ball that is not wholly in the picture; a light that does not come from
    /// above.
    pub fn draw(&self, width: u32, height: u32) -> Result<Scene> {
        let mut canvas = Canvas::new(width, height)?;
        let (w, h) = (f64::from(width), f64::from(height));
        let light = check_light(self.light)?;
        if !(self.radius > 0.0 && self.radius <= 0.5) {
            return Err(Error::parameter("radius", self.radius, "above 0, at most 0.5"));
        }
        let (x, y, r) = (self.center[0] * w, self.center[1] * h, self.radius * w.min(h));
        if !(x - r >= 0.0 && x + r <= w && y - r >= 0.0 && y + r <= h) {
            return Err(Error::parameter(
                "center",
                format!("{:?}", self.center),
                "a ball of this radius must lie wholly in the picture",
            ));
        }

        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        paint_trees(&mut canvas, &Noise::new(&mut random));
        paint_lawn(&mut canvas, &mut random);
        // Sharp where the ball touches the ground. Three boxes in a row make a soft, bell-like blur.
        let ground = y + 0.8 * r;
        for _ in 0..3 {
            canvas.defocus(|row| if row < ground { 0.08 * (ground - row) } else { 0.07 * (row - ground) });
        }
        self.distractors.iter().for_each(|distractor| distractor.paint(&mut canvas, light));
        paint_shadow(&mut canvas, [x, y], r, light);
        paint_ball(&mut canvas, [x, y], r, light);
        Ok(canvas.finish())
    }
}

/// Sky through trees, and the ground the blades grow from.
fn paint_trees(canvas: &mut Canvas, noise: &Noise) {
    let h = f64::from(canvas.height);
    canvas.paint(canvas.everything(), |x, y| {
        let (x, y) = (x / h, y / h);
        let patch = noise.fractal(4.0 * x, 14.0 * y, 3);
        if y > HORIZON {
            return Some((scale(mix(rgb(0x3f6b22), rgb(0x6f9a35), patch), 0.6), 1.0));
        }
        let leaves = mix(rgb(0x1f3d1c), rgb(0x6b9450), noise.fractal(7.0 * x, 9.0 * y + 7.0, 3));
        let gap = smoothstep(0.55, 0.75, noise.fractal(4.0 * x + 40.0, 5.0 * y, 3) + 1.2 * (HORIZON - y) - 0.15);
        Some((mix(leaves, rgb(0xdcebf2), gap), 1.0))
    });
}

/// Blades of grass, the far ones first.
fn paint_lawn(canvas: &mut Canvas, random: &mut ChaCha8Rng) {
    let (w, h) = (f64::from(canvas.width), f64::from(canvas.height));
    let patches = Noise::new(random);
    let mut root = HORIZON;
    while root < 1.15 {
        // 0 at the horizon, 1 at the lower border: everything grows in proportion.
        let near = (root - HORIZON) / (1.0 - HORIZON);
        let half_width = 0.0015 + 0.0045 * near;
        for _ in 0..(0.55 * w / h / half_width) as u32 {
            let mut between = |low: f64, high: f64| low + (high - low) * random.random::<f64>();
            let x = between(-0.05, 1.05) * w / h;
            let y = root + between(-0.5, 0.5) * half_width;
            let length = (0.012 + 0.09 * near) * between(0.6, 1.3);
            let (lean, bend) = (length * between(-0.45, 0.45), length * between(-0.5, 0.5));
            let patch = patches.fractal(5.0 * x / (0.3 + near), 12.0 * y, 2);
            let green = mix(rgb(0x3d6b1e), rgb(0xa9c95a), (0.35 * between(0.0, 2.0) + patch - 0.25).clamp(0.0, 1.0));
            let dry = between(0.0, 1.0);
            let green = if dry > 0.96 { mix(green, rgb(0xd8cf8a), 0.6) } else { green };
            let left = x + lean.min(0.0) + bend.min(0.0) - half_width;
            let right = x + lean.max(0.0) + bend.max(0.0) + half_width;
            let area = Area { left: left * h, right: right * h, top: (y - length) * h, bottom: y * h };
            canvas.paint(area, |px, py| {
                let up = (y - py / h) / length;
                let middle = x + lean * up + bend * up * up;
                let inside = (0.0..1.0).contains(&up) && (px / h - middle).abs() < half_width * (1.0 - up);
                inside.then(|| (scale(green, 0.4 + 0.75 * up), 1.0))
            });
        }
        root += 1.6 * half_width;
    }
}

/// The shadow on the ground: a flat ellipse thrown away from the sun, darkest under the ball.
fn paint_shadow(canvas: &mut Canvas, [x, y]: [f64; 2], r: f64, light: Vector) {
    let thrown = (-light[0] / light[1]).clamp(-1.5, 1.5);
    let ellipse = |px: f64, py: f64, away: f64, a: f64, b: f64| {
        let (u, v) = ((px - x - away * r) / (a * r), (py - y - 0.84 * r) / (b * r));
        (u * u + v * v).sqrt()
    };
    let area = Area { left: x - 3.5 * r, right: x + 3.5 * r, top: y, bottom: y + 2.0 * r };
    canvas.paint(area, |px, py| {
        let cast = 0.62 * smoothstep(1.15, 0.55, ellipse(px, py, 0.55 * thrown, 1.0 + 0.35 * thrown.abs(), 0.34));
        let contact = 0.85 * smoothstep(1.15, 0.1, ellipse(px, py, 0.06 * thrown, 0.85, 0.3));
        Some((rgb(0x0a1406), 1.0 - (1.0 - cast) * (1.0 - contact)))
    });
}

fn paint_ball(canvas: &mut Canvas, [x, y]: [f64; 2], r: f64, light: Vector) {
    let dimples = Dimples::new();
    let area = Area { left: x - r, right: x + r, top: y - r, bottom: y + r };
    canvas.paint_object(area, |px, py| {
        let (u, v) = ((px - x) / r, (y - py) / r);
        let z2 = 1.0 - u * u - v * v;
        (z2 >= 0.0).then(|| ball_colour([u, v, z2.sqrt()], &dimples, light))
    });
}

/// Sun, sky and the green light the lawn throws back, on white lacquer; `smooth` is the sphere's normal.
fn ball_colour(smooth: Vector, dimples: &Dimples, light: Vector) -> Colour {
    let normal = dimples.bend(smooth);
    // The sun is a little wide (wrap), and the far side of the ball keeps the dimples of its own shadow.
    let sun = ((dot(normal, light) + 0.12) / 1.12).max(0.0) * smoothstep(-0.25, 0.25, dot(smooth, light));
    let sky = 0.5 + 0.5 * normal[1];
    let lawn = 0.5 - 0.5 * normal[1];
    let buried = smoothstep(-1.05, -0.45, smooth[1]);
    let half_way = unit(add(light, [0.0, 0.0, 1.0], 1.0));
    let mut gloss = dot(normal, half_way).max(0.0);
    for _ in 0..6 {
        gloss *= gloss; // to the 64th power
    }
    let white = rgb(0xfcf9f0);
    let ambient = 0.35 + 0.65 * buried;
    [0, 1, 2].map(|c| {
        let diffuse = 0.78 * sun * [1.0, 0.98, 0.93][c]
            + ambient * (0.26 * sky * [0.88, 0.95, 1.1][c] + 0.16 * lawn * [0.75, 1.0, 0.45][c]);
        white[c] * diffuse + 0.3 * gloss
    })
}

/// Dimples on a spherical Fibonacci lattice: point `i` of `n` has height `1 − (2i+1)/n` along an axis and is turned by
/// `i` golden angles around it, which spreads the points almost evenly.
struct Dimples {
    centres: Vec<Vector>,
    axis: Vector,
}

impl Dimples {
    const COUNT: usize = 290;
    /// Radius of a dimple, as a distance on the unit sphere.
    const RADIUS: f64 = 0.088;
    /// How far the normal tilts at a dimple's rim.
    const TILT: f64 = 0.85;
    /// Cosine and sine of the golden angle `π(3 − √5)`.
    const TURN: [f64; 2] = [-0.737_368_878_078_320_1, 0.675_490_294_261_523_6];

    fn new() -> Self {
        let axis = unit([0.35, 0.9, 0.15]);
        let right = unit(cross(axis, [0.0, 0.0, 1.0]));
        let front = cross(right, axis);
        let [mut cos, mut sin] = [1.0, 0.0];
        let centres = (0..Self::COUNT)
            .map(|i| {
                let height = 1.0 - (2 * i + 1) as f64 / Self::COUNT as f64;
                let ring = (1.0 - height * height).sqrt();
                let centre = add(add([0.0; 3], axis, height), right, ring * cos);
                let centre = add(centre, front, ring * sin);
                [cos, sin] = [cos * Self::TURN[0] - sin * Self::TURN[1], sin * Self::TURN[0] + cos * Self::TURN[1]];
                centre
            })
            .collect();
        Self { centres, axis }
    }

    /// The normal of the dimpled ball where the sphere's is `normal`: inside a dimple it leans to the dimple's centre.
    fn bend(&self, normal: Vector) -> Vector {
        // A dimple within reach differs in height by at most its radius; the lattice is sorted by height.
        let index = |height: f64| ((1.0 - height) * Self::COUNT as f64 / 2.0).clamp(0.0, Self::COUNT as f64) as usize;
        let height = dot(normal, self.axis);
        let near = &self.centres[index(height + Self::RADIUS)..(index(height - Self::RADIUS) + 1).min(Self::COUNT)];
        for &centre in near {
            let inwards = add(centre, normal, -1.0);
            let distance = dot(inwards, inwards).sqrt() / Self::RADIUS;
            if distance < 1.0 {
                let wall = smoothstep(1.0, 0.85, distance);
                return unit(add(normal, inwards, wall * Self::TILT / Self::RADIUS));
            }
        }
        normal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimples_do_not_overlap() {
        let dimples = Dimples::new();
        for (i, &a) in dimples.centres.iter().enumerate() {
            assert!((dot(a, a) - 1.0).abs() < 1e-12);
            for &b in &dimples.centres[..i] {
                let apart = add(a, b, -1.0);
                assert!(dot(apart, apart).sqrt() > 2.0 * Dimples::RADIUS, "{i}");
            }
        }
    }

    #[test]
    fn normal_leans_to_the_middle_of_its_dimple() {
        let dimples = Dimples::new();
        let middle = dimples.centres[77];
        assert_eq!(dimples.bend(middle), unit(middle));
        let inside = unit(add(middle, dimples.centres[78], 0.05));
        let inwards = add(middle, inside, -1.0);
        assert!(dot(inwards, inwards).sqrt() < Dimples::RADIUS);
        assert!(dot(add(dimples.bend(inside), inside, -1.0), inwards) > 0.0);
    }

    #[test]
    fn normal_between_dimples_is_the_spheres() {
        let dimples = Dimples::new();
        // The ring just outside a dimple meets the neighbours only here and there.
        let middle = dimples.centres[77];
        let mut ring = dimples.centres.iter().map(|&other| unit(add(middle, cross(middle, unit(other)), 0.096)));
        assert!(ring.any(|normal| dimples.bend(normal) == normal));
    }
}
