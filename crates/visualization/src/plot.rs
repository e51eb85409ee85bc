//! Plots of numbers: lines over a common abscissa, means with their intervals.
//!
//! One routine per plot draws for both outputs, pixels and SVG.

mod axis;
mod canvas;
mod interval;
mod line;

use burnsight_core::{Error, Result};

pub use interval::{IntervalPlot, IntervalRow};
pub use line::{LinePlot, Series};

/// Blue, vermilion, green, reddish purple, sky blue, orange (Okabe and Ito 2008) and dark grey: distinct for readers with
/// any common colour vision. Their yellow is left out, too pale for a line on white.
const COLORS: [[u8; 3]; 7] =
    [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [230, 159, 0], [64, 64, 64]];

const GRID: [u8; 3] = [230; 3];
const AXIS: [u8; 3] = [120; 3];

fn check_size(width: u32, height: u32) -> Result<()> {
    for (name, value, least) in [("width", width, 320), ("height", height, 200)] {
        if !(least..=4096).contains(&value) {
            return Err(Error::parameter(name, value, &format!("give {least} to 4096 pixels")));
        }
    }
    Ok(())
}

/// Letters grow with the plot, up to what is comfortable to read.
fn text_size(width: u32) -> f64 {
    (f64::from(width) / 56.0).clamp(12.0, 28.0)
}
