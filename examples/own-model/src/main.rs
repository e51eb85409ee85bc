//! A Burn model of your own, trained here in some seconds, and explained.

mod model;
mod shapes;
mod training;

use std::{
    io::{Write, stdout},
    path::PathBuf,
};

use anyhow::Result;
use burn::{
    module::Module,
    tensor::{Tensor, activation::softmax},
};
use burnsight::{
    Attribution, Attributor, AutodiffModel, Classifier, Differentiable, InputXGradient, SmoothGradConfig, Target,
    VanillaGradient, device, read,
    visualization::{CropBox, Montage, MontageCell, MontageRow, SaliencyMap, Style},
};
use image::imageops::{FilterType, resize};

use model::ShapeNet;
use shapes::{CLASSES, Shape, to_tensor};

/// Side of each cell of the sheet, in pixels.
const CELL: u32 = 128;

fn main() -> Result<()> {
    let out = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("own-model.png"), PathBuf::from);
    let device = device::open("flex")?;
    let mut print = stdout();
    writeln!(print, "training …")?;
    let net = training::train(&device);

    // This is all it takes: a module, and how to call it.
    let model = AutodiffModel::from_module(net.clone(), ShapeNet::forward);

    // Pictures the net has not seen.
    let shapes: Vec<Shape> = (0..CLASSES.len()).map(|class| Shape::draw(class, 1000 + class as u64)).collect();
    let pictures = to_tensor(&shapes, &device);
    show_evaluation_mode(&net, &model, &pictures)?;

    let methods: [(&str, Style, Attribution); 3] = [
        ("Vanilla gradient", Style::sequential(), VanillaGradient.attribute(&model, pictures.clone(), &Target::Top)?),
        ("Input × gradient", Style::diverging(), InputXGradient.attribute(&model, pictures.clone(), &Target::Top)?),
        ("SmoothGrad", Style::sequential(), {
            SmoothGradConfig::default().wrap(VanillaGradient)?.attribute(&model, pictures.clone(), &Target::Top)?
        }),
    ];
    let probabilities = read(softmax(model.logits(pictures)?, 1))?;
    let mut rows = Vec::new();
    for (index, shape) in shapes.iter().enumerate() {
        let mut caption = vec![describe(&probabilities[index * CLASSES.len()..][..CLASSES.len()])];
        let picture = resize(&shape.picture, CELL, CELL, FilterType::Nearest);
        let mut cells = Vec::new();
        for (name, style, attribution) in &methods {
            let map = SaliencyMap::of(attribution, index)?;
            let drawing = style.draw(&map)?;
            cells.push(MontageCell::new(&drawing, drawing.over(&picture, CropBox::whole(picture.dimensions()))?));
            caption.push(format!("{:.0} % {}", 100.0 * mass_inside(&map, &shape.mask), name.to_lowercase()));
        }
        caption.push(format!("on {:.0} % of the area", 100.0 * shape.area()));
        writeln!(print, "{}", caption.join(", "))?;
        rows.push(MontageRow { picture, caption, cells });
    }
    let names = methods.iter().map(|(name, ..)| name.to_string()).collect();
    Montage { cell: CELL, methods: names, rows }.render()?.save(&out)?;
    writeln!(print, "wrote {}", out.display())?;
    Ok(())
}

/// What is explained is the net that classifies: batch norm by its running statistics, no dropout.
///
/// A Burn module whose input is tracked by autodiff, as it must be for a gradient, otherwise goes into training mode.
fn show_evaluation_mode(net: &ShapeNet, model: &impl Differentiable, pictures: &Tensor<4>) -> Result<()> {
    let top = |logits: Tensor<2>| read(logits.inner().slice_dim(0, 0..1).max_dim(1));
    let classified = top(net.valid().forward(pictures.clone()))?;
    let explained = model.gradient(pictures.clone(), &Target::Top)?.scores;
    let training = top(net.forward(pictures.clone().autodiff()))?;
    let text = format!(
        "score of the first picture: {:.3} classified, {:.3} explained (in training mode it would be {:.3})",
        classified[0], explained[0], training[0]
    );
    Ok(writeln!(stdout(), "{text}")?)
}

/// The likeliest class and its probability.
fn describe(probabilities: &[f32]) -> String {
    let top = (0..CLASSES.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).unwrap_or_default();
    format!("{} {:.1} %", CLASSES[top], 100.0 * probabilities[top])
}

/// The share of the map's magnitude that lies on the object and its rim.
fn mass_inside(map: &SaliencyMap, mask: &[bool]) -> f32 {
    let pixels = map.values().iter().zip(mask.iter().cycle());
    let inside: f32 = pixels.filter(|(_, inside)| **inside).map(|(value, _)| value.abs()).sum();
    inside / map.values().iter().map(|value| value.abs()).sum::<f32>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Device;

    use super::*;

    /// Chance would put as much mass on the object as it has area.
    #[test]
    fn maps_point_at_the_object() {
        let device = Device::default();
        let net = training::train(&device);
        let shapes: Vec<Shape> = (0..30).map(|index| Shape::draw(index % 3, 5000 + index as u64)).collect();
        let pictures = to_tensor(&shapes, &device);
        let model = AutodiffModel::from_module(net, ShapeNet::forward);

        let attribution = VanillaGradient.attribute(&model, pictures, &Target::Top).unwrap();
        let Target::Classes(classes) = &attribution.target else { panic!("the top class of every picture") };
        let right = shapes.iter().zip(classes).filter(|(shape, class)| shape.class == **class).count();
        assert!(right >= 28, "{right} of 30 classified correctly");

        let mass = |index: usize| mass_inside(&SaliencyMap::of(&attribution, index).unwrap(), &shapes[index].mask);
        let inside: f32 = (0..30).map(mass).sum::<f32>() / 30.0;
        let area: f32 = shapes.iter().map(Shape::area).sum::<f32>() / 30.0;
        assert!(inside > 1.5 * area, "{inside} of the mass on {area} of the area");
    }
}
