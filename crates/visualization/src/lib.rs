#![doc = include_str!("../README.md")]

mod color;
mod drawing;
mod legend;
mod map;
mod montage;
mod overlay;
mod plot;
mod scale;
mod style;
mod text;

pub use color::ColorMap;
pub use drawing::Drawing;
pub use legend::Legend;
pub use map::{ChannelReduction, SaliencyMap};
pub use montage::{Montage, MontageCell, MontageRow};
pub use overlay::{Blend, Overlay, PictureColors};
pub use plot::{IntervalPlot, IntervalRow, LinePlot, Series};

pub use burnsight_core::CropBox;
pub use scale::{Scaling, Sign};
pub use style::Style;
