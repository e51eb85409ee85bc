//! Three-vectors: x to the right, y up, z towards the viewer.
//!
//! Only `+ − × ÷ √` are used in this crate, because IEEE 754 fixes their last bit on every machine; `sin`, `exp` and
//! `powf` come from the platform's library and would make the pictures differ.

use burnsight_core::{Error, Result};

pub type Vector = [f64; 3];

pub fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// `a + t·b`.
pub fn add(a: Vector, b: Vector, t: f64) -> Vector {
    [a[0] + t * b[0], a[1] + t * b[1], a[2] + t * b[2]]
}

pub fn unit(a: Vector) -> Vector {
    let length = dot(a, a).sqrt();
    a.map(|v| v / length)
}

/// 0 below `from`, 1 above `to`, and `3t² − 2t³` between: no corners. `from > to` gives the falling edge.
pub fn smoothstep(from: f64, to: f64, x: f64) -> f64 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The unit vector towards the light, if it is one that can light a scene.
pub fn check_light(light: Vector) -> Result<Vector> {
    if light.iter().all(|v| v.abs() <= 1e6) && light[1] > 0.0 {
        return Ok(unit(light));
    }
    Err(Error::parameter("light", format!("{light:?}"), "three finite numbers, the second (up) above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_product_is_orthogonal_and_right_handed() {
        assert_eq!(cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]), [0.0, 0.0, 1.0]);
        let (a, b) = ([1.0, 2.0, 3.0], [-2.0, 0.5, 4.0]);
        assert_eq!(dot(cross(a, b), a), 0.0);
    }

    #[test]
    fn smoothstep_runs_both_ways() {
        assert_eq!([0.0, 1.0, 1.5, 2.0, 9.0].map(|x| smoothstep(1.0, 2.0, x)), [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!([0.0, 1.5, 9.0].map(|x| smoothstep(2.0, 1.0, x)), [1.0, 0.5, 0.0]);
    }
}
