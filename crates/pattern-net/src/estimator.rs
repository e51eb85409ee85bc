//! Patterns from data.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData, module::conv2d_weight_backward, ops::ConvOptions};
use burnsight_core::{Error, Result};
use burnsight_network::{Activation, Affine, Layer, Network, NodeId, Trace};

use crate::{
    Origin, PatternNet, Patterns,
    patterns::{read, require_rules},
};

/// What is left of a sum when its terms cancel may be rounding: batches are summed in single precision.
const ROUNDING: f64 = 1e-6;

/// What is written of the estimators into files.
const ESTIMATOR: &str = "two-component where a ReLU alone reads the layer, linear elsewhere";

/// Fits patterns to any number of pictures, batch after batch, in memory that does not depend on how many: two numbers in
/// double precision for every weight, on the host.
#[derive(Debug, Clone)]
pub struct PatternEstimator {
    /// With batch norms folded.
    network: Network,
    layers: Vec<NodeId>,
    /// As many as layers, once there was a picture.
    sums: Vec<Sums>,
    pictures: usize,
}

/// Sums over all places of all pictures of one layer: x is what an output sees of the input at its place, y the output
/// before any ReLU, and g is 1 where the output counts, else 0.
#[derive(Debug, Clone)]
struct Sums {
    /// Σ g x y, `[out, weights of one output]`
    gxy: Vec<f64>,
    /// Σ g x, `[out, weights of one output]`
    gx: Vec<f64>,
    /// Σ g y, `[out]`
    gy: Vec<f64>,
    /// Σ g, `[out]`
    g: Vec<f64>,
    /// Σ y, `[out]`
    y: Vec<f64>,
    /// Σ 1
    places: f64,
}

impl PatternEstimator {
    /// For a network whose batch norms, if they can be, are folded first.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a network that [`PatternNet`] does not explain.
    pub fn new(network: &Network) -> Result<Self> {
        let network = network.fold_batch_norms();
        require_rules(PatternNet::NAME, &network)?;
        let layers = network.nodes().filter(|(_, node)| Affine::of(node.layer()).is_some()).map(|(id, _)| id).collect();
        Ok(Self { network, layers, sums: Vec::new(), pictures: 0 })
    }

    /// Number of pictures so far.
    pub fn pictures(&self) -> usize {
        self.pictures
    }

    /// Takes a batch of pictures into account.
    ///
    /// # Shapes
    /// - images: `[n, c, h, w]`; the size may differ from batch to batch
    ///
    /// # Errors
    /// [`Error::Image`] when the pictures do not fit the network or their sums are not finite. The batch is left out then.
    pub fn add(&mut self, images: Tensor<4>) -> Result<()> {
        let [count, ..] = images.dims();
        let trace = self.network.record(images)?;
        let batch: Vec<Sums> = self.layers.iter().map(|layer| Sums::of(&trace, *layer)).collect::<Result<_>>()?;
        if let Some(broken) = batch.iter().position(|sums| !sums.is_finite()) {
            let layer = self.network.node(self.layers[broken]).name();
            let problem = format!("what layer {layer} makes of them is not finite: look for NaN in the pictures");
            return Err(Error::image(format!("batch of {count}"), problem));
        }
        match self.sums.is_empty() {
            true => self.sums = batch,
            false => self.sums.iter_mut().zip(batch).for_each(|(sums, batch)| sums.add(batch)),
        }
        self.pictures += count;
        Ok(())
    }

    /// The patterns of the pictures so far.
    ///
    /// # Errors
    /// [`Error::Parameter`] for fewer than two pictures.
    pub fn patterns(&self) -> Result<Patterns> {
        if self.pictures < 2 {
            return Err(Error::parameter("pictures", self.pictures, "patterns are covariances: at least 2 are needed"));
        }
        let mut layers = BTreeMap::new();
        for (id, sums) in self.layers.iter().zip(&self.sums) {
            let node = self.network.node(*id);
            let layer = Affine::of(node.layer()).expect("only such layers were listed");
            let (weight, bias) = (layer.weight(), layer.bias());
            let place = (&weight.device(), weight.dtype());
            let dims = weight.dims();
            let bias = bias.map_or_else(|| Ok(vec![0.0; dims[0]]), read)?;
            let pattern = sums.pattern(&read(weight)?, &bias);
            layers.insert(node.name().to_string(), Tensor::from_data(TensorData::new(pattern, dims), place));
        }
        let origin = Origin { pictures: self.pictures, estimator: ESTIMATOR.into(), ..Origin::default() };
        Ok(Patterns { layers, origin })
    }
}

impl Sums {
    fn of(trace: &Trace<'_>, id: NodeId) -> Result<Self> {
        let network = trace.network();
        let node = network.node(id);
        let layer = Affine::of(node.layer()).expect("only such layers were listed");
        let x = as_map(&layer, trace.activation(node.inputs()[0]));
        let y = as_map(&layer, trace.activation(id));
        let g = match is_read_by_relu_alone(network, id) {
            true => y.zeros_like().mask_fill(y.clone().greater_elem(0.0), 1.0),
            false => y.ones_like(),
        };
        let gy = g.clone() * y.clone();
        let [count, _, height, width] = y.dims();
        let total = |of: Tensor<4>| read(of.sum_dim(3).sum_dim(2).sum_dim(0));
        Ok(Self {
            gxy: read(with_inputs(&layer, x.clone(), gy.clone()))?,
            gx: read(with_inputs(&layer, x, g.clone()))?,
            gy: total(gy)?,
            g: total(g)?,
            y: total(y)?,
            places: (count * height * width) as f64,
        })
    }

    fn is_finite(&self) -> bool {
        [&self.gxy, &self.gx, &self.gy, &self.g, &self.y].into_iter().flatten().all(|sum| sum.is_finite())
    }

    fn add(&mut self, batch: Self) {
        let own = [&mut self.gxy, &mut self.gx, &mut self.gy, &mut self.g, &mut self.y];
        let more = [batch.gxy, batch.gx, batch.gy, batch.g, batch.y];
        for (own, more) in own.into_iter().zip(more) {
            own.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        self.places += batch.places;
    }

    /// a = (Σ g x y − ȳ Σ g x) / (Σ g y² − ȳ Σ g y) for every output, or 0 where that is 0 / 0.
    ///
    /// The denominator is wᵀ times the numerator. Its bias is the weight of one more input, which is always 1.
    fn pattern(&self, weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let inputs = weight.len() / bias.len();
        let rows = weight.chunks(inputs).zip(self.gxy.chunks(inputs)).zip(self.gx.chunks(inputs));
        let pattern = rows.enumerate().flat_map(|(output, ((w, gxy), gx))| {
            let mean = self.y[output] / self.places;
            let b = bias[output];
            let mut denominator = b * (self.gy[output] - mean * self.g[output]);
            let mut size = b.abs() * (self.gy[output].abs() + (mean * self.g[output]).abs());
            for ((w, xy), x) in w.iter().zip(gxy).zip(gx) {
                denominator += w * (xy - mean * x);
                size += w.abs() * (xy.abs() + (mean * x).abs());
            }
            let scale = if denominator > ROUNDING * size { 1.0 / denominator } else { 0.0 };
            gxy.iter().zip(gx).map(move |(xy, x)| scale * (xy - mean * x))
        });
        pattern.collect()
    }
}

/// Whether only what is above 0 gets any further.
fn is_read_by_relu_alone(network: &Network, id: NodeId) -> bool {
    let mut readers = network.readers(id);
    let first = readers.next();
    let is_relu = |reader: NodeId| matches!(network.node(reader).layer(), Layer::Relu);
    id != network.output() && first.is_some_and(is_relu) && readers.next().is_none()
}

/// What a layer reads or computes, features on axis 1; for a linear layer every row is a picture of one place.
fn as_map(layer: &Affine, activation: &Activation) -> Tensor<4> {
    let map = match layer {
        Affine::Convolution(_) => activation.clone(),
        Affine::Linear(_) => {
            let dims = activation.dims();
            let (features, rows) = (dims[dims.len() - 1], dims[..dims.len() - 1].iter().product());
            activation.clone().reshape(&[rows, features, 1, 1])
        }
    };
    map.as_map().expect("four axes")
}

/// Σ over places of g times what the layer sees of x there. For a convolution this is the gradient of its weights.
///
/// # Shapes
/// - x: `[n, in, h, w]`, g: `[n, out, h', w']`
/// - returns: `[out, weights of one output]`
fn with_inputs(layer: &Affine, x: Tensor<4>, g: Tensor<4>) -> Tensor<2> {
    match layer {
        Affine::Convolution(layer) => {
            let options = ConvOptions::new(layer.stride, layer.padding, layer.dilation, layer.groups);
            conv2d_weight_backward(x, layer.weight.clone(), g, options).flatten(1, 3)
        }
        Affine::Linear(_) => {
            let rows = |map: Tensor<4>| map.flatten::<2>(1, 3);
            rows(g).transpose().matmul(rows(x))
        }
    }
}
