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
    Attributor, AutodiffModel, Classifier, DeconvNet, Differentiable, GradCam, GuidedBackprop, GuidedGradCam,
    SmoothGradConfig, Target, VanillaGradient, device, read,
    visualization::{Blend, CropBox, Montage, MontageCell, MontageRow, Overlay, SaliencyMap, Style},
};
use image::imageops::{FilterType, resize};

use model::ShapeNet;
use shapes::{CLASSES, Shape, to_tensor};

/// Side of each cell of the sheet, in pixels.
const CELL: u32 = 128;

/// The tensor that Grad-CAM looks at: what the last block says.
const LAYER: &str = "blocks.2";

/// A method for models of type `M`, its name, and how its maps are drawn.
type Method<M> = (&'static str, Style, Box<dyn Attributor<M>>);

fn methods<F: Fn(Tensor<4>) -> Tensor<2>>() -> Result<Vec<Method<AutodiffModel<F>>>> {
    // Guided maps in their own colours: their fine structure would be lost among the picture's.
    let alone = Overlay { opacity: 1.0, blend: Blend::Uniform, ..Overlay::default() };
    let own_colors = || Style { overlay: alone, ..Style::channels() };
    Ok(vec![
        // These need nothing but the closure.
        ("Vanilla gradient", Style::sequential(), Box::new(VanillaGradient)),
        ("SmoothGrad", Style::sequential(), Box::new(SmoothGradConfig::default().wrap(VanillaGradient)?)),
        // These change what a ReLU hands back: the model calls our `relu`.
        ("DeconvNet", own_colors(), Box::new(DeconvNet)),
        ("Guided backprop", own_colors(), Box::new(GuidedBackprop)),
        // This looks at a hidden layer: the model shows it by `watch`.
        ("Grad-CAM", Style::sequential(), Box::new(GradCam::with_layer(LAYER))),
        // Both.
        ("Guided Grad-CAM", own_colors(), Box::new(GuidedGradCam::with_layer(LAYER))),
    ])
}

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

    let probabilities = read(softmax(model.logits(pictures.clone())?, 1))?;
    let mut rows: Vec<MontageRow> = (shapes.iter().zip(probabilities.chunks(CLASSES.len())))
        .map(|(shape, probabilities)| MontageRow {
            picture: resize(&shape.picture, CELL, CELL, FilterType::Nearest),
            caption: vec![describe(probabilities), format!("object: {:.0} %", 100.0 * shape.area())],
            cells: Vec::new(),
        })
        .collect();
    let methods = methods()?;
    for (name, style, method) in &methods {
        let attribution = method.attribute(&model, pictures.clone(), &Target::Top)?;
        for (index, (row, shape)) in rows.iter_mut().zip(&shapes).enumerate() {
            let map = SaliencyMap::of(&attribution, index)?;
            let mut drawing = style.draw(&map)?;
            drawing.notes.push(format!("{:.0} % on the object", 100.0 * mass_inside(&map, &shape.mask)));
            writeln!(print, "{}: {name}, {}", CLASSES[shape.class], drawing.notes.join(", "))?;
            let over = drawing.over(&row.picture, CropBox::whole(row.picture.dimensions()))?;
            row.cells.push(MontageCell::new(&drawing, over));
        }
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
        let area: f32 = shapes.iter().map(Shape::area).sum::<f32>() / 30.0;
        let pictures = to_tensor(&shapes, &device);
        let model = AutodiffModel::from_module(net, ShapeNet::forward);
        for (name, _, method) in methods().unwrap() {
            let attribution = method.attribute(&model, pictures.clone(), &Target::Top).unwrap();
            let Target::Classes(classes) = &attribution.target else { panic!("the top class of every picture") };
            let right = shapes.iter().zip(classes).filter(|(shape, class)| shape.class == **class).count();
            assert!(right >= 28, "{right} of 30 classified correctly");

            let mass = |index: usize| mass_inside(&SaliencyMap::of(&attribution, index).unwrap(), &shapes[index].mask);
            let inside: f32 = (0..30).map(mass).sum::<f32>() / 30.0;
            // DeconvNet knows of the picture only which places won the max pool.
            let least = if name == "DeconvNet" { 1.0 } else { 1.5 };
            assert!(inside > least * area, "{name}: {inside} of the mass on {area} of the area");
        }
    }
}
