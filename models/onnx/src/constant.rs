//! Values that do not depend on the picture: weights, and the arithmetic on shapes that exporters leave in a graph.

use std::ops::Range;

/// A whole number. Exporters compute with the number of pictures, n, and with each picture's index, neither of which is
/// known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Int {
    pub value: i64,
    /// Whether the number is `value` · n.
    pub batched: bool,
    /// What is added for every picture before: the number is `value + per_picture · i` for picture i.
    pub per_picture: i64,
}

impl Int {
    pub fn plain(value: i64) -> Self {
        Self { value, batched: false, per_picture: 0 }
    }

    /// `value` · n
    pub fn batched(value: i64) -> Self {
        Self { batched: true, ..Self::plain(value) }
    }

    /// The number, if it does not depend on the batch.
    pub fn known(self) -> Result<i64, String> {
        match self {
            Self { batched: false, per_picture: 0, value } => Ok(value),
            _ => Err("it computes with the number of pictures in a way that cannot be followed".into()),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    Floats(Vec<f32>),
    /// Truth values too, as 0 and 1.
    Ints(Vec<Int>),
}

impl Data {
    /// The memory it takes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Floats(values) => size_of_val(values.as_slice()),
            Self::Ints(values) => size_of_val(values.as_slice()),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Ints(values) => values.len(),
        }
    }
}

/// A tensor in the host's memory, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    pub shape: Vec<usize>,
    pub data: Data,
}

/// Constants are computed up to this size; graphs that would build larger ones are no classifiers.
const MOST_VALUES: usize = 1 << 24;

pub type Folded = Result<Constant, String>;

/// The number of values of a shape, if it can be held.
pub fn count(shape: &[usize]) -> Result<usize, String> {
    let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
    count.filter(|count| *count <= MOST_VALUES).ok_or_else(|| format!("a constant of shape {shape:?} is too large"))
}

impl Constant {
    pub fn ints(values: impl IntoIterator<Item = Int>) -> Self {
        let values: Vec<Int> = values.into_iter().collect();
        Self { shape: vec![values.len()], data: Data::Ints(values) }
    }

    pub fn floats(shape: &[usize], values: Vec<f32>) -> Self {
        Self { shape: shape.to_vec(), data: Data::Floats(values) }
    }

    /// The whole numbers it holds.
    pub fn as_ints(&self) -> Result<&[Int], String> {
        match &self.data {
            Data::Ints(values) => Ok(values),
            Data::Floats(_) => Err("whole numbers are needed, fractions came".into()),
        }
    }

    /// The whole numbers it holds, none of which may depend on the batch.
    pub fn known_ints(&self) -> Result<Vec<i64>, String> {
        self.as_ints()?.iter().map(|value| value.known()).collect()
    }

    /// Its values as fractions.
    pub fn to_floats(&self) -> Result<Vec<f32>, String> {
        match &self.data {
            Data::Floats(values) => Ok(values.clone()),
            Data::Ints(values) => values.iter().map(|value| Ok(value.known()? as f32)).collect(),
        }
    }

    /// The only value.
    pub fn scalar(&self) -> Result<f64, String> {
        match (&self.data, self.data.len()) {
            (Data::Floats(values), 1) => Ok(values[0].into()),
            (Data::Ints(values), 1) => Ok(values[0].known()? as f64),
            (_, count) => Err(format!("one value is needed, {count} came")),
        }
    }

    /// The values at `places`, counted row by row, in a new shape.
    pub fn take(&self, shape: Vec<usize>, places: impl Iterator<Item = usize>) -> Self {
        let data = match &self.data {
            Data::Floats(values) => Data::Floats(places.map(|place| values[place]).collect()),
            Data::Ints(values) => Data::Ints(places.map(|place| values[place]).collect()),
        };
        Self { shape, data }
    }

    pub fn reshape(mut self, shape: Vec<usize>) -> Folded {
        if shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size)) != Some(self.data.len()) {
            return Err(format!("{:?} values cannot take the shape {shape:?}", self.shape));
        }
        self.shape = shape;
        Ok(self)
    }

    /// Axis i of the result is axis `axes[i]`.
    pub fn transpose(&self, axes: &[usize]) -> Self {
        let steps = steps(&self.shape);
        let shape: Vec<usize> = axes.iter().map(|axis| self.shape[*axis]).collect();
        let steps: Vec<usize> = axes.iter().map(|axis| steps[*axis]).collect();
        let places = Places::new(&shape, steps);
        self.take(shape, places)
    }

    /// Axes of size 1, and axes in front, repeated to `shape`.
    pub fn expand(&self, shape: &[usize]) -> Folded {
        count(shape)?;
        let steps = self.repeated_steps(shape)?;
        Ok(self.take(shape.to_vec(), Places::new(shape, steps)))
    }

    /// How far apart neighbours along each axis of `shape` lie, 0 where they are repeats.
    fn repeated_steps(&self, shape: &[usize]) -> Result<Vec<usize>, String> {
        let misfit = || format!("shape {:?} cannot be repeated to {shape:?}", self.shape);
        let lead = shape.len().checked_sub(self.shape.len()).ok_or_else(misfit)?;
        let own = steps(&self.shape);
        let step = |axis: usize| match axis.checked_sub(lead) {
            None => Ok(0),
            Some(axis) if self.shape[axis] == 1 => Ok(0),
            Some(axis) if self.shape[axis] == shape[axis + lead] => Ok(own[axis]),
            Some(_) => Err(misfit()),
        };
        (0..shape.len()).map(step).collect()
    }

    /// Places along one axis: `indices` may be in any order and repeat.
    pub fn select(&self, axis: usize, indices: &[usize]) -> Self {
        let (before, size, after) = self.around(axis);
        let mut shape = self.shape.clone();
        shape[axis] = indices.len();
        let places = (0..before).flat_map(|outer| {
            indices.iter().flat_map(move |index| (0..after).map(move |inner| (outer * size + index) * after + inner))
        });
        self.take(shape, places)
    }

    /// The number of values before, along and behind an axis.
    pub fn around(&self, axis: usize) -> (usize, usize, usize) {
        let product = |range: Range<usize>| self.shape[range].iter().product();
        (product(0..axis), self.shape[axis], product(axis + 1..self.shape.len()))
    }

    pub fn concatenate(parts: &[&Self], axis: usize) -> Folded {
        let first = parts[0];
        let fits = |part: &&Self| {
            part.shape.len() == first.shape.len()
                && (0..first.shape.len()).all(|other| other == axis || part.shape[other] == first.shape[other])
                && matches!(part.data, Data::Floats(_)) == matches!(first.data, Data::Floats(_))
        };
        if axis >= first.shape.len() || !parts.iter().all(fits) {
            return Err("constants that do not fit are joined".into());
        }
        let mut shape = first.shape.clone();
        shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
        count(&shape)?;
        let (before, ..) = first.around(axis);
        let chunk = |part: &Self, outer: usize| {
            let length = part.data.len() / before.max(1);
            outer * length..(outer + 1) * length
        };
        let chunks = (0..before).flat_map(|outer| parts.iter().map(move |part| (*part, chunk(part, outer))));
        let mut data = match first.data {
            Data::Floats(_) => Data::Floats(Vec::new()),
            Data::Ints(_) => Data::Ints(Vec::new()),
        };
        for (part, range) in chunks {
            match (&mut data, &part.data) {
                (Data::Floats(all), Data::Floats(values)) => all.extend_from_slice(&values[range]),
                (Data::Ints(all), Data::Ints(values)) => all.extend_from_slice(&values[range]),
                _ => return Err("whole numbers and fractions are joined".into()),
            }
        }
        Ok(Self { shape, data })
    }

    /// Value by value, smaller shapes repeated.
    pub fn combine(
        &self,
        other: &Self,
        ints: impl Fn(Int, Int) -> Result<Int, String>,
        floats: impl Fn(f32, f32) -> f32,
    ) -> Folded {
        let shape = common_shape(&self.shape, &other.shape)?;
        let places = Places::new(&shape, self.repeated_steps(&shape)?);
        let pairs = places.zip(Places::new(&shape, other.repeated_steps(&shape)?));
        let data = match (&self.data, &other.data) {
            (Data::Ints(a), Data::Ints(b)) => {
                Data::Ints(pairs.map(|(i, j)| ints(a[i], b[j])).collect::<Result<_, _>>()?)
            }
            (Data::Floats(a), Data::Floats(b)) => Data::Floats(pairs.map(|(i, j)| floats(a[i], b[j])).collect()),
            _ => return Err("whole numbers and fractions are mixed".into()),
        };
        Ok(Self { shape, data })
    }

    /// Truth values of a comparison, smaller shapes repeated.
    pub fn compare(&self, other: &Self, holds: impl Fn(f64, f64) -> bool) -> Folded {
        let shape = common_shape(&self.shape, &other.shape)?;
        let places = Places::new(&shape, self.repeated_steps(&shape)?);
        let pairs = places.zip(Places::new(&shape, other.repeated_steps(&shape)?));
        // Numbers of pictures are above all others that are compared with them, such as −1.
        let number = |data: &Data, place: usize| match data {
            Data::Floats(values) => f64::from(values[place]),
            Data::Ints(values) if values[place].batched => values[place].value as f64 * 1e12,
            Data::Ints(values) => values[place].value as f64,
        };
        let values = pairs.map(|(i, j)| Int::plain(holds(number(&self.data, i), number(&other.data, j)).into()));
        let data = Data::Ints(values.collect());
        Ok(Self { shape, data })
    }

    /// `yes` where this holds a value other than 0, else `no`.
    pub fn choose(&self, yes: &Self, no: &Self) -> Folded {
        let shape = common_shape(&common_shape(&self.shape, &yes.shape)?, &no.shape)?;
        let (truth, yes, no) = (self.expand(&shape)?, yes.expand(&shape)?, no.expand(&shape)?);
        let truth = truth.as_ints()?.iter().map(|value| value.value != 0);
        let data = match (yes.data, no.data) {
            (Data::Ints(yes), Data::Ints(no)) => Data::Ints(
                truth.zip(yes.into_iter().zip(no)).map(|(truth, (yes, no))| if truth { yes } else { no }).collect(),
            ),
            (Data::Floats(yes), Data::Floats(no)) => Data::Floats(
                truth.zip(yes.into_iter().zip(no)).map(|(truth, (yes, no))| if truth { yes } else { no }).collect(),
            ),
            _ => return Err("whole numbers and fractions are mixed".into()),
        };
        Ok(Self { shape, data })
    }
}

/// The shape of two that are repeated to fit each other.
pub fn common_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let common = |axis: usize| match (size(a, axis), size(b, axis)) {
        (x, y) if x == y || y == 1 => Ok(x),
        (1, y) => Ok(y),
        _ => Err(format!("shapes {a:?} and {b:?} do not fit each other")),
    };
    let shape: Vec<usize> = (0..rank).map(common).collect::<Result<_, _>>()?;
    count(&shape)?;
    Ok(shape)
}

/// How far apart neighbours along each axis lie.
fn steps(shape: &[usize]) -> Vec<usize> {
    let mut steps = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis] * shape[axis];
    }
    steps
}

/// The places that a walk over a shape visits when axis i moves by `steps[i]`.
struct Places {
    shape: Vec<usize>,
    steps: Vec<usize>,
    index: Vec<usize>,
    place: usize,
    left: usize,
}

impl Places {
    fn new(shape: &[usize], steps: Vec<usize>) -> Self {
        Self { shape: shape.to_vec(), steps, index: vec![0; shape.len()], place: 0, left: shape.iter().product() }
    }
}

impl Iterator for Places {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let place = self.place;
        for axis in (0..self.shape.len()).rev() {
            self.index[axis] += 1;
            self.place += self.steps[axis];
            if self.index[axis] < self.shape[axis] {
                break;
            }
            self.place -= self.steps[axis] * self.shape[axis];
            self.index[axis] = 0;
        }
        Some(place)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
