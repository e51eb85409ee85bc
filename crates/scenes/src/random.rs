//! Scenes by a number.

use burnsight_core::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Church, Distractor, DistractorKind, GasPump, GolfBall, Parachute, Scene};

/// What can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// [`Church`]
    Church,
    /// [`GasPump`]
    GasPump,
    /// [`GolfBall`]
    GolfBall,
    /// [`Parachute`]
    Parachute,
}

type Rgb = [u8; 3];

const COLOURS: [Rgb; 6] = [[196, 52, 44], [52, 96, 176], [226, 178, 44], [70, 140, 76], [150, 84, 160], [138, 104, 70]];
const WALLS: [Rgb; 3] = [[236, 231, 220], [206, 186, 156], [190, 182, 176]];
const ROOFS: [Rgb; 3] = [[92, 86, 92], [140, 72, 52], [84, 104, 98]];
const HOUSINGS: [Rgb; 4] = [[190, 30, 32], [34, 84, 150], [214, 160, 30], [40, 110, 70]];

impl Object {
    /// Everything that can be drawn.
    pub const ALL: [Object; 4] = [Object::Church, Object::GasPump, Object::GolfBall, Object::Parachute];

    /// The name of its class in ImageNet.
    pub fn label(self) -> &'static str {
        match self {
            Self::Church => "church",
            Self::GasPump => "gas pump",
            Self::GolfBall => "golf ball",
            Self::Parachute => "parachute",
        }
    }

    /// Draws it at `width` × `height` pixels with place, size, light, colours, background and up to three distractors by chance. The
    /// same seed gives the same bytes on every machine.
    ///
    /// All of the object lies in the middle square of the picture, which is what most models see of it.
    ///
    /// # Errors
    ///
    /// A side outside 16 to 4096 pixels.
    pub fn draw_random(self, seed: u64, width: u32, height: u32) -> Result<Scene> {
        let mut chance = Chance { random: ChaCha8Rng::seed_from_u64(seed), sides: [width, height].map(f64::from) };
        chance.random.set_stream(self as u64 + 1);
        let light = [chance.between(-0.8, 0.8), chance.between(0.5, 0.9), chance.between(0.4, 0.8)];
        let distractors = chance.distractors();
        let mirrored = chance.between(0.0, 1.0) < 0.5;
        match self {
            Self::Church => {
                let size = chance.between(0.65, 0.92);
                let center = chance.center([0.43 * size, 0.5 * size]);
                let (walls, roofs) = (chance.pick(&WALLS), chance.pick(&ROOFS));
                Church { center, height: size, mirrored, walls, roofs, light, distractors, seed }.draw(width, height)
            }
            Self::GasPump => {
                let size = chance.between(0.7, 0.95);
                let center = chance.center([0.31 * size, 0.5 * size]);
                let housing = chance.pick(&HOUSINGS);
                GasPump { center, height: size, mirrored, housing, light, distractors, seed }.draw(width, height)
            }
            Self::GolfBall => {
                let radius = chance.between(0.2, 0.36);
                let center = chance.center([radius; 2]);
                GolfBall { center, radius, light, distractors, seed }.draw(width, height)
            }
            Self::Parachute => {
                let size = chance.between(0.5, 0.8);
                let lean = chance.between(-0.2, 0.2);
                // A leaning parachute is wider and higher than one that hangs straight.
                let center = chance.center([0.52 * size, 0.58 * size]);
                let stripes = vec![chance.pick(&COLOURS), [245, 243, 238]];
                Parachute { center, height: size, lean, stripes, light, distractors, seed }.draw(width, height)
            }
        }
    }
}

/// Random numbers, and the sides of the picture in pixels.
struct Chance {
    random: ChaCha8Rng,
    sides: [f64; 2],
}

impl Chance {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.random.random::<f64>()
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.random.random_range(0..items.len())]
    }

    /// A place in the middle square for something of this half width and half height, in shorter sides.
    fn center(&mut self, half: [f64; 2]) -> [f64; 2] {
        let [w, h] = self.sides;
        let mut along = |side: f64, half: f64| {
            let room = (0.495 - half).max(0.0) * w.min(h) / side;
            0.5 + self.between(-room, room)
        };
        [along(w, half[0]), along(h, half[1])]
    }

    fn distractors(&mut self) -> Vec<Distractor> {
        let one = |chance: &mut Self| Distractor {
            kind: chance.pick(&[DistractorKind::Ball, DistractorKind::Crate]),
            center: [chance.between(0.15, 0.85), chance.between(0.3, 0.9)],
            size: chance.between(0.03, 0.08),
            colour: chance.pick(&COLOURS),
        };
        (0..self.random.random_range(0..=3)).map(|_| one(self)).collect()
    }
}
