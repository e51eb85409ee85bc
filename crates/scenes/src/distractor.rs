//! Things that are not the object.

use crate::canvas::{Area, Canvas};
use crate::colour::{mix, rgb, scale};
use crate::vector::{Vector, dot, smoothstep};

/// Something behind the object that a map should not point at. It is never part of the mask: the object is painted over it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distractor {
    /// What it is.
    pub kind: DistractorKind,
    /// Centre, as fractions of width and height from the top left.
    pub center: [f64; 2],
    /// Half its size as a fraction of the shorter side.
    pub size: f64,
    /// Red, green and blue.
    pub colour: [u8; 3],
}

/// Kinds of distractors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DistractorKind {
    /// A smooth ball.
    Ball,
    /// A box with planks.
    Crate,
}

impl Distractor {
    pub(crate) fn paint(&self, canvas: &mut Canvas, light: Vector) {
        let (w, h) = (f64::from(canvas.width), f64::from(canvas.height));
        let (x, y, half) = (self.center[0] * w, self.center[1] * h, self.size * w.min(h));
        let [r, g, b] = self.colour;
        let colour = rgb(u32::from_be_bytes([0, r, g, b]));
        let area = Area { left: x - half, right: x + half, top: y - half, bottom: y + half };
        canvas.paint(area, |px, py| {
            let (u, v) = ((px - x) / half, (y - py) / half);
            match self.kind {
                DistractorKind::Ball => {
                    let z2 = 1.0 - u * u - v * v;
                    let normal = [u, v, z2.max(0.0).sqrt()];
                    let sun = dot(normal, light).max(0.0);
                    let gloss = smoothstep(0.93, 1.0, sun);
                    (z2 >= 0.0).then(|| (mix(scale(colour, 0.3 + 0.7 * sun), rgb(0xffffff), 0.5 * gloss), 1.0))
                }
                DistractorKind::Crate => {
                    // Four planks, dark where they meet, and a frame around them.
                    let plank = (2.0 * (v + 1.0)).fract();
                    let gap = smoothstep(0.0, 0.08, plank) * smoothstep(1.0, 0.92, plank);
                    let frame = if u.abs().max(v.abs()) > 0.8 { 1.15 } else { 0.85 };
                    let inside = u.abs() <= 1.0 && v.abs() <= 1.0;
                    inside.then(|| (scale(colour, frame * (0.45 + 0.55 * gap) * (0.9 + 0.1 * u * light[0])), 1.0))
                }
            }
        });
    }
}
