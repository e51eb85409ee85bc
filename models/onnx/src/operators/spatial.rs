//! Convolutions, pools, normalisations, and means over axes.

use burnsight_network::{
    AdaptiveAveragePool, AveragePool, BatchNorm, Convolution, Function, Layer, LayerNorm, MaxPool, Pad,
};

use super::{Importer, Inputs, Outcome, axis, product::vector};
use crate::{
    constant::{Constant, Int, count},
    graph::{pair, tensor},
    view::{Size, View},
};

/// How a kernel slides: as stored in the file.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Before and after, rows and columns.
    before: [usize; 2],
    after: [usize; 2],
    ceil_mode: bool,
}

impl Window {
    fn read(inputs: &Inputs<'_>, kernel: [usize; 2], size: [usize; 2]) -> Outcome<Self> {
        let operation = &inputs.operation;
        let two = |name: &str| operation.ints(name).map_or(Ok([1, 1]), pair);
        let (stride, dilation) = (two("strides")?, two("dilations")?);
        let sizes = [kernel, stride, dilation].concat();
        if sizes.iter().any(|size| !(1..=1 << 16).contains(size)) {
            return Err(format!("kernel {kernel:?}, stride {stride:?} and dilation {dilation:?}"));
        }
        let (before, after) = match operation.text("auto_pad").unwrap_or("NOTSET") {
            "NOTSET" => match operation.ints("pads") {
                None => ([0, 0], [0, 0]),
                Some(pads) if pads.len() == 4 => (pair(&pads[..2])?, pair(&pads[2..])?),
                Some(pads) => return Err(format!("borders {pads:?}: only two-dimensional pictures are read")),
            },
            "VALID" => ([0, 0], [0, 0]),
            mode @ ("SAME_UPPER" | "SAME_LOWER") => {
                let total = |index: usize| {
                    let reach = (kernel[index] - 1) * dilation[index] + 1;
                    ((size[index].div_ceil(stride[index]) - 1) * stride[index] + reach).saturating_sub(size[index])
                };
                let less = [total(0) / 2, total(1) / 2];
                let more = [total(0) - less[0], total(1) - less[1]];
                if mode == "SAME_UPPER" { (less, more) } else { (more, less) }
            }
            other => return Err(format!("auto_pad {other:?}")),
        };
        let ceil_mode = operation.int("ceil_mode").unwrap_or(0) != 0;
        Ok(Self { kernel, stride, dilation, before, after, ceil_mode })
    }
}

impl<'f> Importer<'f> {
    /// A view as a map with its height and width.
    fn map_and_size(&mut self, inputs: &Inputs<'f>) -> Outcome<(View, [usize; 2])> {
        let view = self.view(inputs, 0)?;
        let view = self.graph.map_view(&self.name, &view)?;
        let size = [self.graph.plain_size(&view, 2)?, self.graph.plain_size(&view, 3)?];
        Ok((view, size))
    }

    /// Adds the part of a border that is not alike on both sides, and returns what is alike.
    fn uneven_border(&mut self, view: View, window: &Window, value: f64) -> Outcome<(View, [usize; 2])> {
        if window.before == window.after {
            return Ok((view, window.before));
        }
        let mut padded = view;
        for index in 0..2 {
            let (before, after) = (window.before[index], window.after[index]);
            if before.max(after) > 0 {
                let pad = Layer::Pad(Pad { axis: index + 2, before, after, value });
                padded = self.graph.map(&format!("{}.pad", self.name), pad, &padded)?;
            }
        }
        Ok((padded, [0, 0]))
    }

    pub(super) fn convolution(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let (view, size) = self.map_and_size(inputs)?;
        let weight = inputs.constant(1)?;
        let [_, _, height, width] = <[usize; 4]>::try_from(weight.shape.as_slice())
            .map_err(|_| format!("weights of shape {:?}: only two-dimensional pictures are read", weight.shape))?;
        let window = Window::read(inputs, [height, width], size)?;
        let weight = tensor::<4>(weight.clone(), &self.graph.device)?;
        let bias = match inputs.get(2) {
            Some(_) => Some(self.graph.raw_vector(vector(inputs.constant(2)?)?)),
            None => None,
        };
        let (view, padding) = self.uneven_border(view, &window, 0.0)?;
        let groups =
            usize::try_from(inputs.operation.int("group").unwrap_or(1)).map_err(|_| "a negative number of groups")?;
        let (stride, dilation) = (window.stride, window.dilation);
        let layer = Convolution { weight, bias, stride, padding, dilation, groups };
        self.graph.map(&self.name, Layer::Convolution(layer), &view)
    }

    fn pool_window(&mut self, inputs: &Inputs<'f>) -> Outcome<(View, Window)> {
        let (view, size) = self.map_and_size(inputs)?;
        let kernel = pair(inputs.operation.ints("kernel_shape").ok_or("it has no kernel")?)?;
        Ok((view, Window::read(inputs, kernel, size)?))
    }

    pub(super) fn max_pool(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        if inputs.operation.node.output.len() > 1 {
            return Err("the places of its maxima are read, which is not supported".into());
        }
        let (view, window) = self.pool_window(inputs)?;
        let (view, padding) = self.uneven_border(view, &window, f32::MIN.into())?;
        let Window { kernel, stride, dilation, ceil_mode, .. } = window;
        let layer = MaxPool { kernel, stride, padding, dilation, ceil_mode };
        self.graph.map(&self.name, Layer::MaxPool(layer), &view)
    }

    pub(super) fn average_pool(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let (view, window) = self.pool_window(inputs)?;
        let count_include_pad = inputs.operation.int("count_include_pad").unwrap_or(0) != 0;
        let Window { kernel, stride, dilation, ceil_mode, .. } = window;
        if dilation != [1, 1] {
            return Err(format!("a dilation of {dilation:?} is not supported"));
        }
        let size = [self.graph.plain_size(&view, 2)?, self.graph.plain_size(&view, 3)?];
        let even = window.before == window.after;
        let (view, padding) = self.uneven_border(view, &window, 0.0)?;
        let layer = AveragePool { kernel, stride, padding, count_include_pad: count_include_pad || !even, ceil_mode };
        let pooled = self.graph.map(&self.name, Layer::AveragePool(layer), &view)?;
        if even || count_include_pad {
            return Ok(pooled);
        }
        // The uneven border counted: windows over it are corrected by the share of the picture in them.
        let outputs = [self.graph.plain_size(&pooled, 2)?, self.graph.plain_size(&pooled, 3)?];
        let share = |index: usize, place: usize| {
            let (start, first) = (place * stride[index], window.before[index]);
            let end = (start + kernel[index]).min(first + size[index]);
            kernel[index] as f32 / end.saturating_sub(start.max(first)).max(1) as f32
        };
        let factors = (0..outputs[0]).flat_map(|row| (0..outputs[1]).map(move |column| (row, column)));
        let factors = factors.map(|(row, column)| share(0, row) * share(1, column)).collect();
        let factors = self.graph.raw_constant(&self.name, factors, &[1, outputs[0], outputs[1]])?;
        let layer = self.graph.add(&self.name, Layer::Product, &[pooled.layer, factors])?;
        Ok(View { layer, groups: pooled.groups })
    }

    pub(super) fn global_average_pool(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let (view, _) = self.map_and_size(inputs)?;
        self.graph.map(&self.name, Layer::AdaptiveAveragePool(AdaptiveAveragePool::new([1, 1])), &view)
    }

    pub(super) fn global_max_pool(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let (view, kernel) = self.map_and_size(inputs)?;
        let layer = MaxPool { kernel, stride: kernel, ..MaxPool::new(1) };
        self.graph.map(&self.name, Layer::MaxPool(layer), &view)
    }

    pub(super) fn batch_norm(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let part = |index: usize| vector(inputs.constant(index)?);
        let [weight, bias, mean, variance] = [part(1)?, part(2)?, part(3)?, part(4)?];
        let epsilon = inputs.operation.float("epsilon").unwrap_or(1e-5);
        let rank = view.groups.len();
        let in_place = view.groups.iter().enumerate().all(|(axis, group)| *group == [axis]);
        if in_place && self.graph.rank(&view) == rank && matches!(rank, 2 | 4) {
            let [weight, bias, mean, variance] =
                [weight, bias, mean, variance].map(|values| self.graph.raw_vector(values));
            let layer = BatchNorm { weight, bias, mean, variance, epsilon };
            return self.graph.map(&self.name, Layer::BatchNorm(layer), &view);
        }
        // Channels on another axis (tokens, channels last): a factor and a summand per channel.
        let count = weight.len();
        if [bias.len(), mean.len(), variance.len()] != [count; 3] || rank < 2 {
            return Err("its statistics differ in number".into());
        }
        let scale = |channel: usize| f64::from(weight[channel]) / (f64::from(variance[channel]) + epsilon).sqrt();
        let shift = |channel: usize| f64::from(bias[channel]) - f64::from(mean[channel]) * scale(channel);
        let per_channel = |value: &dyn Fn(usize) -> f64| {
            let shape = [&[count][..], &vec![1; rank - 2]].concat();
            Constant::floats(&shape, (0..count).map(|channel| value(channel) as f32).collect())
        };
        let alone = self.is_alone(inputs);
        let scaled = self.with_constant("Mul", view, &per_channel(&scale), alone)?;
        self.with_constant("Add", scaled, &per_channel(&shift), alone)
    }

    pub(super) fn layer_norm(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let last = view.groups.len().checked_sub(1).ok_or("it needs an axis, a single number came")?;
        if axis(inputs.operation.int("axis").unwrap_or(-1), last + 1)? != last {
            return Err("a layer norm over several axes is not supported".into());
        }
        let weight = vector(inputs.constant(1)?)?;
        let bias = match inputs.get(2) {
            Some(_) => vector(inputs.constant(2)?)?,
            None => vec![0.0; weight.len()],
        };
        let epsilon = inputs.operation.float("epsilon").unwrap_or(1e-5);
        self.normalised(&view, last, weight, bias, epsilon)
    }

    fn normalised(
        &mut self,
        view: &View,
        along: usize,
        weight: Vec<f32>,
        bias: Vec<f32>,
        epsilon: f64,
    ) -> Outcome<View> {
        let view = self.graph.last_axis(&self.name, view, along)?;
        let (weight, bias) = (self.graph.raw_vector(weight), self.graph.raw_vector(bias));
        self.graph.map(&self.name, Layer::LayerNorm(LayerNorm { weight, bias, epsilon }), &view)
    }

    /// Each group of channels (each channel, unless a number of groups is given) is normalised over its places.
    pub(super) fn group_norm(&mut self, inputs: &Inputs<'f>, groups: Option<i64>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let view = self.graph.canonical(&self.name, &view)?;
        let dims = self.graph.dims(&view);
        if dims.len() < 3 || view.groups[0] != [0] {
            return Err(format!("it needs [n, channels, places], its input is {}", self.graph.describe(&view)));
        }
        let channels = self.graph.plain_size(&view, 1)?;
        let groups = groups.map_or(Some(channels), |groups| usize::try_from(groups).ok());
        let groups = groups.filter(|groups| *groups > 0 && channels % groups == 0);
        let groups = groups.ok_or_else(|| format!("{channels} channels cannot be split so"))?;
        let values = dims[1..].iter().map(|size| size.value as usize).product::<usize>() / groups;
        let split = [dims[0], Int::plain(groups as i64), Int::plain(values as i64)].map(Size::Given);
        let rows = self.graph.reshape(&self.name, &view, &split)?;
        let epsilon = inputs.operation.float("epsilon").unwrap_or(1e-5);
        let rows = self.normalised(&rows, 2, vec![1.0; values], vec![0.0; values], epsilon)?;
        let sizes: Vec<Size> = dims.iter().copied().map(Size::Given).collect();
        let map = self.graph.reshape(&self.name, &rows, &sizes)?;
        let per_channel = |constant: &Constant| {
            let values = vector(constant)?;
            let repeats = channels / values.len().max(1);
            let values: Vec<f32> = values.into_iter().flat_map(|value| std::iter::repeat_n(value, repeats)).collect();
            let shape = [&[channels][..], &vec![1; dims.len() - 2]].concat();
            Constant::floats(&[values.len()], values).reshape(shape)
        };
        let scaled = self.with_constant("Mul", map, &per_channel(inputs.constant(1)?)?, false)?;
        self.with_constant("Add", scaled, &per_channel(inputs.constant(2)?)?, false)
    }

    fn beside(&mut self, join: Layer, view: View, constant: &Constant) -> Outcome<View> {
        let beside = self.constant_beside(&view, constant)?.ok_or("a constant that does not fit")?;
        let layer = self.graph.add(&self.name, join, &[view.layer, beside])?;
        Ok(View { layer, groups: view.groups })
    }

    /// x / (k + α / size · Σ x²)^β, the sum over neighbouring channels: a 1 × 1 convolution of the squares.
    pub(super) fn local_response_norm(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let operation = &inputs.operation;
        let (view, _) = self.map_and_size(inputs)?;
        let channels = self.graph.plain_size(&view, 1)?;
        let size = usize::try_from(operation.int("size").unwrap_or(0)).ok().filter(|size| *size > 0);
        let size = size.ok_or("it has no size")?;
        count(&[channels, channels])?;
        let float = |name: &str, default: f64| operation.float(name).unwrap_or(default);
        let share = (float("alpha", 1e-4) / size as f64) as f32;
        let (before, after) = ((size - 1) / 2, size / 2);
        let near = |out: usize, channel: usize| channel + before >= out && channel <= out.saturating_add(after);
        let weight = (0..channels)
            .flat_map(|out| (0..channels).map(move |channel| if near(out, channel) { share } else { 0.0 }));
        let weight = Constant::floats(&[channels, channels, 1, 1], weight.collect());
        let bias = self.graph.raw_vector(vec![float("bias", 1.0) as f32; channels]);
        let sums = Convolution::new(tensor(weight, &self.graph.device)?, Some(bias));
        let squares = self.joined(Layer::Product, vec![view.clone(), view.clone()])?;
        let sums = self.graph.map(&self.name, Layer::Convolution(sums), &squares)?;
        let scale = self.apply(Function::Power(-float("beta", 0.75)), &sums)?;
        self.joined(Layer::Product, vec![view, scale])
    }

    /// Mean, sum or root of the sum of squares over some axes.
    pub(super) fn reduce(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let operation = inputs.operation;
        let mut view = self.view(inputs, 0)?;
        let rank = view.groups.len();
        let axes = match inputs.ints("axes", 1)? {
            Some(axes) => axes.iter().map(|one| axis(*one, rank)).collect::<Outcome<Vec<usize>>>()?,
            None => return Err("it reduces over everything, the pictures too".into()),
        };
        if operation.kind() == "ReduceL2" {
            view = self.joined(Layer::Product, vec![view.clone(), view])?;
        }
        let dims = self.graph.dims(&view);
        let count: i64 = axes.iter().map(|axis| dims[*axis].value).product();
        for along in &axes {
            // Rearranging for one axis may move those found before.
            view = self.graph.axis(&self.name, &view, *along)?.0;
        }
        let singles = axes.iter().map(|along| self.graph.axis(&self.name, &view, *along).map(|(_, single)| single));
        let mut singles: Vec<usize> = singles.collect::<Outcome<_>>()?;
        singles.sort_unstable();
        let is_map = matches!(self.graph.rank(&view), 4) && singles == [2, 3];
        let layer = match is_map {
            true => Layer::AdaptiveAveragePool(AdaptiveAveragePool::new([1, 1])),
            false => Layer::Mean { axes: singles },
        };
        let mut reduced = self.graph.map(&self.name, layer, &view)?;
        if operation.kind() != "ReduceMean" && count != 1 {
            reduced = self.beside(Layer::Product, reduced, &Constant::floats(&[], vec![count as f32]))?;
        }
        if operation.kind() == "ReduceL2" {
            reduced = self.apply(Function::Sqrt, &reduced)?;
        }
        if operation.int("keepdims").unwrap_or(1) == 0 {
            let kept = reduced.groups.into_iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
            reduced.groups = kept.map(|(_, group)| group).collect();
        }
        Ok(reduced)
    }
}
