//! Smooth random fields: clouds, patches of grass.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

const SIDE: usize = 64;

/// Value noise: random numbers on an integer grid (repeating every 64 cells), smoothly interpolated.
pub struct Noise(Vec<f64>);

impl Noise {
    pub fn new(random: &mut ChaCha8Rng) -> Self {
        Self((0..SIDE * SIDE).map(|_| random.random::<f64>()).collect())
    }

    /// One octave, in `[0, 1)`.
    fn value(&self, x: f64, y: f64) -> f64 {
        let ease = |t: f64| t * t * (3.0 - 2.0 * t);
        let (tx, ty) = (ease(x - x.floor()), ease(y - y.floor()));
        let cell = |dx: i64, dy: i64| {
            let wrap = |v: f64, d: i64| (v.floor() as i64 + d).rem_euclid(SIDE as i64) as usize;
            self.0[wrap(y, dy) * SIDE + wrap(x, dx)]
        };
        let row = |dy: i64| cell(0, dy) + (cell(1, dy) - cell(0, dy)) * tx;
        row(0) + (row(1) - row(0)) * ty
    }

    /// `octaves` octaves, each at twice the frequency and half the weight of the one before; in `[0, 1)`, mean ½.
    pub fn fractal(&self, x: f64, y: f64, octaves: u32) -> f64 {
        let (mut sum, mut weight, mut total) = (0.0, 1.0, 0.0);
        let (mut x, mut y) = (x, y);
        for _ in 0..octaves {
            sum += weight * self.value(x, y);
            total += weight;
            weight *= 0.5;
            // The shift keeps grid points of different octaves apart.
            (x, y) = (2.0 * x + 17.3, 2.0 * y + 31.7);
        }
        sum / total
    }
}
