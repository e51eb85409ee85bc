//! What objects that stand upright on the ground have in common.

use burnsight_core::{Error, Result};

use crate::canvas::{Area, Canvas};
use crate::colour::{mix, rgb, scale};
use crate::noise::Noise;
use crate::vector::smoothstep;

/// From pixels to an object's own coordinates: u to the right from its middle, v up from its foot, its height 1.
pub struct Upright {
    x: f64,
    foot: f64,
    unit: f64,
}

impl Upright {
    /// Checks that an object of half width `half` (in its own unit) lies wholly in the picture.
    pub fn new(canvas: &Canvas, center: [f64; 2], height: f64, half: f64, what: &str) -> Result<Self> {
        let (w, h) = (f64::from(canvas.width), f64::from(canvas.height));
        if !(height > 0.0 && height <= 1.0) {
            return Err(Error::parameter("height", height, "above 0, at most 1"));
        }
        let unit = height * w.min(h);
        let (x, y) = (center[0] * w, center[1] * h);
        let fits = x - half * unit >= 0.0 && x + half * unit <= w && y - unit / 2.0 >= 0.0 && y + unit / 2.0 <= h;
        match fits {
            true => Ok(Self { x, foot: y + unit / 2.0, unit }),
            false => {
                let requirement = format!("a {what} of this height must lie wholly in the picture");
                Err(Error::parameter("center", format!("{center:?}"), &requirement))
            }
        }
    }

    pub fn local(&self, x: f64, y: f64) -> [f64; 2] {
        [(x - self.x) / self.unit, (self.foot - y) / self.unit]
    }

    /// The pixels from `left` to `right` and from `bottom` to `top`.
    pub fn area(&self, left: f64, bottom: f64, right: f64, top: f64) -> Area {
        let (x, y) = (|u: f64| self.x + u * self.unit, |v: f64| self.foot - v * self.unit);
        Area { left: x(left), right: x(right), top: y(top), bottom: y(bottom) }
    }

    /// The row of the foot, in pixels.
    pub fn foot(&self) -> f64 {
        self.foot
    }

    pub fn unit(&self) -> f64 {
        self.unit
    }
}

/// Ground from `horizon` (a row) down: grass, or paving where `paved`.
pub fn paint_ground(canvas: &mut Canvas, noise: &Noise, horizon: f64, paved: bool) {
    let h = f64::from(canvas.height);
    let area = Area { top: horizon, ..canvas.everything() };
    let (dark, bright) = if paved { (rgb(0x5b5a58), rgb(0x9b9893)) } else { (rgb(0x3c5f22), rgb(0x86a648)) };
    canvas.paint(area, |x, y| {
        (y >= horizon).then(|| {
            let near = ((y - horizon) / (h - horizon).max(1.0)).clamp(0.0, 1.0);
            let grain = noise.fractal(40.0 * x / h / (0.25 + near), 60.0 * y / h, 3);
            let patch = noise.fractal(5.0 * x / h / (0.25 + near), 14.0 * y / h, 2);
            (scale(mix(dark, bright, 0.5 * grain + 0.5 * patch), 0.8 + 0.3 * near), 1.0)
        })
    });
}

/// A row of trees standing on `horizon`.
pub fn paint_tree_line(canvas: &mut Canvas, noise: &Noise, horizon: f64, height: f64) {
    let h = f64::from(canvas.height);
    let area = Area { top: horizon - 1.4 * height, bottom: horizon, ..canvas.everything() };
    canvas.paint(area, |x, y| {
        let crown = height * (0.5 + 0.9 * noise.fractal(6.0 * x / h + 20.0, 3.0, 4));
        let above = horizon - y;
        (above < crown).then(|| {
            let leaves = noise.fractal(25.0 * x / h, 25.0 * y / h, 3);
            (scale(mix(rgb(0x1d3a17), rgb(0x5c7f3a), leaves), 0.7 + 0.5 * smoothstep(0.0, crown, above)), 1.0)
        })
    });
}

/// The soft shadow of something standing at u from `left` to `right`.
pub fn paint_contact_shadow(canvas: &mut Canvas, view: &Upright, left: f64, right: f64) {
    let (middle, half) = ((left + right) / 2.0, (right - left) / 2.0 + 0.06);
    canvas.paint(view.area(middle - half, -0.06, middle + half, 0.03), |x, y| {
        let [u, v] = view.local(x, y);
        let (a, b) = ((u - middle) / half, v / 0.045);
        Some((rgb(0x0a0c08), 0.75 * smoothstep(1.0, 0.3, (a * a + b * b).sqrt())))
    });
}
