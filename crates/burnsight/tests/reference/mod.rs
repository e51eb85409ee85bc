//! What other libraries say, and the networks they say it about. `nets.py` is the same in torch.

use std::{fs, path::PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use burnsight::{
    Attribution, Target,
    network::{
        AdaptiveAveragePool, AveragePool, Convolution, Layer, Linear, MaxPool, Network, NetworkBuilder, NodeId,
        ParameterSource, WeightFile,
    },
    vgg::{Depth, VggConfig},
};
use burnsight_testkit::{nets::chain, relative_l2, values};
use safetensors::{Dtype, SafeTensors};

/// A number format, and the largest relative L2 distance of a picture's map in it.
#[derive(Debug, Clone, Copy)]
pub struct Precision {
    pub dtype: DType,
    pub tolerance: f64,
}

/// What is usual. A ReLU, a max pool or a small denominator that rounding tips over moves whole patches.
pub const SINGLE: Precision = Precision { dtype: DType::F32, tolerance: 1e-3 };

/// What tells a definition from its neighbours. The fixtures are rounded to f32.
pub const DOUBLE: Precision = Precision { dtype: DType::F64, tolerance: 1e-5 };

/// A file in the folder of the tests.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(name).with_extension("safetensors")
}

/// Pictures and what another library says about them.
pub struct Fixture {
    name: String,
    bytes: Vec<u8>,
}

impl Fixture {
    pub fn read(name: &str) -> Self {
        Self { name: name.into(), bytes: fs::read(path(name)).unwrap() }
    }

    pub fn data(&self, name: &str) -> TensorData {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap();
        let dtype = match view.dtype() {
            Dtype::I64 => DType::I64,
            Dtype::F64 => DType::F64,
            _ => DType::F32,
        };
        TensorData::from_bytes_vec(view.data().to_vec(), view.shape(), dtype)
    }

    pub fn pictures(&self, name: &str, dtype: DType) -> Tensor<4> {
        Tensor::<4>::from_data(self.data(name), &Device::default()).cast(dtype)
    }

    pub fn images(&self, dtype: DType) -> Tensor<4> {
        self.pictures("images", dtype)
    }

    fn classes(&self) -> Vec<usize> {
        self.data("target").iter::<i64>().map(|class| class as usize).collect()
    }

    pub fn target(&self) -> Target {
        Target::Classes(self.classes())
    }

    /// The logit of each picture's class.
    pub fn scores(&self) -> Vec<f64> {
        let logits: Vec<f64> = self.data("logits").iter().collect();
        let classes = self.classes();
        logits.chunks(logits.len() / classes.len()).zip(classes).map(|(row, class)| row[class]).collect()
    }

    /// Compares picture by picture, so that no picture hides behind a larger one.
    pub fn check<const D: usize>(&self, what: &str, ours: Tensor<D>, precision: Precision) {
        let theirs = self.data(what);
        assert_eq!(ours.dims().as_slice(), &theirs.shape()[..], "{}: shape of {what}", self.name);
        let length = theirs.num_elements() / theirs.shape()[0];
        let theirs: Vec<f64> = theirs.iter().collect();
        let dtype = ours.dtype();
        for (picture, (ours, theirs)) in values(ours).chunks(length).zip(theirs.chunks(length)).enumerate() {
            let distance = relative_l2(ours, theirs);
            eprintln!("{:24} {what:38} picture {picture} in {dtype:?}: {distance:.1e}", self.name);
            assert!(
                distance <= precision.tolerance,
                "{}: {what} of picture {picture} is {distance:.1e} off in {dtype:?}",
                self.name
            );
        }
    }

    pub fn check_map(&self, what: &str, ours: Attribution, precision: Precision) {
        let scores = self.scores();
        assert_eq!(ours.scores.len(), scores.len(), "{}: scores of {what}", self.name);
        for (ours, theirs) in ours.scores.iter().zip(scores) {
            assert!((f64::from(*ours) - theirs).abs() < 1e-4, "{}: score of {what}", self.name);
        }
        self.check(what, ours.map, precision);
    }
}

/// The built-in model.
pub fn builtin() -> Network {
    let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/zoo/weights/vgg11-imagenette.safetensors");
    let weights = fs::read(weights).unwrap();
    let config = VggConfig::new(Depth::Vgg11).with_channels([32, 64, 128, 256, 256]).with_head([1, 1], [], 10);
    config.build(WeightFile::safetensors("vgg11-imagenette", &weights, &Device::default()).unwrap()).unwrap()
}

/// VGG-11 with batch norm, a hidden layer, and an adaptive average pool to 3 × 2.
pub fn random_vgg() -> Network {
    let weights = fs::read(path("captum/random_weights")).unwrap();
    let config = VggConfig::new(Depth::Vgg11).with_batch_norm(true).with_channels([4, 8, 16, 16, 16]);
    let config = config.with_head([3, 2], [12], 7);
    config.build(WeightFile::safetensors("random_weights", &weights, &Device::default()).unwrap()).unwrap()
}

/// Skip connections, one of them with a convolution, average pools, and a layer that reads values of both signs.
pub fn residual() -> Network {
    let bytes = fs::read(path("reference/residual_weights")).unwrap();
    let mut weights = Weights::of("residual_weights", &bytes);
    let mut net = NetworkBuilder::new();
    net.then("stem", weights.convolution("stem", [6, 3, 3, 3])).unwrap();
    let x = net.then("relu", Layer::Relu).unwrap();
    let x = block(&mut net, &mut weights, "block1", x, [6, 6], 1);
    let x = net.add("average", Layer::AveragePool(AveragePool::new(2)), &[x]).unwrap();
    block(&mut net, &mut weights, "block2", x, [6, 8], 2);
    net.then("max", Layer::MaxPool(MaxPool::new(2))).unwrap();
    net.then("all", Layer::AdaptiveAveragePool(AdaptiveAveragePool::new([1, 1]))).unwrap();
    net.then("flatten", Layer::Flatten).unwrap();
    net.then("reduce", weights.linear("reduce", [6, 8])).unwrap();
    net.then("logits", weights.linear("logits", [5, 6])).unwrap();
    weights.0.finish().unwrap();
    net.build().unwrap()
}

fn block(
    net: &mut NetworkBuilder,
    weights: &mut Weights<'_>,
    name: &str,
    input: NodeId,
    [before, out]: [usize; 2],
    stride: usize,
) -> NodeId {
    let named = |part: &str| format!("{name}.{part}");
    let strided = |layer: Convolution| Layer::Convolution(layer.with_stride([stride, stride]));
    let conv1 = strided(weights.padded(&named("conv1"), [out, before, 3, 3]));
    net.add(named("conv1"), conv1, &[input]).unwrap();
    net.then(named("relu1"), Layer::Relu).unwrap();
    let inner = net.then(named("conv2"), weights.convolution(&named("conv2"), [out, out, 3, 3])).unwrap();
    let skip = match stride {
        1 => input,
        _ => {
            let downsample = strided(weights.plain(&named("downsample"), [out, before, 1, 1]));
            net.add(named("downsample"), downsample, &[input]).unwrap()
        }
    };
    net.add(named("add"), Layer::Sum, &[inner, skip]).unwrap();
    net.then(named("relu2"), Layer::Relu).unwrap()
}

/// One of each kind of layer, for pictures of 12 × 14.
pub fn small() -> Network {
    let bytes = fs::read(path("reference/small_weights")).unwrap();
    let mut weights = Weights::of("small_weights", &bytes);
    let network = chain([
        ("conv1", weights.convolution("conv1", [4, 3, 3, 3])),
        ("relu1", Layer::Relu),
        ("max", Layer::MaxPool(MaxPool::new(2))),
        ("conv2", Layer::Convolution(weights.plain("conv2", [5, 4, 3, 3]))),
        ("relu2", Layer::Relu),
        ("average", Layer::AveragePool(AveragePool::new(2))),
        ("flatten", Layer::Flatten),
        ("hidden", weights.linear("hidden", [8, 20])),
        ("relu3", Layer::Relu),
        ("logits", weights.linear("logits", [4, 8])),
    ]);
    weights.0.finish().unwrap();
    network
}

/// Layers with weights from a file.
struct Weights<'a>(WeightFile<'a>);

impl<'a> Weights<'a> {
    fn of(name: &str, bytes: &'a [u8]) -> Self {
        Self(WeightFile::safetensors(name, bytes, &Device::default()).unwrap())
    }

    fn tensor<const D: usize>(&mut self, name: &str, part: &str, shape: [usize; D]) -> Tensor<D> {
        self.0.tensor(&format!("{name}.{part}"), shape, 0.0, 0.0).unwrap()
    }

    fn plain(&mut self, name: &str, shape: [usize; 4]) -> Convolution {
        Convolution::new(self.tensor(name, "weight", shape), Some(self.tensor(name, "bias", [shape[0]])))
    }

    fn padded(&mut self, name: &str, shape: [usize; 4]) -> Convolution {
        self.plain(name, shape).with_padding([1, 1])
    }

    fn convolution(&mut self, name: &str, shape: [usize; 4]) -> Layer {
        Layer::Convolution(self.padded(name, shape))
    }

    fn linear(&mut self, name: &str, shape: [usize; 2]) -> Layer {
        Layer::Linear(Linear::new(self.tensor(name, "weight", shape), Some(self.tensor(name, "bias", [shape[0]]))))
    }
}
