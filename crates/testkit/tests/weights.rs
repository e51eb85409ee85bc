//! Weight files: all or nothing, whatever the bytes say.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device};
use burnsight_core::{Error, Result};
use burnsight_network::{ParameterSource, WeightFile};
use burnsight_testkit::values;
use safetensors::{Dtype, serialize, tensor::TensorView};

/// A file with the tensors of these names, formats, shapes and bytes.
fn file(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.to_string(), TensorView::new(*dtype, shape.to_vec(), bytes).unwrap()));
    serialize(views, None).unwrap()
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Loads one tensor `w` of shape `[2, 2]`, as a network would.
fn load(bytes: &[u8]) -> Result<Vec<f64>> {
    let mut source = WeightFile::safetensors("weights", bytes, &Device::default())?;
    let tensor = source.tensor("w", [2, 2], 0.0, 1.0)?;
    source.finish()?;
    assert_eq!(tensor.dtype(), DType::F32);
    Ok(values(tensor))
}

#[test]
fn every_float_format_becomes_single_precision() {
    let expected = [1.5f32, -2.0, 0.0, 0.25];
    let double: Vec<u8> = expected.iter().flat_map(|number| f64::from(*number).to_le_bytes()).collect();
    let brain: Vec<u8> = expected.iter().flat_map(|number| number.to_le_bytes()[2..].to_vec()).collect();
    let half: Vec<u8> = [0x3e00u16, 0xc000, 0x0000, 0x3400].iter().flat_map(|number| number.to_le_bytes()).collect();
    let single = bytes(&expected);
    for (dtype, bytes) in [(Dtype::F64, double), (Dtype::F32, single), (Dtype::BF16, brain), (Dtype::F16, half)] {
        let loaded = load(&file(&[("w", dtype, &[2, 2], &bytes)])).unwrap();
        assert_eq!(loaded, expected.map(f64::from), "{dtype:?}");
    }
}

#[test]
fn tensors_may_lie_anywhere() {
    let header = r#"{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]},"w":{"dtype":"F32","shape":[2,2],"data_offsets":[2,18]}}"#;
    let mut whole = (header.len() as u64).to_le_bytes().to_vec();
    whole.extend(header.as_bytes());
    whole.extend([0, 0]);
    whole.extend(bytes(&[1.0, 2.0, 3.0, 4.0]));
    for offset in 0..4 {
        let shifted = [vec![0; offset], whole.clone()].concat();
        let mut source = WeightFile::safetensors("weights", &shifted[offset..], &Device::default()).unwrap();
        assert_eq!(values(source.tensor("w", [2, 2], 0.0, 1.0).unwrap()), [1.0, 2.0, 3.0, 4.0]);
        // What is not yet taken.
        assert_eq!(source.shapes(), [("a".to_string(), vec![1])].into());
    }
}

#[test]
fn nothing_is_loaded_partially() {
    let good = bytes(&[1.0, 2.0, 3.0, 4.0]);
    let nan = bytes(&[1.0, f32::NAN, 3.0, 4.0]);
    let large: Vec<u8> = [1.0, 1e300, 3.0, 4.0].iter().flat_map(|number: &f64| number.to_le_bytes()).collect();
    let square: &[usize] = &[2, 2];
    let whole = file(&[("w", Dtype::F32, square, &good)]);
    for (what, bytes, expected) in [
        ("empty", vec![], "not a whole safetensors file"),
        ("garbage", b"no tensors in here, only words".to_vec(), "not a whole safetensors file"),
        ("truncated", whole[..whole.len() - 1].to_vec(), "not a whole safetensors file"),
        ("only the header", whole[..whole.len() - 16].to_vec(), "not a whole safetensors file"),
        ("too long", [whole.clone(), vec![0]].concat(), "not a whole safetensors file"),
        ("missing", file(&[("v", Dtype::F32, square, &good)]), "tensor w is missing"),
        ("misshapen", file(&[("w", Dtype::F32, &[4], &good)]), "shape [4]"),
        ("transposed", file(&[("w", Dtype::F32, &[1, 4], &good)]), "shape [1, 4]"),
        ("integers", file(&[("w", Dtype::I32, square, &good)]), "I32"),
        ("not a number", file(&[("w", Dtype::F32, square, &nan)]), "contains NaN"),
        ("beyond single precision", file(&[("w", Dtype::F64, square, &large)]), "contains inf"),
        ("left over", file(&[("w", Dtype::F32, square, &good), ("v", Dtype::F32, square, &good)]), "tensor v"),
    ] {
        let error = load(&bytes).expect_err(what);
        assert!(matches!(error, Error::Model { .. }) && error.to_string().contains(expected), "{what}: {error}");
    }
    assert_eq!(load(&whole).unwrap(), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn counters_of_training_steps_are_no_weights() {
    let good = bytes(&[1.0, 2.0, 3.0, 4.0]);
    let counter = ("norm.num_batches_tracked", Dtype::I64, &[][..], &7u64.to_le_bytes()[..]);
    assert!(load(&file(&[("w", Dtype::F32, &[2, 2], &good), counter])).is_ok());
}
