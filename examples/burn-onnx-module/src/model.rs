//! What burn-onnx made of `model.onnx` (see `build.rs`).
#![allow(dead_code, missing_docs, clippy::all, reason = "written by a program")]

include!(concat!(env!("OUT_DIR"), "/model/model.rs"));
