#![allow(clippy::unwrap_used)]
use burn::tensor::{DType, Device};
use burnsight_core::{AutodiffModel, MicroBatcher};
use burnsight_testkit::nets;
use burnsight_vanilla_gradient::VanillaGradient;

use super::*;
use burnsight_core::read;

fn pictures(count: usize) -> (Network, Tensor<4>) {
    let device = Device::default();
    (nets::small_vgg(&device, DType::F32), nets::pictures([count, 3, 12, 12], &device, DType::F32))
}

fn small() -> Fragility {
    Fragility { epsilons: vec![0.1, 0.3], top_share: 0.1, steepness: 5.0, ..Fragility::default() }
}

#[test]
fn attacks_stay_in_the_ball_and_keep_the_class() {
    let (network, pictures) = pictures(4);
    let subject = Subject::of_network(&network, &VanillaGradient, pictures.clone(), &Target::Top).unwrap();
    let before = classes(&network, pictures.clone()).unwrap();
    for attack in Attack::ALL {
        let (changed, kept) = small().attack(&subject, attack, 0.3).unwrap();
        let largest = read((changed.clone() - pictures.clone()).abs().max()).unwrap()[0];
        assert!(largest > 0.05 && largest <= 0.3 + 1e-5, "{attack:?}: {largest}");
        assert_eq!(same(&classes(&network, changed).unwrap(), &before), kept);
        assert!(attack == Attack::RandomSign || kept.iter().all(|kept| *kept));
    }
}

#[test]
fn the_aimed_attacks_move_the_gradient_more_than_chance() {
    let (network, pictures) = pictures(6);
    let subject = Subject::of_network(&network, &VanillaGradient, pictures, &Target::Top).unwrap();
    let subject = subject.with_pixel_value(crate::PixelValue::Magnitude);
    let readings = small().measure(&subject).unwrap();
    let mean = |name: &str| {
        let reading = readings.iter().find(|reading| reading.name == format!("fragility, {name}")).unwrap();
        assert!(reading.curve.as_ref().unwrap().x.len() == 3);
        crate::Summary::of(&reading.values).mean.unwrap()
    };
    let [random, aimed] = [mean("random sign, top-k intersection"), mean("top-k, top-k intersection")];
    assert!(aimed < random, "{aimed} {random}");
    let [random, aimed] = [mean("random sign, centre shift"), mean("mass centre, centre shift")];
    assert!(aimed > random, "{aimed} {random}");
    // Unchanged pictures have unchanged maps.
    for reading in &readings {
        let expected = if reading.name.ends_with("centre shift") { 0.0 } else { 1.0 };
        let curve = reading.curve.as_ref().unwrap();
        assert!(curve.y.iter().all(|y| (y[0].unwrap() - expected).abs() < 1e-9), "{}", reading.name);
    }
}

#[test]
fn the_direction_is_that_of_the_dense_derivative() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F64);
    let picture = nets::pictures([1, 3, 5, 5], &device, DType::F64);
    let smooth = rebuild(&network, |builder, _, node, inputs| match node.layer() {
        Layer::Relu => builder.add(node.name(), Layer::Function(Function::Softplus { steepness: 2.0 }), inputs),
        other => builder.add(node.name(), other.clone(), inputs),
    })
    .unwrap();
    let target = Target::Class(1);
    let gradient = |picture: Tensor<4>| smooth.gradient(picture, &target).unwrap().gradient;
    for attack in [Attack::TopK, Attack::MassCenter] {
        let start = picture.clone() + nets::pictures([1, 3, 5, 5], &device, DType::F64).flip([2, 3]) * 0.1;
        let dissimilarity = Dissimilarity::new(attack, gradient(picture.clone()), 4);
        let direction = hessian_times(&smooth, &start, &target, dissimilarity.slope(gradient(start.clone()))).unwrap();
        let direction = read(direction).unwrap();
        // Every number of the picture by itself. D is read in single precision, so steps are not small.
        let dense: Vec<f32> = (0..75)
            .map(|index| {
                let mut one = vec![0.0f32; 75];
                one[index] = 0.02;
                let one = Tensor::<1>::from_data(one.as_slice(), (&device, DType::F64)).reshape([1, 3, 5, 5]);
                let at = |picture: Tensor<4>| dissimilarity.of(&gradient(picture)).unwrap()[0];
                at(start.clone() + one.clone()) - at(start.clone() - one)
            })
            .collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let cosine = dot(&direction, &dense) / (dot(&direction, &direction) * dot(&dense, &dense)).sqrt();
        assert!(cosine > 0.99, "{attack:?}: {cosine}");
    }
}

#[test]
fn a_pictures_value_does_not_depend_on_its_company() {
    let (network, pictures) = pictures(3);
    let measure = |pictures: Tensor<4>, batch: usize| {
        let subject = Subject::of_network(&network, &VanillaGradient, pictures, &Target::Class(0)).unwrap();
        let subject = subject.with_batches(MicroBatcher::new(batch).unwrap());
        let metric = Fragility { epsilons: vec![0.05], steps: 3, ..small() };
        metric.measure(&subject).unwrap().into_iter().map(|reading| reading.values).collect::<Vec<_>>()
    };
    let (all, alone) = (measure(pictures.clone(), 2), measure(select_images(&pictures, [1]), 1));
    for (all, alone) in all.iter().zip(&alone) {
        match (all[1], alone[0]) {
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-3, "{a} {b}"),
            (a, b) => assert_eq!(a, b),
        }
    }
}

#[test]
fn closures_know_random_signs_only_and_settings_are_checked() {
    let device = Device::default();
    let model = AutodiffModel::from_closure(|images: Tensor<4>| images.flatten::<2>(1, 3).square());
    let pictures = nets::pictures([2, 1, 3, 3], &device, DType::F32);
    let subject = Subject::of_model(&model, &VanillaGradient, pictures, &Target::Top).unwrap();
    assert!(small().measure(&subject).unwrap_err().to_string().contains("fragility"));
    let random = Fragility { attacks: vec![Attack::RandomSign], ..small() };
    assert_eq!(random.measure(&subject).unwrap().len(), 3);
    let refused = |metric: Fragility| metric.measure(&subject).unwrap_err().to_string();
    assert!(refused(Fragility { epsilons: vec![0.2, 0.1], ..small() }).contains("`epsilons` is [0.2, 0.1]"));
    assert!(refused(Fragility { attacks: vec![], ..small() }).contains("`attacks` is empty"));
    assert!(refused(Fragility { steps: 0, ..small() }).contains("`steps` is 0"));
    assert!(refused(Fragility { top_share: 1.0, ..small() }).contains("`top_share` is 1"));
    assert!(refused(Fragility { steepness: 0.0, ..small() }).contains("`steepness` is 0"));
}
