//! Pictures drawn in code, with a mask of where their object is.

use burn::tensor::{Device, Tensor, TensorData};
use image::{Rgb, RgbImage};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// What a picture may show.
pub const CLASSES: [&str; 3] = ["disc", "square", "stripes"];

/// Side of every picture, in pixels.
pub const SIDE: u32 = 32;

/// Pixels around the object that count as its rim: an edge is seen by both of its sides.
const RIM: f32 = 2.0;

/// One object of random place, size and colour on a noisy ground of another random colour.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Index into [`CLASSES`].
    pub class: usize,
    /// 32 × 32 pixels.
    pub picture: RgbImage,
    /// Which pixels belong to the object or its rim, row by row.
    pub mask: Vec<bool>,
}

impl Shape {
    /// The same seed draws the same picture.
    pub fn draw(class: usize, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let radius = random.random_range(5.0..9.0f32);
        let mut place = || random.random_range(radius + 1.0..SIDE as f32 - radius - 1.0);
        let center = [place(), place()];
        let ground: [f32; 3] = std::array::from_fn(|_| random.random_range(0.2..0.8));
        // Lighter or darker by as much as is always visible: colour must not give the class away.
        let contrast = if random.random() { 0.3 } else { -0.3 };

        let mut mask = Vec::new();
        let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
            let [dx, dy] = [x as f32 - center[0], y as f32 - center[1]];
            let outside = match class {
                0 => dx.hypot(dy) - radius,
                _ => dx.abs().max(dy.abs()) - radius * 0.9,
            };
            mask.push(outside < RIM);
            let painted = outside < 0.0 && (class != 2 || (x + y) % 6 < 3);
            let light = if painted { contrast } else { 0.0 };
            Rgb(ground.map(|color| {
                let noise = random.random_range(-0.06..0.06);
                ((color + light + noise).clamp(0.0, 1.0) * 255.0).round() as u8
            }))
        });
        // `from_fn` goes row by row, as the mask does.
        Self { class, picture, mask }
    }

    /// `count` shapes, the classes in turn.
    pub fn draw_many(count: usize, random: &mut impl Rng) -> Vec<Self> {
        (0..count).map(|index| Self::draw(index % CLASSES.len(), random.random())).collect()
    }

    /// The share of the picture that the object and its rim cover.
    pub fn area(&self) -> f32 {
        self.mask.iter().filter(|inside| **inside).count() as f32 / self.mask.len() as f32
    }
}

/// What the model reads: `[n, 3, 32, 32]`, from −1 to 1.
pub fn to_tensor(shapes: &[Shape], device: &Device) -> Tensor<4> {
    let plane = |shape: &Shape, channel: usize| -> Vec<f32> {
        shape.picture.pixels().map(|pixel| f32::from(pixel[channel]) / 127.5 - 1.0).collect()
    };
    let values: Vec<f32> =
        shapes.iter().flat_map(|shape| (0..3).flat_map(move |channel| plane(shape, channel))).collect();
    Tensor::from_data(TensorData::new(values, [shapes.len(), 3, SIDE as usize, SIDE as usize]), device)
}
