//! Maps of hidden layers at the size of the picture.

use burn::tensor::{
    Tensor,
    module::interpolate,
    ops::{InterpolateMode, InterpolateOptions},
};

/// Enlarges maps bilinearly, pixel centres at half-integers (torch's `align_corners=False`).
///
/// # Shapes
/// - maps: `[n, c, h', w']`
/// - returns: `[n, c, height, width]`
pub fn enlarge(maps: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    // Burn's default is the other convention, which shifts everything but the centre.
    let options =
        InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false).with_output_size([height, width]);
    interpolate(maps, options)
}
