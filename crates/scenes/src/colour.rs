//! Colours as amounts of light, which is what may be averaged, blended and multiplied.

/// Linear red, green and blue; 1 is the brightest a picture can show.
pub type Colour = [f64; 3];

/// A colour from its usual hexadecimal form.
///
/// The display curve is taken as a plain square (sRGB's is close to a power of 2.2): its inverse, the square root, is
/// exact on every machine.
pub const fn rgb(hex: u32) -> Colour {
    const fn light(byte: u32) -> f64 {
        let v = (byte & 255) as f64 / 255.0;
        v * v
    }
    [light(hex >> 16), light(hex >> 8), light(hex)]
}

/// The bytes shown for an amount of light; the inverse of [`rgb`].
pub fn bytes(colour: Colour) -> [u8; 3] {
    colour.map(|v| (v.clamp(0.0, 1.0).sqrt() * 255.0).round() as u8)
}

pub fn mix(a: Colour, b: Colour, t: f64) -> Colour {
    [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * t)
}

pub fn scale(a: Colour, t: f64) -> Colour {
    a.map(|v| v * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives() {
        for byte in 0..=255_u8 {
            assert_eq!(bytes(rgb(u32::from(byte) * 0x010101)), [byte; 3]);
        }
    }
}
