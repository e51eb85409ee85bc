//! Operators on constants: the arithmetic on shapes, indices and masks that exporters leave in a graph.

use super::{Inputs, Outcome, axis};
use crate::{
    constant::{Constant, Data, Folded, Int, common_shape, count},
    file::OnnxFile,
    operators::arrange::{slices, split_sizes},
};

/// The outputs, or `None` for operators that are computed by layers also on constants.
pub fn fold(file: &OnnxFile, inputs: &Inputs<'_>) -> Option<Outcome<Vec<Constant>>> {
    let operation = &inputs.operation;
    let both = || Ok::<_, String>((inputs.constant(0)?, inputs.constant(1)?));
    let one: Folded = match operation.kind() {
        "Constant" => constant(file, inputs),
        "Identity" => inputs.constant(0).cloned(),
        "Cast" => inputs.constant(0).and_then(|x| cast(x, operation.int("to").unwrap_or(1))),
        "CastLike" => both()
            .map(|(x, like)| (x, matches!(like.data, Data::Floats(_))))
            .and_then(|(x, float)| cast(x, if float { 1 } else { 7 })),
        "Shape" => shape(inputs),
        "Size" => inputs
            .constant(0)
            .map(|x| Constant { shape: vec![], data: Data::Ints(vec![Int::plain(x.data.len() as i64)]) }),
        "ConstantOfShape" => constant_of_shape(file, inputs),
        "Range" => range(inputs),
        "Reshape" => both().and_then(|(x, shape)| reshape(x, &shape.known_ints()?)),
        "Flatten" => inputs.constant(0).and_then(|x| {
            let axis = operation.int("axis").unwrap_or(1).clamp(0, x.shape.len() as i64) as usize;
            let front = x.shape[..axis].iter().product();
            x.clone().reshape(vec![front, x.shape[axis..].iter().product()])
        }),
        "Squeeze" => squeeze(inputs),
        "Unsqueeze" => unsqueeze(inputs),
        "Transpose" => transpose(inputs),
        "Concat" => concatenate(inputs),
        "Slice" => inputs.constant(0).and_then(|x| {
            let ranges = slices(inputs, &x.shape)?;
            Ok(ranges.into_iter().fold(x.clone(), |x, (axis, indices)| x.select(axis, &indices)))
        }),
        "Gather" => gather(inputs),
        "GatherND" => gather_nd(inputs),
        "ScatterND" => scatter_nd(inputs),
        "Expand" => both().and_then(|(x, shape)| {
            // n of one picture are repeated where they are used.
            let known =
                shape.as_ints()?.iter().map(|size| if size.batched { None } else { usize::try_from(size.value).ok() });
            let shape: Option<Vec<usize>> = known.collect();
            x.expand(&common_shape(&x.shape, &shape.ok_or(BATCHED)?)?)
        }),
        "Tile" => both().and_then(|(x, repeats)| {
            let repeats = repeats.known_ints()?;
            repeats.iter().enumerate().try_fold(x.clone(), |x, (axis, repeats)| tile(&x, axis, *repeats))
        }),
        "Split" => return Some(inputs.constant(0).and_then(|x| split(inputs, x))),
        "Where" => inputs.constant(0).and_then(|truth| truth.choose(inputs.constant(1)?, inputs.constant(2)?)),
        "Equal" => both().and_then(|(a, b)| a.compare(b, |a, b| a == b)),
        "Less" => both().and_then(|(a, b)| a.compare(b, |a, b| a < b)),
        "Greater" => both().and_then(|(a, b)| a.compare(b, |a, b| a > b)),
        "LessOrEqual" => both().and_then(|(a, b)| a.compare(b, |a, b| a <= b)),
        "GreaterOrEqual" => both().and_then(|(a, b)| a.compare(b, |a, b| a >= b)),
        "And" => both().and_then(|(a, b)| a.compare(b, |a, b| a != 0.0 && b != 0.0)),
        "Or" => both().and_then(|(a, b)| a.compare(b, |a, b| a != 0.0 || b != 0.0)),
        "Not" => inputs.constant(0).and_then(|x| x.compare(x, |x, _| x == 0.0)),
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Min" | "Max" => both()
            .and_then(|(a, b)| a.combine(b, |a, b| int(operation.kind(), a, b), |a, b| float(operation.kind(), a, b))),
        "Floor" => each(inputs, f32::floor),
        "Ceil" => each(inputs, f32::ceil),
        "Round" => each(inputs, f32::round_ties_even),
        "Neg" => each(inputs, |x| -x),
        "Sin" => each(inputs, f32::sin),
        "Cos" => each(inputs, f32::cos),
        "CumSum" => both().and_then(|(x, along)| {
            let along = axis(along.scalar()? as i64, x.shape.len())?;
            let plain = operation.int("exclusive").unwrap_or(0) == 0 && operation.int("reverse").unwrap_or(0) == 0;
            if plain { running_sum(x, along) } else { Err("only the plain kind is supported".into()) }
        }),
        "ReduceProd" => inputs.constant(0).and_then(product_of_all),
        _ => return None,
    };
    match one {
        // A class token that is repeated for every picture is one layer.
        Err(problem) if problem == BATCHED => None,
        one => Some(one.map(|constant| vec![constant])),
    }
}

const BATCHED: &str = "repeated for every picture";

fn constant(file: &OnnxFile, inputs: &Inputs<'_>) -> Folded {
    let operation = &inputs.operation;
    if let Some(tensor) = operation.tensor("value") {
        return file.constant(tensor).map_err(|error| error.to_string());
    }
    if let Some(value) = operation.float("value_float") {
        return Ok(Constant::floats(&[], vec![value as f32]));
    }
    if let Some(values) = operation.floats("value_floats") {
        return Ok(Constant::floats(&[values.len()], values.to_vec()));
    }
    if let Some(value) = operation.int("value_int") {
        return Ok(Constant { shape: vec![], data: Data::Ints(vec![Int::plain(value)]) });
    }
    let values = operation.ints("value_ints").ok_or("it holds no number")?;
    Ok(Constant::ints(values.iter().map(|value| Int::plain(*value))))
}

/// Codes of the ONNX standard: 1, 10, 11 and 16 are fractions.
fn cast(x: &Constant, to: i64) -> Folded {
    let data = match (matches!(to, 1 | 10 | 11 | 16), &x.data) {
        // Some converters compute with shapes as fractions; the number of pictures is none yet.
        (true, Data::Ints(values)) if values.iter().any(|value| value.known().is_err()) => Data::Ints(values.clone()),
        (true, _) => Data::Floats(x.to_floats()?),
        (false, Data::Floats(values)) => {
            let truth = |value: f32| if to == 9 { (value != 0.0).into() } else { value as i64 };
            Data::Ints(values.iter().map(|value| Int::plain(truth(*value))).collect())
        }
        (false, Data::Ints(values)) => Data::Ints(values.clone()),
    };
    Ok(Constant { shape: x.shape.clone(), data })
}

fn shape(inputs: &Inputs<'_>) -> Folded {
    let sizes = inputs.constant(0)?.shape.iter().map(|size| Int::plain(*size as i64)).collect();
    part_of_shape(inputs, sizes)
}

/// The sizes between `start` and `end`.
pub fn part_of_shape(inputs: &Inputs<'_>, sizes: Vec<Int>) -> Folded {
    let rank = sizes.len() as i64;
    let bound = |name: &str, default: i64| {
        let value = inputs.operation.int(name).unwrap_or(default);
        (if value < 0 { value.saturating_add(rank) } else { value }).clamp(0, rank) as usize
    };
    let (start, end) = (bound("start", 0), bound("end", rank));
    Ok(Constant::ints(sizes.get(start..end).unwrap_or_default().iter().copied()))
}

fn constant_of_shape(file: &OnnxFile, inputs: &Inputs<'_>) -> Folded {
    // What is alike for all pictures is repeated for them where it is used.
    let sizes = inputs.constant(0)?.as_ints()?.iter();
    let shape: Option<Vec<usize>> = sizes.map(|size| usize::try_from(size.value).ok()).collect();
    let shape = shape.ok_or("it has a negative size")?;
    count(&shape)?;
    let value = match inputs.operation.tensor("value") {
        Some(tensor) => file.constant(tensor).map_err(|error| error.to_string())?.reshape(vec![])?,
        None => Constant::floats(&[], vec![0.0]),
    };
    value.expand(&shape)
}

fn range(inputs: &Inputs<'_>) -> Folded {
    // From 0 to n: each picture's index.
    if inputs.constant(1)?.as_ints().is_ok_and(|end| end == [Int::batched(1)]) {
        let plain = [inputs.constant(0)?.scalar()?, inputs.constant(2)?.scalar()?] == [0.0, 1.0];
        return match plain {
            true => Ok(Constant::ints([Int { per_picture: 1, ..Int::plain(0) }])),
            false => Err("it counts the pictures in another way than from 0 by 1".into()),
        };
    }
    let [start, end, step] = [0, 1, 2].map(|index| inputs.constant(index).and_then(Constant::scalar));
    let (start, end, step) = (start?, end?, step?);
    let length = ((end - start) / step).ceil().max(0.0);
    if !length.is_finite() {
        return Err(format!("a range from {start} to {end} by {step}"));
    }
    count(&[length as usize])?;
    let values = (0..length as usize).map(|index| start + index as f64 * step);
    match inputs.constant(0)?.data {
        Data::Ints(_) => Ok(Constant::ints(values.map(|value| Int::plain(value as i64)))),
        Data::Floats(_) => Ok(Constant::floats(&[length as usize], values.map(|value| value as f32).collect())),
    }
}

fn reshape(x: &Constant, shape: &[i64]) -> Folded {
    let known = |(axis, size): (usize, &i64)| match size {
        0 => x.shape.get(axis).copied().ok_or("it copies an axis that its input has not got".to_string()),
        -1 => Ok(1),
        size => usize::try_from(*size).map_err(|_| format!("a size of {size}")),
    };
    let mut sizes: Vec<usize> = shape.iter().enumerate().map(known).collect::<Outcome<_>>()?;
    if let Some(rest) = shape.iter().position(|size| *size == -1) {
        let others = sizes.iter().try_fold(1usize, |count, size| count.checked_mul(*size)).unwrap_or(0);
        sizes[rest] = x.data.len().checked_div(others).unwrap_or(0);
    }
    x.clone().reshape(sizes)
}

fn squeeze(inputs: &Inputs<'_>) -> Folded {
    let x = inputs.constant(0)?;
    let axes = match inputs.ints("axes", 1)? {
        Some(axes) => axes.iter().map(|one| axis(*one, x.shape.len())).collect::<Outcome<_>>()?,
        None => (0..x.shape.len()).filter(|axis| x.shape[*axis] == 1).collect::<Vec<_>>(),
    };
    let kept = (0..x.shape.len()).filter(|axis| !axes.contains(axis)).map(|axis| x.shape[axis]).collect();
    x.clone().reshape(kept)
}

fn unsqueeze(inputs: &Inputs<'_>) -> Folded {
    let x = inputs.constant(0)?;
    let axes = inputs.ints("axes", 1)?.ok_or("it names no axes")?;
    let rank = x.shape.len() + axes.len();
    let axes: Vec<usize> = axes.iter().map(|one| axis(*one, rank)).collect::<Outcome<_>>()?;
    let mut sizes = x.shape.iter();
    let shape = (0..rank).map(|axis| if axes.contains(&axis) { 1 } else { sizes.next().copied().unwrap_or(1) });
    x.clone().reshape(shape.collect())
}

fn transpose(inputs: &Inputs<'_>) -> Folded {
    let x = inputs.constant(0)?;
    let axes = super::arrange::order(inputs, x.shape.len())?;
    Ok(x.transpose(&axes))
}

fn concatenate(inputs: &Inputs<'_>) -> Folded {
    let parts: Vec<&Constant> = (0..inputs.values.len()).map(|index| inputs.constant(index)).collect::<Outcome<_>>()?;
    let first = parts.first().ok_or("it joins nothing")?;
    let axis = axis(inputs.operation.int("axis").unwrap_or(0), first.shape.len())?;
    Constant::concatenate(&parts, axis)
}

fn gather(inputs: &Inputs<'_>) -> Folded {
    let (x, indices) = (inputs.constant(0)?, inputs.constant(1)?);
    let axis = axis(inputs.operation.int("axis").unwrap_or(0), x.shape.len())?;
    let size = x.shape[axis];
    let places: Vec<usize> =
        indices.known_ints()?.iter().map(|index| super::axis(*index, size)).collect::<Outcome<_>>()?;
    count(&[x.data.len() / size.max(1), places.len()])?;
    let shape = [&x.shape[..axis], &indices.shape, &x.shape[axis + 1..]].concat();
    x.select(axis, &places).reshape(shape)
}

/// For every index of `indices` (all but its last axis): where in the data the slice begins, and how long it is.
fn slices_of_nd(shape: &[usize], indices: &Constant) -> Outcome<(Vec<usize>, usize)> {
    let depth = *indices.shape.last().ok_or("indices without an axis")?;
    if depth == 0 || depth > shape.len() {
        return Err(format!("indices of {depth} numbers into {} axes", shape.len()));
    }
    let length: usize = shape[depth..].iter().product();
    let start = |index: &[i64]| {
        let place = index
            .iter()
            .zip(shape)
            .try_fold(0, |place, (index, size)| Ok::<_, String>(place * size + axis(*index, *size)?));
        Ok(place? * length)
    };
    let starts: Outcome<Vec<usize>> = indices.known_ints()?.chunks(depth).map(start).collect();
    Ok((starts?, length))
}

fn gather_nd(inputs: &Inputs<'_>) -> Folded {
    let (x, indices) = (inputs.constant(0)?, inputs.constant(1)?);
    if inputs.operation.int("batch_dims").unwrap_or(0) != 0 {
        return Err("batch_dims is not supported".into());
    }
    let (starts, length) = slices_of_nd(&x.shape, indices)?;
    count(&[starts.len(), length])?;
    let depth = indices.shape[indices.shape.len() - 1];
    let shape = [&indices.shape[..indices.shape.len() - 1], &x.shape[depth..]].concat();
    Ok(x.take(shape, starts.into_iter().flat_map(|start| start..start + length)))
}

fn scatter_nd(inputs: &Inputs<'_>) -> Folded {
    let (x, indices, updates) = (inputs.constant(0)?, inputs.constant(1)?, inputs.constant(2)?);
    if inputs.operation.text("reduction").is_some_and(|reduction| reduction != "none") {
        return Err("only the plain kind without reduction is supported".into());
    }
    let (starts, length) = slices_of_nd(&x.shape, indices)?;
    if updates.data.len() != starts.len() * length {
        return Err(format!("{} values for {} places", updates.data.len(), starts.len() * length));
    }
    let mut result = x.clone();
    let places = starts.into_iter().flat_map(|start| start..start + length);
    match (&mut result.data, &updates.data) {
        (Data::Floats(all), Data::Floats(new)) => places.zip(new).for_each(|(place, value)| all[place] = *value),
        (Data::Ints(all), Data::Ints(new)) => places.zip(new).for_each(|(place, value)| all[place] = *value),
        _ => return Err("whole numbers and fractions are mixed".into()),
    }
    Ok(result)
}

fn tile(x: &Constant, axis: usize, repeats: i64) -> Folded {
    let repeats = usize::try_from(repeats).map_err(|_| format!("{repeats} repeats"))?;
    let size = *x.shape.get(axis).ok_or("more repeats than axes")?;
    count(&[x.data.len(), repeats])?;
    let indices: Vec<usize> = (0..size * repeats).map(|index| index % size).collect();
    Ok(x.select(axis, &indices))
}

fn split(inputs: &Inputs<'_>, x: &Constant) -> Outcome<Vec<Constant>> {
    let axis = axis(inputs.operation.int("axis").unwrap_or(0), x.shape.len())?;
    let mut start = 0;
    let part = |length: usize| {
        let indices: Vec<usize> = (start..start + length).collect();
        start += length;
        x.select(axis, &indices)
    };
    Ok(split_sizes(inputs, x.shape[axis])?.into_iter().map(part).collect())
}

fn running_sum(x: &Constant, along: usize) -> Folded {
    let (_, size, after) = x.around(along);
    let mut sums = x.to_floats()?;
    for row in sums.chunks_mut((size * after).max(1)) {
        (after..row.len()).for_each(|place| row[place] += row[place - after]);
    }
    let sums = Constant::floats(&x.shape, sums);
    if matches!(x.data, Data::Floats(_)) { Ok(sums) } else { cast(&sums, 7) }
}

fn each(inputs: &Inputs<'_>, function: impl Fn(f32) -> f32) -> Folded {
    let x = inputs.constant(0)?;
    let data = match &x.data {
        Data::Floats(values) => Data::Floats(values.iter().map(|value| function(*value)).collect()),
        Data::Ints(values) => Data::Ints(
            values.iter().map(|int| Ok(Int::plain(function(int.known()? as f32) as i64))).collect::<Outcome<_>>()?,
        ),
    };
    Ok(Constant { shape: x.shape.clone(), data })
}

/// All values multiplied.
pub fn product_of_all(x: &Constant) -> Folded {
    let one = Int::plain(1);
    let product = x.as_ints()?.iter().try_fold(one, |product, value| int("Mul", product, *value))?;
    Ok(Constant { shape: vec![], data: Data::Ints(vec![product]) })
}

fn int(kind: &str, a: Int, b: Int) -> Outcome<Int> {
    let beyond = || format!("{} and {} go beyond whole numbers", a.value, b.value);
    let plain = |value: Option<i64>| value.map(Int::plain).ok_or_else(beyond);
    let batched = |value: Option<i64>| value.map(Int::batched).ok_or_else(beyond);
    if a.per_picture != 0 || b.per_picture != 0 {
        let both = !a.batched && !b.batched;
        let affine = match kind {
            "Add" if both => Some((a.value.checked_add(b.value), a.per_picture.checked_add(b.per_picture))),
            "Mul" if both && b.per_picture == 0 => {
                Some((a.value.checked_mul(b.value), a.per_picture.checked_mul(b.value)))
            }
            _ => None,
        };
        let (value, per_picture) =
            affine.ok_or("it computes with a picture's index in a way that cannot be followed")?;
        return Ok(Int { per_picture: per_picture.ok_or_else(beyond)?, ..plain(value)? });
    }
    match (kind, a.batched, b.batched) {
        ("Mul", true, true) => Err("it multiplies the number of pictures by itself".into()),
        ("Mul", false, false) => plain(a.value.checked_mul(b.value)),
        ("Mul", ..) => batched(a.value.checked_mul(b.value)),
        ("Div", true, false) if b.value != 0 && a.value % b.value == 0 => batched(Some(a.value / b.value)),
        ("Div", true, true) if b.value != 0 && a.value % b.value == 0 => plain(Some(a.value / b.value)),
        ("Add" | "Sub", true, false) if b.value == 0 => Ok(a),
        ("Add", false, true) if a.value == 0 => Ok(b),
        _ => {
            let (a, b) = (a.known()?, b.known()?);
            plain(match kind {
                "Add" => a.checked_add(b),
                "Sub" => a.checked_sub(b),
                // ONNX rounds towards zero when it divides, and takes the sign of the divisor for the remainder.
                "Div" => a.checked_div(b),
                "Mod" => a.checked_rem_euclid(b).map(|rest| if b < 0 && rest != 0 { rest + b } else { rest }),
                "Min" => Some(a.min(b)),
                _ => Some(a.max(b)),
            })
        }
    }
}

fn float(kind: &str, a: f32, b: f32) -> f32 {
    match kind {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => a / b,
        "Mod" => a % b,
        "Min" => a.min(b),
        _ => a.max(b),
    }
}
