//! ONNX tensors as a layer's output looked at in another order.

use crate::constant::{Constant, Int};

/// A value of the ONNX graph.
#[derive(Clone)]
pub enum Value {
    /// Known now.
    Constant(Constant),
    /// Depends on the picture.
    Computed(View),
}

/// An ONNX tensor as a layer's output whose axes are looked at in another order.
///
/// A network's activations have the batch as axis 0, always. In ONNX it may be anywhere, even merged with other axes
/// (windows · n, n · heads). So every ONNX axis is a group of the activation's axes, in row-major order; a transpose only
/// reorders the groups. Axes of the activation that are in no group have size 1.
#[derive(Clone, Debug)]
pub struct View {
    pub layer: usize,
    pub groups: Vec<Vec<usize>>,
}

impl View {
    /// Which ONNX axis holds the batch, if any does.
    pub fn batch(&self) -> Option<usize> {
        self.groups.iter().position(|group| group.contains(&0))
    }
}

/// A size asked for in a reshape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Given(Int),
    /// −1
    Rest,
}

/// The sizes without n of a reshape, and which of them counts the pictures too.
///
/// Files made for one picture only have 1 where n belongs. Which axis that is follows from the order of the values, but
/// where axes of size 1 stand side by side, or none does.
pub fn resolve(
    sizes: &[Size],
    total: usize,
    before: usize,
    has_batch: bool,
    any_batch: bool,
) -> Result<(Vec<usize>, Option<usize>), String> {
    let misfit = || format!("{total} values per picture cannot be arranged as {sizes:?}");
    let given = sizes.iter().filter_map(|size| match size {
        Size::Given(int) => Some(*int),
        Size::Rest => None,
    });
    let product = given.clone().try_fold(1usize, |product, int| product.checked_mul(usize::try_from(int.value).ok()?));
    let product = product.filter(|product| *product > 0).ok_or_else(misfit)?;
    let rest = total / product;
    let dims: Vec<usize> = sizes
        .iter()
        .map(|size| match size {
            Size::Given(int) => int.value as usize,
            Size::Rest => rest,
        })
        .collect();
    if sizes.iter().filter(|size| **size == Size::Rest).count() > 1 || dims.iter().product::<usize>() != total {
        return Err(misfit());
    }
    let in_front = |axis: usize| dims[..axis].iter().product::<usize>();
    let holds = |axis: &usize| {
        let (front, size) = (in_front(*axis), dims[*axis]);
        before.is_multiple_of(front) && size.is_multiple_of(before / front) && front * size >= before
    };
    let counted: Vec<usize> =
        (0..sizes.len()).filter(|axis| matches!(sizes[*axis], Size::Given(Int { batched: true, .. }))).collect();
    let batch = match (has_batch, &counted[..]) {
        (false, []) => return Ok((dims, None)),
        (true, [axis]) => Some(*axis),
        (true, []) => {
            let rest = sizes.iter().position(|size| *size == Size::Rest && any_batch);
            let starts =
                (0..dims.len()).find(|axis| in_front(*axis) == before && (*axis + 1 < dims.len() || *axis == 0));
            rest.or(starts).or_else(|| (0..dims.len()).find(holds))
        }
        _ => None,
    };
    match batch.filter(holds) {
        Some(axis) => Ok((dims, Some(axis))),
        None => Err(format!("{misfit} without mixing pictures", misfit = misfit())),
    }
}
