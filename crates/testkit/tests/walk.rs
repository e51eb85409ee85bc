//! The graph and the one walk over it: where it may start and end, what it refuses, what it leaves unchanged.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor};
use burnsight_core::{Classifier, Differentiable, Error, Result, Seed, Target};
use burnsight_network::{
    Activation, AdaptiveAveragePool, AveragePool, BackwardRule, BatchNorm, Convolution, ExactGradient, Layer, Linear,
    MaxPool, Network, NetworkBuilder, NodeId, ParameterSource, RandomParameters, Step,
};
use burnsight_testkit::{
    central_differences,
    nets::{self, Draw},
    numeric_gradient, relative_l2, values,
};

const DTYPE: DType = DType::F64;

fn small_vgg() -> Network {
    nets::small_vgg(&Device::default(), DTYPE)
}

fn branches() -> Network {
    nets::branches(&Device::default(), DTYPE)
}

fn pictures() -> Tensor<4> {
    nets::pictures([2, 3, 11, 9], &Device::default(), DTYPE)
}

fn draw() -> Draw {
    Draw::new(5, &Device::default(), DTYPE)
}

fn convolution(shape: [usize; 4]) -> Layer {
    Layer::Convolution(draw().convolution(shape))
}

/// The layers behind `until` as a network of their own, whose pictures are that layer's output.
fn tail(network: &Network, until: NodeId) -> Network {
    let mut net = NetworkBuilder::new();
    let mut place = vec![(until, net.input())];
    for (id, node) in network.nodes().filter(|(id, _)| *id > until) {
        let moved = |input: &NodeId| place.iter().find(|(old, _)| old == input).unwrap().1;
        let inputs: Vec<NodeId> = node.inputs().iter().map(moved).collect();
        place.push((id, net.add(node.name(), node.layer().clone(), &inputs).unwrap()));
    }
    net.build().unwrap()
}

#[test]
fn inner_layers_get_their_gradient() {
    let target = Target::Contrast { class: 2, against: 0 };
    // Not what a max pool reads behind a ReLU: its zeros tie, and differences see both sides of the kink.
    for (network, layers) in [
        (small_vgg(), &["features.0", "features.2", "features.3", "features.5", "avgpool"][..]),
        (branches(), &["stem", "relu", "sum", "max", "depthwise", "last"]),
    ] {
        let trace = network.record(pictures()).unwrap();
        for name in layers {
            let until = network.find(name).unwrap();
            let answer = trace.explain_layer(&target, &ExactGradient, until).unwrap();
            let activation = trace.activation(until).as_map().unwrap();
            assert_eq!(answer.arrived.dims(), activation.dims());
            let numeric = numeric_gradient(&tail(&network, until), &activation, &target, 1e-6);
            let error = relative_l2(&values(answer.arrived.flatten()), &numeric);
            assert!(error <= 1e-6, "{name}: relative error {error:e}");
        }
    }
}

#[test]
fn the_walk_to_the_logits_is_the_cotangent() {
    let network = small_vgg();
    let trace = network.record(pictures()).unwrap();
    let answer = trace.explain_layer(&Target::Classes(vec![1, 0]), &ExactGradient, network.output()).unwrap();
    assert_eq!(values(answer.arrived.flatten()), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn hidden_units_have_scores_and_gradients() {
    for (network, layer, index) in [
        (small_vgg(), "features.3", vec![1, 3, 2]),
        (small_vgg(), "classifier.0", vec![4]),
        (small_vgg(), "classifier.3", vec![4]),
        (branches(), "join", vec![11, 2, 1]),
        (branches(), "input", vec![1, 10, 8]),
    ] {
        let id = network.find(layer).unwrap();
        let unit = |images: Tensor<4>| -> Vec<f64> {
            let output = network.record(images).unwrap().activation(id).clone();
            let shape = output.dims();
            let flat = index.iter().zip(&shape[1..]).fold(0, |flat, (index, size)| flat * size + index);
            values(output.flatten().slice_dim(1, flat..flat + 1))
        };
        let target = Target::Unit { layer: layer.into(), index: index.clone() };
        let answer = network.gradient(pictures(), &target).unwrap();
        let scores: Vec<f64> = answer.scores.iter().copied().map(f64::from).collect();
        assert!(relative_l2(&scores, &unit(pictures())) < 1e-6, "{target}: scores {scores:?}");
        for picture in 0..2 {
            let alone = pictures().slice_dim(0, picture..picture + 1);
            let exact = values(answer.gradient.clone().slice_dim(0, picture..picture + 1));
            let error = relative_l2(&exact, &central_differences(&alone, 1e-6, unit));
            assert!(error <= 1e-6, "{target}: relative error {error:e}");
        }
    }
}

#[test]
fn units_that_do_not_exist_are_refused() {
    let network = small_vgg();
    let refused = |layer: &str, index: &[usize]| {
        let target = Target::Unit { layer: layer.into(), index: index.to_vec() };
        network.gradient(pictures(), &target).unwrap_err()
    };
    for (layer, index) in [
        ("features.0", &[4, 0, 0][..]),
        ("features.0", &[0, 0, 9]),
        ("features.0", &[0]),
        ("features.0", &[]),
        ("flatten", &[0, 0, 0]),
    ] {
        let error = refused(layer, index);
        assert!(matches!(error, Error::Target { .. }) && error.to_string().contains("shape"), "{error}");
    }
    assert!(refused("features.99", &[0]).to_string().contains("features.0"));
}

/// Guided backpropagation, one function.
struct Guided;

impl BackwardRule for Guided {
    fn relu(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(step.gradient(upstream).relu())
    }
}

/// Counts what it is asked, and doubles at every kind of layer it may change.
#[derive(Default)]
struct Doubling(std::cell::RefCell<Vec<String>>);

impl Doubling {
    fn twice(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        self.0.borrow_mut().push(step.name().into());
        let gradient = step.gradient(upstream);
        Ok(gradient.clone() + gradient)
    }
}

impl BackwardRule for Doubling {
    fn relu(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        self.twice(step, upstream)
    }
    fn convolution(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        self.twice(step, upstream)
    }
    fn linear(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        self.twice(step, upstream)
    }
    fn pooling(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        self.twice(step, upstream)
    }
    fn batch_norm(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        self.twice(step, upstream)
    }
}

#[test]
fn a_rule_is_asked_at_every_layer_once() {
    let network = small_vgg();
    let trace = network.record(pictures()).unwrap();
    let rule = Doubling::default();
    let doubled = values(trace.input_gradient(&Target::Class(0), &rule).unwrap().gradient);
    let moving = ["input", "flatten", "classifier.2"];
    let mut asked: Vec<&str> = network.nodes().map(|(_, node)| node.name()).collect();
    asked.retain(|name| !moving.contains(name));
    asked.reverse();
    assert_eq!(*rule.0.borrow(), asked);
    let exact = values(trace.input_gradient(&Target::Class(0), &ExactGradient).unwrap().gradient);
    let expected: Vec<f64> = exact.iter().map(|slope| slope * f64::powi(2.0, asked.len() as i32)).collect();
    assert_eq!(doubled, expected);
}

#[test]
fn one_trace_serves_many_rules_and_targets() {
    let network = branches();
    let trace = network.record(pictures()).unwrap();
    let explain =
        |rule: &dyn BackwardRule, class| values(trace.input_gradient(&Target::Class(class), rule).unwrap().gradient);
    let first = (explain(&ExactGradient, 0), explain(&Guided, 0), explain(&ExactGradient, 1));
    assert!(first.0 != first.1 && first.0 != first.2);
    assert_eq!(explain(&Guided, 0), first.1);
    assert_eq!(explain(&ExactGradient, 0), first.0);
    assert_eq!(explain(&ExactGradient, 0), values(network.gradient(pictures(), &Target::Class(0)).unwrap().gradient));
}

#[test]
fn recorded_and_unrecorded_logits_are_the_same() {
    for network in [small_vgg(), branches()] {
        let trace = network.record(pictures()).unwrap();
        assert_eq!(values(network.logits(pictures()).unwrap()), values(trace.logits()));
        assert_eq!(values(trace.images()), values(pictures()));
    }
}

#[test]
fn shapes_are_those_of_the_trace() {
    for network in [small_vgg(), branches()] {
        let trace = network.record(pictures()).unwrap();
        let recorded: Vec<Vec<usize>> =
            network.nodes().map(|(id, _)| trace.activation(id).dims()[1..].to_vec()).collect();
        assert_eq!(network.shapes([3, 11, 9]).unwrap(), recorded);
    }
}

#[test]
fn memory_is_counted() {
    let device = Device::default();
    let network = nets::chain([
        ("pool", Layer::MaxPool(MaxPool::new(2))),
        ("flatten", Layer::Flatten),
        ("dropout", Layer::Dropout),
    ]);
    let trace = network.record(Tensor::ones([2, 1, 4, 4], &device)).unwrap();
    // 32 pixels and 8 maxima in f32, 8 switches in flex's integers; flatten and dropout share theirs.
    assert_eq!(trace.bytes(), 32 * 4 + 8 * 4 + 8 * 4);
}

#[test]
fn walks_that_lead_nowhere_are_refused() {
    let network = branches();
    let trace = network.record(pictures()).unwrap();
    let find = |name| network.find(name).unwrap();
    let unit = |layer: &str| Target::Unit { layer: layer.into(), index: vec![0, 0, 0] };
    for (start, until) in [("average_inside", "average_all"), ("stem", "last"), ("grouped", "norm")] {
        let error = trace.explain_layer(&unit(start), &ExactGradient, find(until)).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Unsupported { .. }) && text.contains(start) && text.contains(until), "{text}");
    }
    let cotangent = Activation::Vector(Tensor::ones([2, 5], (&Device::default(), DTYPE)));
    let error = trace.backward(network.output(), cotangent, &ExactGradient, network.input()).unwrap_err();
    assert!(error.to_string().contains("[2, 4]"), "{error}");
}

#[test]
fn a_rule_can_refuse_a_network() {
    struct Picky;
    impl BackwardRule for Picky {
        fn check(&self, network: &Network) -> Result<()> {
            Err(Error::unsupported("picky", format!("{} layers", network.nodes().len())))
        }
    }
    let network = small_vgg();
    let trace = network.record(pictures()).unwrap();
    let error = trace.input_gradient(&Target::Top, &Picky).unwrap_err();
    assert!(error.to_string().contains("15 layers"), "{error}");
}

/// The names of the batch norms that folding leaves, after checking that it changed neither logits nor gradients.
fn left_after_folding(network: &Network, images: Tensor<4>) -> Vec<String> {
    let folded = network.fold_batch_norms();
    let logits = |network: &Network| values(network.logits(images.clone()).unwrap());
    let gradient = |network: &Network| values(network.gradient(images.clone(), &Target::Class(1)).unwrap().gradient);
    assert!(relative_l2(&logits(&folded), &logits(network)) < 1e-5);
    assert!(relative_l2(&gradient(&folded), &gradient(network)) < 1e-5);
    let norms = folded.nodes().filter(|(_, node)| matches!(node.layer(), Layer::BatchNorm(_)));
    norms.map(|(_, node)| node.name().to_string()).collect()
}

#[test]
fn batch_norms_fold_where_they_can() {
    let device = Device::default();
    for dtype in [DType::F32, DType::F64] {
        let images = nets::pictures([2, 3, 11, 9], &device, dtype);
        let nothing: [&str; 0] = [];
        assert_eq!(left_after_folding(&nets::small_vgg(&device, dtype), images.clone()), nothing);
        assert_eq!(left_after_folding(&nets::branches(&device, dtype), images), ["sum_norm"]);
    }
    let folded = small_vgg().fold_batch_norms();
    assert!(folded.find("features.2").is_ok() && folded.find("features.3").is_err());
    assert_eq!(folded.nodes().len(), small_vgg().nodes().len() - 1);

    let norm = |channels| Layer::BatchNorm(draw().batch_norm(channels));
    let without_bias = Linear::new(draw().tensor([4, 6], 0.0, 1.0), None);
    let network = nets::chain([
        ("first", norm(1)),
        ("flatten", Layer::Flatten),
        ("linear", Layer::Linear(without_bias)),
        ("folds", norm(4)),
        ("second", norm(4)),
    ]);
    assert_eq!(left_after_folding(&network, nets::pictures([2, 1, 2, 3], &device, DTYPE)), ["first", "second"]);
}

#[test]
fn a_convolution_that_others_read_is_not_folded() {
    let mut net = NetworkBuilder::new();
    let conv = net.then("conv", convolution([4, 3, 3, 3])).unwrap();
    let norm = net.then("norm", Layer::BatchNorm(draw().batch_norm(4))).unwrap();
    net.add("sum", Layer::Sum, &[norm, conv]).unwrap();
    net.then("flatten", Layer::Flatten).unwrap();
    assert_eq!(left_after_folding(&net.build().unwrap(), pictures()), ["norm"]);
}

#[test]
fn a_trailing_softmax_is_set_aside() {
    let device = Device::default();
    let mut net = NetworkBuilder::new();
    net.then("flatten", Layer::Flatten).unwrap();
    let logits = net.then("logits", Layer::Linear(draw().linear([2, 6]))).unwrap();
    net.then("unused", Layer::Relu).unwrap();
    net.add("probabilities", Layer::Softmax { axis: 1 }, &[logits]).unwrap();
    let network = net.build().unwrap();
    assert_eq!(network.trailing_softmax(), Some("probabilities"));
    assert_eq!((network.output(), network.nodes().len()), (logits, 3));
    let sums = values(network.logits(nets::pictures([3, 1, 2, 3], &device, DTYPE)).unwrap().sum_dim(1));
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() > 1e-3), "these look like probabilities: {sums:?}");
    assert_eq!(branches().trailing_softmax(), None);
    assert!(branches().find("softmax").is_ok());
}

#[test]
fn builders_refuse_what_is_no_network() {
    let mut net = NetworkBuilder::new();
    assert!(net.clone().build().unwrap_err().to_string().contains("no layers"));
    let input = net.input();
    let first = net.then("first", Layer::Relu).unwrap();
    for (name, layer, inputs) in [
        ("first", Layer::Relu, &[first][..]),
        ("input", Layer::Relu, &[first]),
        ("", Layer::Relu, &[first]),
        ("second input", Layer::Input, &[]),
        ("alone", Layer::Sum, &[first]),
        ("two", Layer::Relu, &[first, input]),
        ("none", Layer::Flatten, &[]),
        ("stranger", Layer::Relu, &[small_vgg().output()]),
    ] {
        let error = net.add(name, layer, inputs).unwrap_err();
        assert!(matches!(error, Error::Model { .. }) && error.to_string().contains(name), "{name:?}: {error}");
    }
    assert!(net.build().unwrap().logits(pictures()).unwrap_err().to_string().contains("vector"));
}

#[test]
fn layers_are_found_by_name() {
    let network = small_vgg();
    let id = network.find("features.3").unwrap();
    assert_eq!(network.node(id).name(), "features.3");
    let error = network.find("features.9").unwrap_err().to_string();
    assert!(error.contains("features.9") && error.contains("features.0, features.1") && error.contains("classifier.3"));
    let readers: Vec<NodeId> = branches().readers(branches().find("relu").unwrap()).collect();
    assert_eq!(readers, ["grouped", "sum"].map(|name| branches().find(name).unwrap()));
}

#[test]
fn the_last_convolution_includes_what_follows_it() {
    let device = Device::default();
    let name = |network: &Network| network.node(network.last_convolution().unwrap()).name().to_string();
    assert_eq!(name(&small_vgg()), "features.7");
    assert_eq!(name(&branches()), "last_relu");
    assert_eq!(name(&nets::saturation(&device, DTYPE)), "relu");
    assert_eq!(name(&tail(&small_vgg(), small_vgg().find("features.4").unwrap())), "features.7");

    for (with_relu, expected) in [(true, "relu"), (false, "sum")] {
        let mut net = NetworkBuilder::new();
        let skip = net.then("skip", convolution([4, 3, 1, 1])).unwrap();
        net.then("conv", convolution([4, 4, 1, 1])).unwrap();
        let norm = net.then("norm", Layer::BatchNorm(draw().batch_norm(4))).unwrap();
        net.add("sum", Layer::Sum, &[norm, skip]).unwrap();
        if with_relu {
            net.then("relu", Layer::Relu).unwrap();
        }
        net.then("flatten", Layer::Flatten).unwrap();
        assert_eq!(name(&net.build().unwrap()), expected);
    }
    let error = nets::linear(draw().tensor([2, 6], 0.0, 1.0)).last_convolution().unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }));

    // Two branches meet before the ReLU; a third convolution, added last, leads nowhere.
    let mut net = NetworkBuilder::new();
    let input = net.input();
    let branches = ["left", "right"].map(|name| net.add(name, convolution([4, 3, 1, 1]), &[input]).unwrap());
    net.add("join", Layer::Concatenation { axis: 1 }, &branches).unwrap();
    let relu = net.then("relu", Layer::Relu).unwrap();
    net.add("aside", convolution([2, 8, 1, 1]), &[relu]).unwrap();
    net.add("flatten", Layer::Flatten, &[relu]).unwrap();
    assert_eq!(name(&net.build().unwrap()), "relu");
}

#[test]
fn sizes_beyond_any_memory_are_refused() {
    let padded = |padding| {
        let kernel = draw().tensor([1, 3, 1, 1], 0.0, 1.0);
        let layer = Convolution::new(kernel, None).with_padding([padding; 2]);
        nets::chain([("wide", Layer::Convolution(layer)), ("flatten", Layer::Flatten)])
    };
    for padding in [usize::MAX, usize::MAX / 2, 1 << 17, 1 << 16] {
        let error = padded(padding).logits(pictures()).unwrap_err().to_string();
        assert!(error.contains("wide") && error.contains("beyond"), "{error}");
    }
    assert!(padded(3).logits(pictures()).is_ok());
}

#[test]
fn pictures_of_another_number_format_are_refused() {
    for dtype in [DType::F32, DType::F64] {
        let network = nets::small_vgg(&Device::default(), dtype);
        let other = if dtype == DType::F32 { DType::F64 } else { DType::F32 };
        let error = network.record(pictures().cast(other)).unwrap_err().to_string();
        assert!(error.contains("F32") && error.contains("F64"), "{error}");
    }
}

#[test]
fn pictures_that_do_not_fit_are_refused_by_the_layer() {
    let device = Device::default();
    for (network, shape, layer) in [
        (small_vgg(), [1, 3, 1, 9], "features.5"),
        (small_vgg(), [1, 4, 11, 9], "features.0"),
        (branches(), [1, 3, 11, 2], "stem"),
        (branches(), [1, 3, 11, 3], "depthwise"),
        (branches(), [1, 3, 2, 11], "last"),
        (nets::saturation(&device, DTYPE), [1, 1, 2, 2], "logit"),
    ] {
        let images = nets::pictures(shape, &device, DTYPE);
        let errors = [network.logits(images.clone()).err(), network.record(images).err()];
        for error in errors.map(|error| error.expect("the picture does not fit")) {
            let text = error.to_string();
            assert!(matches!(error, Error::Image { .. }) && text.contains(&format!("layer {layer} ")), "{text}");
        }
    }
    for shape in [[0, 3, 11, 9], [1, 0, 11, 9], [1, 3, 0, 9]] {
        let nothing = Tensor::empty(shape, (&device, DTYPE));
        assert!(matches!(small_vgg().record(nothing), Err(Error::Image { .. })));
    }
}

/// Whatever a model file says must end in an error, not in Burn's panic.
#[test]
fn impossible_layers_are_refused() {
    let tensor = |size| draw().tensor([size], 1.0, 0.0);
    let conv = || draw().convolution([4, 3, 3, 3]);
    let no_kernel = Convolution::new(Tensor::empty([4, 3, 0, 3], (&Device::default(), DTYPE)), None);
    let pool = MaxPool::new(2);
    let average = AveragePool::new(2);
    let norm = || draw().batch_norm(3);
    let vector = [("flatten", Layer::Flatten)];
    for (before, layer, expected) in [
        (&[][..], Layer::Convolution(conv().with_stride([0, 1])), "stride [0, 1]"),
        (&[], Layer::Convolution(conv().with_dilation([1, 0])), "dilation [1, 0]"),
        (&[], Layer::Convolution(conv().with_groups(0)), "0 groups"),
        (&[], Layer::Convolution(conv().with_groups(3)), "3 groups"),
        (&[], Layer::Convolution(conv().with_groups(2)), "6 channels"),
        (&[], Layer::Convolution(no_kernel), "kernel [0, 3]"),
        (&[], Layer::Convolution(Convolution { bias: Some(tensor(3)), ..conv() }), "bias"),
        (&[], Layer::Convolution(conv().with_dilation([6, 1])), "window of 13"),
        (&vector, Layer::Convolution(conv()), "needs a map"),
        (&[], Layer::Linear(draw().linear([2, 297])), "takes 297 features"),
        (&vector, Layer::Linear(draw().linear([2, 5])), "takes 5 features"),
        (&vector, Layer::Linear(Linear { bias: Some(tensor(3)), ..draw().linear([2, 297]) }), "bias"),
        (&[], Layer::MaxPool(MaxPool { stride: [1, 0], ..pool }), "stride [1, 0]"),
        (&[], Layer::MaxPool(MaxPool { padding: [2, 0], ..pool }), "padding [2, 0]"),
        (&vector, Layer::MaxPool(pool), "needs a map"),
        (&[], Layer::AveragePool(AveragePool { kernel: [0, 2], ..average }), "kernel [0, 2]"),
        (&[], Layer::AveragePool(AveragePool { padding: [0, 2], ..average }), "padding [0, 2]"),
        (&vector, Layer::AveragePool(average), "needs a map"),
        (&[], Layer::AdaptiveAveragePool(AdaptiveAveragePool::new([0, 2])), "[0, 2]"),
        (&vector, Layer::AdaptiveAveragePool(AdaptiveAveragePool::new([2, 2])), "needs a map"),
        (&[], Layer::BatchNorm(draw().batch_norm(4)), "4 channels"),
        (&vector, Layer::BatchNorm(norm()), "3 channels"),
        (&[], Layer::BatchNorm(BatchNorm { variance: tensor(2), ..norm() }), "variance"),
    ] {
        let layers = before.iter().cloned().chain([("bad", layer), ("end", Layer::Flatten)]);
        let error = nets::chain(layers).record(pictures()).expect_err(expected).to_string();
        assert!(error.contains("bad") && error.contains(expected), "{error}");
    }
    for (join, expected) in [(Layer::Sum, "added"), (Layer::Concatenation { axis: 1 }, "beyond the axis")] {
        let mut net = NetworkBuilder::new();
        let left = net.then("left", convolution([3, 3, 3, 3])).unwrap();
        net.add("join", join, &[left, net.input()]).unwrap();
        net.then("flatten", Layer::Flatten).unwrap();
        let error = net.build().unwrap().record(pictures()).unwrap_err().to_string();
        assert!(error.contains("join") && error.contains(expected), "{error}");
    }
}

#[test]
fn random_parameters_depend_on_seed_and_order_alone() {
    let device = Device::default();
    let draw = |seed, name: &str| {
        let mut source = RandomParameters::new(Seed(seed), &device);
        let first = source.tensor(name, [3, 2], 0.0, 1.0).unwrap();
        let constant = source.tensor(name, [2], 0.5, 0.0).unwrap();
        let second = source.tensor(name, [3, 2], 0.0, 1.0).unwrap();
        source.finish().unwrap();
        assert_eq!(values(constant), [0.5, 0.5]);
        (values(first), values(second))
    };
    assert_eq!(draw(1, "a"), draw(1, "b"));
    assert_ne!(draw(1, "a"), draw(2, "a"));
    assert_ne!(draw(1, "a").0, draw(1, "a").1);
}
