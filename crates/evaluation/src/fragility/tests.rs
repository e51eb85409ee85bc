#![allow(clippy::unwrap_used)]
use burn::tensor::{DType, Device};
use burnsight_core::{AutodiffModel, Classifier, Differentiable, MicroBatcher, Target, read};
use burnsight_network::Network;
use burnsight_testkit::nets;
use burnsight_vanilla_gradient::VanillaGradient;

use super::{attack::top_classes, *};

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
    let classes = |pictures: &Tensor<4>| top_classes(&network.logits(pictures.clone()).unwrap()).unwrap();
    let before = classes(&pictures);
    for attack in Attack::ALL {
        let (changed, kept) = small().attack(&subject, attack, 0.3).unwrap();
        let largest = read((changed.clone() - pictures.clone()).abs().max()).unwrap()[0];
        assert!(largest > 0.05 && largest <= 0.3 + 1e-5, "{attack:?}: {largest}");
        let is_same = classes(&changed).iter().zip(&before).map(|(class, before)| class == before).collect::<Vec<_>>();
        assert_eq!(is_same, kept, "{attack:?}");
        assert!(attack == Attack::RandomSign || kept.iter().all(|kept| *kept));
    }
}

#[test]
fn no_room_is_no_change_and_an_impossible_size_is_refused() {
    let (network, pictures) = pictures(2);
    let subject = Subject::of_network(&network, &VanillaGradient, pictures.clone(), &Target::Top).unwrap();
    for attack in Attack::ALL {
        let (changed, kept) = small().attack(&subject, attack, 0.0).unwrap();
        assert_eq!(read(changed).unwrap(), read(pictures.clone()).unwrap(), "{attack:?}");
        assert_eq!(kept, [true; 2], "{attack:?}");
        for size in [-0.1, f32::NAN, f32::INFINITY] {
            let refused = small().attack(&subject, attack, size).unwrap_err().to_string();
            assert!(refused.contains(&format!("`epsilon` is {size}")), "{refused}");
        }
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

/// What counts is the network itself: the strongest pixels of its own gradient, and its own class.
#[test]
fn attacks_are_judged_on_the_network_itself() {
    let (network, pictures) = pictures(6);
    let subject = Subject::of_network(&network, &VanillaGradient, pictures, &Target::Top).unwrap();
    let subject = subject.with_pixel_value(crate::PixelValue::Magnitude);
    let share = |steps: usize, steepness: f64| {
        let metric = Fragility { attacks: vec![Attack::TopK], steps, steepness, ..small() };
        let target = subject.target();
        let magnitudes = |pictures: Tensor<4>| {
            let gradient = network.gradient(pictures, target).unwrap().gradient;
            read(gradient.abs().sum_dim(1)).unwrap()
        };
        let before = magnitudes(subject.images().clone());
        let (changed, _) = metric.attack(&subject, Attack::TopK, 0.3).unwrap();
        let after = magnitudes(changed);
        let shares = before.chunks(144).zip(after.chunks(144)).map(|(before, after)| {
            let mut order: Vec<usize> = (0..144).collect();
            order.sort_by(|i, j| before[*j].total_cmp(&before[*i]));
            let top: f32 = order[..14].iter().map(|index| after[*index]).sum();
            f64::from(top / after.iter().sum::<f32>())
        });
        shares.sum::<f64>() / 6.0
    };
    // More steps never make it worse, and they help.
    let shares = [1, 2, 5, 20].map(|steps| share(steps, 5.0));
    assert!(shares.is_sorted_by(|few, many| many <= few) && shares[3] < 0.9 * shares[0], "{shares:?}");
}

#[test]
fn signed_maps_are_compared_by_magnitude() {
    let (network, pictures) = pictures(1);
    let subject = Subject::of_network(&network, &VanillaGradient, pictures, &Target::Top).unwrap();
    let (mut before, mut after) = (vec![0.0f32; 144], vec![0.0f32; 144]);
    (before[3], before[17], after[3], after[17]) = (-5.0, 1.0, 5.0, -1.0);
    let metric = Fragility { top_share: 0.014, ..small() };
    let [common, order, shift] = metric.compare(&subject, &before, &after);
    assert_eq!((common, shift), (Some(1.0), Some(0.0)));
    assert!((order.unwrap() - 1.0).abs() < 1e-12);
    // From the place of number 3, row 0 and column 3, by 12 rows of 12 to row 3 and column 7: 5 of a diagonal of 12 · √2.
    let [mut one, mut other] = [vec![0.0f32; 144], vec![0.0f32; 144]];
    (one[3], other[43]) = (1.0, 1.0);
    let [common, _, shift] = Fragility { top_share: 0.001, ..small() }.compare(&subject, &one, &other);
    assert_eq!(common, Some(0.0));
    assert!((shift.unwrap() - 5.0 / (12.0 * 2.0f64.sqrt())).abs() < 1e-12);
    // A flat map has no strongest pixels and no order, a map of zeros no centre.
    assert_eq!(metric.compare(&subject, &before, &[0.0; 144]), [None; 3]);
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
