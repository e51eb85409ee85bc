//! Batches of two halves: pictures above their baselines, or what belongs to positive above what belongs to negative
//! differences.

use burn::tensor::Tensor;
use burnsight_network::Activation;

/// The first and the second half of the rows.
pub(crate) fn halves(batch: Tensor<2>) -> [Tensor<2>; 2] {
    let half = batch.dims()[0] / 2;
    [batch.clone().slice_dim(0, 0..half), batch.slice_dim(0, half..2 * half)]
}

/// One half above the other.
pub(crate) fn stack(first: Tensor<2>, second: Tensor<2>) -> Tensor<2> {
    Tensor::cat(vec![first, second], 0)
}

/// The same above itself.
pub(crate) fn twice(half: Tensor<2>) -> Tensor<2> {
    stack(half.clone(), half)
}

/// The second half above the first.
pub(crate) fn swap(batch: Tensor<2>) -> Tensor<2> {
    let [first, second] = halves(batch);
    stack(second, first)
}

/// x − x₀ of every unit, in both halves.
pub(crate) fn difference(batch: &Activation) -> Tensor<2> {
    let [picture, baseline] = halves(batch.clone().flatten());
    twice(picture - baseline)
}
