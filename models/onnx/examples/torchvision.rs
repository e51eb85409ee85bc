//! Compares imported networks with what `torchvision/generate.py` wrote beside them.
//!
//! ```text
//! cargo run --workspace --example torchvision -- FOLDER
//! ```
#![allow(clippy::print_stdout)]

use std::{error::Error, path::Path, time::Instant};

use burn::tensor::{DType, Device, Tensor, TensorData};
use burnsight_core::{Classifier, Differentiable, Target};
use burnsight_testkit::{relative_l2, values};
use safetensors::SafeTensors;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder that generate.py wrote")?;
    let mut files: Vec<_> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    files.sort();
    println!(
        "| model | layers | import, s | logits | gradient, f64 | gradient, f32 | torch's gradient, f32 |\n|---|---|---|---|---|---|---|"
    );
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match compare(&file) {
            Ok(row) => println!("| {name} | {row} |"),
            Err(error) => println!("| {name} | {error} |"),
        }
    }
    Ok(())
}

/// One row: relative errors of the logits against onnxruntime, and of gradients (ours and torch's own) against torch in
/// double precision.
fn compare(file: &Path) -> Result<String, Box<dyn Error>> {
    let device = Device::default();
    let bytes = std::fs::read(file.with_extension("safetensors"))?;
    let expected = SafeTensors::deserialize(&bytes)?;
    let floats = |name: &str| -> Result<(Vec<usize>, Vec<f64>), Box<dyn Error>> {
        let view = expected.tensor(name)?;
        let data =
            view.data().chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]).into());
        Ok((view.shape().to_vec(), data.collect()))
    };
    let started = Instant::now();
    let model = burnsight_onnx::open(file, None, &device)?;
    let seconds = started.elapsed().as_secs_f64();
    let (shape, picture) = floats("picture")?;
    let shape: [usize; 4] = shape.try_into().map_err(|_| "a picture has four axes")?;
    let pictures = |dtype| Tensor::<4>::from_data(TensorData::new(picture.clone(), shape), (&device, dtype));
    let logits = relative_l2(&values(model.network.logits(pictures(DType::F32))?), &floats("logits")?.1);
    let classes = expected
        .tensor("class")?
        .data()
        .chunks_exact(8)
        .map(|eight| usize::from(eight[0]) + 256 * usize::from(eight[1]));
    let target = Target::Classes(classes.collect());
    let (_, double) = floats("gradient_f64")?;
    let gradient = |dtype| -> Result<f64, Box<dyn Error>> {
        let answer = model.network.cast(dtype).gradient(pictures(dtype), &target)?;
        Ok(relative_l2(&values(answer.gradient), &double))
    };
    let (single, exact) = (gradient(DType::F32)?, gradient(DType::F64)?);
    let torch = relative_l2(&floats("gradient")?.1, &double);
    let layers = model.network.nodes().len();
    Ok(format!("{layers} | {seconds:.2} | {logits:.1e} | {exact:.1e} | {single:.1e} | {torch:.1e}"))
}
