//! A Burn module that burn-onnx generated at build time, explained.

mod model;

use std::{
    io::{Write, stdout},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use burnsight::{
    Attributor, AutodiffModel, GradCam, GuidedBackprop, GuidedGradCam, SmoothGradConfig, Target, VanillaGradient,
    device,
    visualization::{Blend, CropBox, Montage, MontageCell, MontageRow, Overlay, SaliencyMap, Style},
};
use image::{
    RgbImage,
    imageops::{FilterType, resize},
};

use model::Model;

/// Side of each cell of the sheet, in pixels.
const CELL: u32 = 144;

/// What the model tells apart, in the order of its logits.
const CLASSES: [&str; 3] = ["ring", "cross", "triangle"];

/// Which class is explained in which picture: each shows two objects.
const QUESTIONS: [(&str, usize); 4] =
    [("ring-and-cross", 0), ("ring-and-cross", 1), ("triangle-and-ring", 2), ("triangle-and-ring", 0)];

/// The last ReLU, as burn-onnx numbers them; `build.rs` shows each under that name.
const LAYER: &str = "relu7";

/// A method for models of type `M`, its name, and how its maps are drawn.
type Method<M> = (&'static str, Style, Box<dyn Attributor<M>>);

fn methods<F: Fn(Tensor<4>) -> Tensor<2>>() -> Result<Vec<Method<AutodiffModel<F>>>> {
    // Guided maps in their own colours: their fine structure would be lost among the picture's.
    let alone = Overlay { opacity: 1.0, blend: Blend::Uniform, ..Overlay::default() };
    let own_colors = || Style { overlay: alone, ..Style::channels() };
    Ok(vec![
        ("Vanilla gradient", Style::sequential(), Box::new(VanillaGradient)),
        ("SmoothGrad", Style::sequential(), Box::new(SmoothGradConfig::default().wrap(VanillaGradient)?)),
        ("Guided backprop", own_colors(), Box::new(GuidedBackprop)),
        ("Grad-CAM", Style::sequential(), Box::new(GradCam::with_layer(LAYER))),
        ("Guided Grad-CAM", own_colors(), Box::new(GuidedGradCam::with_layer(LAYER))),
    ])
}

fn main() -> Result<()> {
    let out = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("burn-onnx-module.png"), PathBuf::from);
    let device = device::open("flex")?;
    let model = AutodiffModel::from_module(Model::from_embedded(&device), Model::forward);

    let (pictures, target) = questions()?;
    let input = to_tensor(&pictures, &device);
    let methods = methods()?;
    let maps: Vec<_> = methods
        .iter()
        .map(|(.., method)| method.attribute(&model, input.clone(), &target))
        .collect::<Result<_, _>>()?;

    let mut rows = Vec::new();
    for (index, (picture, (_, class))) in pictures.iter().zip(QUESTIONS).enumerate() {
        let picture = resize(picture, CELL, CELL, FilterType::Nearest);
        let cell = |((_, style, _), attribution): (&Method<_>, _)| -> Result<MontageCell> {
            let drawing = style.draw(&SaliencyMap::of(attribution, index)?)?;
            Ok(MontageCell::new(&drawing, drawing.over(&picture, CropBox::whole(picture.dimensions()))?))
        };
        let cells = methods.iter().zip(&maps).map(cell).collect::<Result<_>>()?;
        let caption = vec![format!("Why {}?", CLASSES[class]), format!("logit {:.1}", maps[0].scores[index])];
        writeln!(stdout(), "{}", caption.join(" "))?;
        rows.push(MontageRow { picture, caption, cells });
    }
    let names = methods.iter().map(|(name, ..)| name.to_string()).collect();
    Montage { cell: CELL, methods: names, rows }.render()?.save(&out)?;
    writeln!(stdout(), "wrote {}", out.display())?;
    Ok(())
}

/// The picture of every question, and the classes that are asked for.
fn questions() -> Result<(Vec<RgbImage>, Target)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pictures");
    let open = |(name, _): (&str, usize)| -> Result<RgbImage> {
        let path = folder.join(name).with_extension("png");
        Ok(image::open(&path).with_context(|| path.display().to_string())?.into_rgb8())
    };
    let pictures = QUESTIONS.into_iter().map(open).collect::<Result<_>>()?;
    Ok((pictures, Target::Classes(QUESTIONS.map(|(_, class)| class).to_vec())))
}

/// What the model reads: `[n, 3, h, w]`, from −1 to 1.
fn to_tensor(pictures: &[RgbImage], device: &Device) -> Tensor<4> {
    let tensor = |picture: &RgbImage| {
        let (width, height) = picture.dimensions();
        let values: Vec<f32> = picture.as_raw().iter().map(|value| f32::from(*value) / 127.5 - 1.0).collect();
        let data = TensorData::new(values, [1, height as usize, width as usize, 3]);
        Tensor::<4>::from_data(data, device).permute([0, 3, 1, 2])
    };
    Tensor::cat(pictures.iter().map(tensor).collect(), 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burnsight::{Classifier, read};
    use safetensors::SafeTensors;

    use super::*;

    /// What torch and onnxruntime made of the same model and pictures (`generate.py`).
    fn expected(name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(include_bytes!("../expected.safetensors")).unwrap();
        let bytes = file.tensor(name).unwrap().data();
        bytes.chunks_exact(4).map(|number| f32::from_le_bytes(number.try_into().unwrap())).collect()
    }

    fn relative_l2(left: &[f32], right: &[f32]) -> f32 {
        assert_eq!(left.len(), right.len());
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
        norm(&mut left.iter().zip(right).map(|(left, right)| left - right)) / norm(&mut right.iter().copied())
    }

    #[test]
    fn as_torch_and_onnxruntime_say() {
        let device = device::open("flex").unwrap();
        let model = AutodiffModel::from_module(Model::from_embedded(&device), Model::forward);
        let (pictures, target) = questions().unwrap();
        let input = to_tensor(&pictures, &device);
        let logits = read(model.logits(input.clone()).unwrap()).unwrap();
        // Each picture is asked about twice.
        let twice = |logits: &[f32]| [logits, logits].concat();
        let logits_expected = expected("logits").chunks(CLASSES.len()).flat_map(twice).collect::<Vec<_>>();
        assert!(relative_l2(&logits, &logits_expected) < 1e-5, "{logits:?}");
        let methods: [(&str, &dyn Attributor<_>); 3] =
            [("gradient", &VanillaGradient), ("guided", &GuidedBackprop), ("cam", &GradCam::with_layer(LAYER))];
        for (name, method) in methods {
            let map = method.attribute(&model, input.clone(), &target).unwrap().map;
            let difference = relative_l2(&read(map).unwrap(), &expected(name));
            eprintln!("{name}: relative L2 {difference:e}");
            // Sums in another order: a ReLU at a tie may fall to the other side.
            assert!(difference < 1e-3, "{name}: relative L2 {difference:e}");
        }
    }
}
