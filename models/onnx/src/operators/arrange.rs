//! Operators that only move values about.

use burnsight_network::{Layer, Pad, Select};

use super::{Importer, Inputs, Outcome, axis};
use crate::{
    constant::{Constant, Int},
    view::{Size, View},
};

/// Copies along an axis; pictures are not larger.
const MOST_COPIES: usize = 1 << 20;

/// The order of axes that a transpose asks for; reversed unless given.
pub fn order(inputs: &Inputs<'_>, rank: usize) -> Outcome<Vec<usize>> {
    let order: Vec<usize> = match inputs.operation.ints("perm") {
        Some(axes) => axes.iter().map(|one| axis(*one, rank)).collect::<Outcome<_>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    match sorted == (0..rank).collect::<Vec<_>>() {
        true => Ok(order),
        false => Err(format!("{order:?} is no order of {rank} axes")),
    }
}

/// Which places along which axes a slice takes; whole axes are left out.
pub fn slices(inputs: &Inputs<'_>, shape: &[usize]) -> Outcome<Vec<(usize, Vec<usize>)>> {
    let starts = inputs.ints("starts", 1)?.ok_or("it names no starts")?;
    // The end may be the number of pictures, or anything beyond the last place.
    let ends = match inputs.operation.ints("ends") {
        Some(ends) => ends.to_vec(),
        None => {
            inputs.constant(2)?.as_ints()?.iter().map(|end| if end.batched { i64::MAX } else { end.value }).collect()
        }
    };
    let axes = inputs.ints("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = inputs.ints("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("its starts, ends, axes and steps differ in number".into());
    }
    let mut result = Vec::new();
    for index in 0..starts.len() {
        let along = axis(axes[index], shape.len())?;
        let places = places(shape[along], starts[index], ends[index], steps[index])?;
        if !places.iter().copied().eq(0..shape[along]) {
            result.push((along, places));
        }
    }
    Ok(result)
}

/// As in Python: from `start` to before `end`, negative ones counted from the end.
fn places(size: usize, start: i64, end: i64, step: i64) -> Outcome<Vec<usize>> {
    let size = size as i64;
    let from_front = |place: i64| if place < 0 { place.saturating_add(size) } else { place };
    match step {
        0 => Err("it steps by 0".into()),
        1.. => {
            let (start, end) = (from_front(start).clamp(0, size), from_front(end).clamp(0, size));
            Ok((start..end).step_by(usize::try_from(step).unwrap_or(usize::MAX)).map(|place| place as usize).collect())
        }
        _ => {
            let start = from_front(start).clamp(-1, size - 1);
            let end = if end < -size { -1 } else { from_front(end).clamp(-1, size - 1) };
            let step = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
            Ok((end + 1..=start).rev().step_by(step).map(|place| place as usize).collect())
        }
    }
}

/// How long the parts of a split are.
pub fn split_sizes(inputs: &Inputs<'_>, size: usize) -> Outcome<Vec<usize>> {
    let outputs = inputs.operation.node.output.len().max(1);
    let sizes: Vec<usize> = match inputs.ints("split", 1)? {
        Some(sizes) => sizes.iter().map(|size| usize::try_from(*size).unwrap_or(usize::MAX)).collect(),
        None => {
            let each = size.div_ceil(outputs);
            (0..outputs).map(|part| each.min(size.saturating_sub(part * each))).collect()
        }
    };
    let sum = sizes.iter().try_fold(0usize, |sum, size| sum.checked_add(*size));
    match sum == Some(size) && !sizes.contains(&0) {
        true => Ok(sizes),
        false => Err(format!("parts of {sizes:?} of an axis of {size}")),
    }
}

impl<'f> Importer<'f> {
    pub(super) fn reshape(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let wanted: Vec<Int> = match inputs.operation.ints("shape") {
            Some(sizes) => sizes.iter().map(|size| Int::plain(*size)).collect(),
            None => inputs.constant(1)?.as_ints()?.to_vec(),
        };
        let dims = self.graph.dims(&view);
        let copies = inputs.operation.int("allowzero").unwrap_or(0) == 0;
        let size = |(axis, size): (usize, &Int)| match (size.value, size.batched) {
            (-1, false) => Ok(Size::Rest),
            (0, false) if copies => {
                dims.get(axis).copied().map(Size::Given).ok_or("it copies an axis that is not there")
            }
            _ => Ok(Size::Given(*size)),
        };
        let sizes: Vec<Size> = wanted.iter().enumerate().map(size).collect::<Result<_, _>>()?;
        self.graph.reshape(&self.name, &view, &sizes)
    }

    pub(super) fn flatten(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let rank = view.groups.len();
        let at = inputs.operation.int("axis").unwrap_or(1);
        let at = if at == rank as i64 { rank } else { axis(at, rank)? };
        let groups = vec![view.groups[..at].concat(), view.groups[at..].concat()];
        let sizes: Vec<Size> =
            self.graph.dims(&View { layer: view.layer, groups }).into_iter().map(Size::Given).collect();
        self.graph.reshape(&self.name, &view, &sizes)
    }

    pub(super) fn squeeze(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let dims = self.graph.dims(&view);
        let axes: Vec<usize> = match inputs.ints("axes", 1)? {
            Some(axes) => axes.iter().map(|one| axis(*one, dims.len())).collect::<Outcome<_>>()?,
            None => (0..dims.len()).filter(|axis| dims[*axis] == Int::plain(1)).collect(),
        };
        if let Some(other) = axes.iter().find(|axis| dims[**axis] != Int::plain(1)) {
            return Err(format!("it removes axis {other} of {}, which is not 1", self.graph.describe(&view)));
        }
        let groups =
            view.groups.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, group)| group.clone());
        Ok(View { layer: view.layer, groups: groups.collect() })
    }

    pub(super) fn unsqueeze(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let axes = inputs.ints("axes", 1)?.ok_or("it names no axes")?;
        let rank = view.groups.len() + axes.len();
        let axes: Vec<usize> = axes.iter().map(|one| axis(*one, rank)).collect::<Outcome<_>>()?;
        let mut old = view.groups.iter();
        let groups =
            (0..rank).map(|axis| if axes.contains(&axis) { vec![] } else { old.next().cloned().unwrap_or_default() });
        Ok(View { layer: view.layer, groups: groups.collect() })
    }

    pub(super) fn transpose(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let order = order(inputs, view.groups.len())?;
        Ok(View { layer: view.layer, groups: order.iter().map(|axis| view.groups[*axis].clone()).collect() })
    }

    pub(super) fn concatenate(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let views: Vec<View> =
            (0..inputs.values.len()).map(|index| self.view(inputs, index)).collect::<Outcome<_>>()?;
        let rank = views.first().ok_or("it joins nothing")?.groups.len();
        if views.iter().any(|view| view.groups.len() != rank) {
            return Err("it joins tensors of different rank".into());
        }
        let along = axis(inputs.operation.int("axis").unwrap_or(0), rank)?;
        if let [only] = &views[..] {
            return Ok(only.clone());
        }
        let mut views = self.align(views)?;
        if views.iter().any(|view| view.groups[along].len() != 1 || view.groups[along] == [0]) {
            for view in &mut views {
                *view = self.graph.axis(&self.name, view, along)?.0;
            }
            views = self.align(views)?;
        }
        let single = views[0].groups[along][0];
        self.joined(Layer::Concatenation { axis: single }, views)
    }

    pub(super) fn split(&mut self, inputs: &Inputs<'f>) -> Outcome<Vec<View>> {
        let view = self.view(inputs, 0)?;
        let along = axis(inputs.operation.int("axis").unwrap_or(0), view.groups.len())?;
        let size = self.graph.plain_size(&view, along)?;
        let (view, single) = self.graph.axis(&self.name, &view, along)?;
        let mut start = 0;
        let mut parts = Vec::new();
        for length in split_sizes(inputs, size)? {
            let select = Select { axis: single, indices: (start..start + length).collect() };
            parts.push(self.graph.map(&self.name, Layer::Select(select), &view)?);
            start += length;
        }
        Ok(parts)
    }

    pub(super) fn slice(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let shape: Vec<usize> = self.graph.dims(&view).iter().map(|size| size.value as usize).collect();
        slices(inputs, &shape)?.into_iter().try_fold(view, |view, (axis, indices)| self.select(&view, axis, indices))
    }

    /// Some places along an ONNX axis.
    fn select(&mut self, view: &View, along: usize, indices: Vec<usize>) -> Outcome<View> {
        let (view, single) = self.graph.axis(&self.name, view, along)?;
        self.graph.map(&self.name, Layer::Select(Select { axis: single, indices }), &view)
    }

    pub(super) fn gather(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let indices = inputs.constant(1)?;
        let along = axis(inputs.operation.int("axis").unwrap_or(0), view.groups.len())?;
        if indices.as_ints()?.iter().any(|index| index.per_picture != 0) {
            return self.gather_per_picture(&view, indices);
        }
        let size = self.graph.plain_size(&view, along)?;
        let places: Vec<usize> =
            indices.known_ints()?.iter().map(|index| axis(*index, size)).collect::<Outcome<_>>()?;
        let mut selected = self.select(&view, along, places)?;
        match indices.shape.len() {
            // The axis of size 1 that is left belongs to no group any more.
            0 => {
                selected.groups.remove(along);
                Ok(selected)
            }
            1 => Ok(selected),
            _ => {
                let mut sizes: Vec<Size> = self.graph.dims(&selected).into_iter().map(Size::Given).collect();
                let new = indices.shape.iter().map(|size| Size::Given(Int::plain(*size as i64)));
                sizes.splice(along..=along, new);
                self.graph.reshape(&self.name, &selected, &sizes)
            }
        }
    }

    /// All pictures' values in one row, of which each picture takes its own: how torch's exporter says `as_strided`.
    fn gather_per_picture(&mut self, view: &View, indices: &Constant) -> Outcome<View> {
        let unsupported = || "it takes values of other pictures";
        let [[0, inner]] = view.groups.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] else {
            return Err(unsupported().into());
        };
        let size = self.graph.out_size(view, *inner);
        let own = |index: &Int| match index.per_picture == size as i64 {
            true => axis(index.value, size),
            false => Err(unsupported().into()),
        };
        let places: Vec<usize> = indices.as_ints()?.iter().map(own).collect::<Outcome<_>>()?;
        let rows = View { layer: view.layer, groups: vec![vec![0], vec![*inner]] };
        let selected = if places.iter().copied().eq(0..size) { rows } else { self.select(&rows, 1, places)? };
        let mut sizes: Vec<Size> = indices.shape.iter().map(|size| Size::Given(Int::plain(*size as i64))).collect();
        match indices.shape.first() {
            Some(1) => sizes[0] = Size::Given(Int::batched(1)),
            _ => return Err(unsupported().into()),
        }
        self.graph.reshape(&self.name, &selected, &sizes)
    }

    /// Axes of size 1 are repeated. (Pictures are not: what is constant is repeated for them where it is used.)
    pub(super) fn expand(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let mut view = self.view(inputs, 0)?;
        let sizes = inputs.constant(1)?.as_ints()?.to_vec();
        let missing = sizes.len().saturating_sub(view.groups.len());
        view.groups.splice(0..0, vec![vec![]; missing]);
        let lead = view.groups.len() - sizes.len();
        for (axis, size) in sizes.iter().enumerate() {
            let own = self.graph.dims(&view)[axis + lead];
            let copies = usize::try_from(size.value).ok().filter(|copies| *copies < MOST_COPIES);
            let copies = copies.ok_or_else(|| format!("a size of {}", size.value))?;
            if own == Int::plain(1) && copies > 1 {
                view = self.select(&view, axis + lead, vec![0; copies])?;
            }
        }
        Ok(view)
    }

    pub(super) fn tile(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let mut view = self.view(inputs, 0)?;
        for (axis, repeats) in
            inputs.constant(1)?.known_ints()?.into_iter().enumerate().filter(|(_, repeats)| *repeats != 1)
        {
            let size = self.graph.plain_size(&view, axis)?;
            let most = MOST_COPIES / size.max(1);
            let repeats = usize::try_from(repeats).ok().filter(|repeats| (1..=most).contains(repeats));
            let repeats = repeats.ok_or("a number of repeats that makes no sense")?;
            view = self.select(&view, axis, (0..size * repeats).map(|place| place % size).collect())?;
        }
        Ok(view)
    }

    pub(super) fn pad(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let mut view = self.view(inputs, 0)?;
        let rank = view.groups.len();
        let pads = inputs.ints("pads", 1)?.ok_or("it names no border")?;
        let value = inputs.float("value", 2)?.unwrap_or(0.0);
        let axes: Vec<usize> = match inputs.get(3) {
            Some(_) => inputs.constant(3)?.known_ints()?.iter().map(|one| axis(*one, rank)).collect::<Outcome<_>>()?,
            None => (0..rank).collect(),
        };
        if pads.len() != 2 * axes.len() {
            return Err(format!("{} widths of borders for {} axes", pads.len(), axes.len()));
        }
        let mode = inputs.operation.text("mode").unwrap_or("constant");
        for (index, along) in axes.iter().copied().enumerate() {
            let (before, after) = (pads[index], pads[index + axes.len()]);
            if (before, after) != (0, 0) {
                view = self.border(&view, along, mode, [before, after], value)?;
            }
        }
        Ok(view)
    }

    fn border(
        &mut self,
        view: &View,
        along: usize,
        mode: &str,
        [before, after]: [i64; 2],
        value: f64,
    ) -> Outcome<View> {
        let size = self.graph.plain_size(view, along)? as i64;
        let (view, single) = self.graph.axis(&self.name, view, along)?;
        let wide = before.max(after) > 1 << 16;
        if wide || before.saturating_add(size).saturating_add(after) < 1 || before < -size || after < -size {
            return Err(format!("borders of {before} and {after} around {size}"));
        }
        let places = -before..size + after;
        if before <= 0 && after <= 0 {
            return self.select(&view, along, places.map(|place| place as usize).collect());
        }
        let mirrored = |place: i64| {
            let period = (2 * (size - 1)).max(1);
            let place = place.rem_euclid(period);
            place.min(period - place).max(0) as usize
        };
        let select = |indices: Vec<usize>| Layer::Select(Select { axis: single, indices });
        match mode {
            "constant" => {
                let (before, after) = (usize::try_from(before), usize::try_from(after));
                let (Ok(before), Ok(after)) = (before, after) else {
                    return Err("it adds on one side and cuts on the other".into());
                };
                self.graph.map(&self.name, Layer::Pad(Pad { axis: single, before, after, value }), &view)
            }
            "reflect" => self.graph.map(&self.name, select(places.map(mirrored).collect()), &view),
            "edge" => {
                let nearest = places.map(|place| place.clamp(0, size - 1) as usize).collect();
                self.graph.map(&self.name, select(nearest), &view)
            }
            "wrap" => {
                let around = places.map(|place| place.rem_euclid(size) as usize).collect();
                self.graph.map(&self.name, select(around), &view)
            }
            other => Err(format!("borders of the kind {other:?} are not supported")),
        }
    }
}
