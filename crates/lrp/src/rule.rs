//! How one layer shares out what arrived at its outputs.

use burn::tensor::{Tensor, TensorData};
use burnsight_core::{Error, Result};
use burnsight_network::{Activation, Affine, Step};
use serde::Serialize;

/// Added to what relevance is divided by, with its sign, so that nothing is divided by 0.
pub const STABILIZER: f64 = 1e-6;

/// The smallest and the largest value that a pixel can have, one number per channel, in the model's own units: for pictures
/// from 0 to 1 and the usual normalisation (0 − mean) / std and (1 − mean) / std.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PixelBounds {
    /// Smallest value of each channel.
    pub low: Vec<f32>,
    /// Largest value of each channel.
    pub high: Vec<f32>,
}

/// How a convolution or fully connected layer shares out relevance among its inputs.
///
/// Every rule is R_i = Σ_j share_ij · R_j with shares of the form (what input i sends to output j) / (what j received). w is
/// a weight, x an input, z_j = Σ_i x_i w_ij + b_j, and + and − mark the positive and the negative part.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// LRP-0: x_i w_ij / z_j. For networks without biases this is gradient × input. Explodes where z_j is near 0.
    Zero,
    /// LRP-ε: x_i w_ij / (z_j + ε sign z_j), sign 0 = +1. A large ε takes weak and contradictory evidence out.
    Epsilon(f64),
    /// LRP-γ: prefers what agrees with the sign of z_j, by w + γ w⁺ (on inputs of both signs). γ = 0 is LRP-0, γ → ∞ is
    /// like z⁺.
    Gamma(f64),
    /// LRP-αβ: α times the shares of the positive contributions minus β times those of the negative ones; α − β = 1.
    AlphaBeta {
        /// Weight of what speaks for.
        alpha: f64,
        /// Weight of what speaks against.
        beta: f64,
    },
    /// z⁺: only positive contributions share, x⁺w⁺ + x⁻w⁻. This is α1β0 without bias.
    ZPlus,
    /// z⁻: only negative contributions share. The mirror of z⁺, for contrasts.
    ZMinus,
    /// z-box, for layers that read pixels l ≤ x ≤ h: shares of x w − l w⁺ − h w⁻.
    ZBox(PixelBounds),
    /// w²: shares by weights alone, for layers that read unbounded pixels.
    WSquare,
    /// Every input gets the same share, whatever its value and weight.
    Flat,
}

/// One kind of contribution: some inputs by some weights.
struct Part {
    input: Activation,
    layer: Affine,
}

impl Rule {
    /// Refuses numbers that no share can be made of.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse =
            |parameter: &str, value: String, requirement: &str| Err(Error::parameter(parameter, value, requirement));
        match self {
            Self::Epsilon(epsilon) if !epsilon.is_finite() || *epsilon < 0.0 => {
                refuse("epsilon", epsilon.to_string(), "a finite number, 0 or more")
            }
            Self::Gamma(gamma) if !gamma.is_finite() || *gamma < 0.0 => {
                refuse("gamma", gamma.to_string(), "a finite number, 0 or more")
            }
            Self::AlphaBeta { alpha, beta }
                if !alpha.is_finite()
                    || *beta < 0.0
                    || (alpha - beta - 1.0).abs().partial_cmp(&1e-9).is_none_or(|order| order.is_gt()) =>
            {
                refuse(
                    "alpha, beta",
                    format!("{alpha}, {beta}"),
                    "both 0 or more and alpha − beta = 1, or relevance would grow or shrink",
                )
            }
            Self::ZBox(bounds) => bounds.check(),
            _ => Ok(()),
        }
    }

    /// What the inputs of the step's layer get.
    ///
    /// `biases`: whether biases take their share in the rules 0, ε, γ and αβ.
    pub(crate) fn share_out(&self, step: &Step<'_>, relevance: Activation, biases: bool) -> Result<Activation> {
        let Some(layer) = Affine::of(step.layer()) else {
            return Err(Error::unsupported("lrp", format!("layer {} has no weights to share by", step.name())));
        };
        let input = step.input(0);
        let bias = layer.bias().filter(|_| biases);
        let signs = Signs { input, non_negative: step.reads_non_negative() };
        Ok(match self {
            Self::Zero | Self::Epsilon(_) => {
                let epsilon = if let Self::Epsilon(epsilon) = self { *epsilon } else { 0.0 };
                let parts = [Part { input: input.clone(), layer: layer.map(|w| w) }];
                match biases {
                    // What was received has been computed in the forward pass.
                    true => hand_back(&parts, ratio(relevance, step.output().clone(), epsilon)),
                    false => share(&parts, relevance, epsilon),
                }
            }
            Self::Gamma(gamma) => {
                let more = |w: Tensor<2>| w.clone() + w.clamp_min(0.0) * *gamma;
                let less = |w: Tensor<2>| w.clone() + w.clamp_max(0.0) * *gamma;
                let [more_bias, less_bias] = [
                    bias.clone().map(|b| b.clone() + b.clamp_min(0.0) * *gamma),
                    bias.map(|b| b.clone() + b.clamp_max(0.0) * *gamma),
                ];
                let where_sign = |sign: f64| {
                    relevance
                        .clone()
                        .zip_values(step.output().clone(), |r, z| r.mask_fill((z * sign).lower_equal_elem(0.0), 0.0))
                };
                let agreeing = signs.parts(layer.with(more(layer.weight()), more_bias), layer.map(less));
                let against = signs.parts(layer.with(less(layer.weight()), less_bias), layer.map(more));
                share(&agreeing, where_sign(1.0), STABILIZER) + share(&against, where_sign(-1.0), STABILIZER)
            }
            Self::AlphaBeta { alpha, beta } => {
                let positive = signs.positive(&layer, bias.clone().map(|b| b.clamp_min(0.0)));
                let positive = share(&positive, relevance.clone(), STABILIZER).map_values(|r| r * *alpha);
                if *beta == 0.0 {
                    return Ok(positive);
                }
                let negative = signs.negative(&layer, bias.map(|b| b.clamp_max(0.0)));
                positive + share(&negative, relevance, STABILIZER).map_values(|r| r * -*beta)
            }
            Self::ZPlus => share(&signs.positive(&layer, None), relevance, STABILIZER),
            Self::ZMinus => share(&signs.negative(&layer, None), relevance, STABILIZER),
            Self::ZBox(bounds) => {
                let [low, high] = bounds.negated_like(input, step.name())?;
                let parts = [
                    Part { input: input.clone(), layer: layer.map(|w| w) },
                    Part { input: low, layer: layer.map(|w| w.clamp_min(0.0)) },
                    Part { input: high, layer: layer.map(|w| w.clamp_max(0.0)) },
                ];
                share(&parts, relevance, STABILIZER)
            }
            Self::WSquare => {
                let ones = input.clone().map_values(|x| x.ones_like());
                share(&[Part { input: ones, layer: layer.map(|w| w.square()) }], relevance, STABILIZER)
            }
            Self::Flat => {
                let ones = input.clone().map_values(|x| x.ones_like());
                share(&[Part { input: ones, layer: layer.map(|w| w.ones_like()) }], relevance, STABILIZER)
            }
        })
    }
}

/// The positive and the negative part of a layer's inputs.
struct Signs<'a> {
    input: &'a Activation,
    /// Behind a ReLU there is no negative part, which halves the work.
    non_negative: bool,
}

impl Signs<'_> {
    /// Positive inputs by one layer, negative inputs by the other.
    fn parts(&self, of_positive: Affine, of_negative: Affine) -> Vec<Part> {
        if self.non_negative {
            return vec![Part { input: self.input.clone(), layer: of_positive }];
        }
        let negative = self.input.clone().map_values(|x| x.clamp_max(0.0));
        vec![
            Part { input: self.input.clone().relu(), layer: of_positive },
            Part { input: negative, layer: of_negative },
        ]
    }

    /// Contributions above 0: x⁺w⁺ + x⁻w⁻.
    fn positive(&self, layer: &Affine, bias: Option<Tensor<1>>) -> Vec<Part> {
        let positive = layer.with(layer.weight().clamp_min(0.0), bias);
        self.parts(positive, layer.map(|w| w.clamp_max(0.0)))
    }

    /// Contributions below 0: x⁺w⁻ + x⁻w⁺.
    fn negative(&self, layer: &Affine, bias: Option<Tensor<1>>) -> Vec<Part> {
        let negative = layer.with(layer.weight().clamp_max(0.0), bias);
        self.parts(negative, layer.map(|w| w.clamp_min(0.0)))
    }
}

/// R_i = Σ over parts x_i · Σ_j w_ij · R_j / (z_j + ε sign z_j), where z_j is what output j received from all parts.
fn share(parts: &[Part], relevance: Activation, epsilon: f64) -> Activation {
    let received = parts.iter().map(|part| part.layer.forward(part.input.clone()));
    let received = received.reduce(|sum, part| sum + part).expect("a rule has parts");
    hand_back(parts, ratio(relevance, received, epsilon))
}

/// x_i · Σ_j w_ij · ratio_j, over all parts.
fn hand_back(parts: &[Part], ratio: Activation) -> Activation {
    let back = |part: &Part| part.layer.backward(&part.input.dims(), ratio.clone()).multiply(part.input.clone());
    parts.iter().map(back).reduce(|sum, part| sum + part).expect("a rule has parts")
}

/// R / (z + ε sign z), sign 0 = +1; 0 where nothing was received and nothing stabilises.
pub(crate) fn ratio(relevance: Activation, received: Activation, epsilon: f64) -> Activation {
    relevance.zip_values(received, |relevance, z| {
        let sign = z.clone().greater_equal_elem(0.0).float().cast(z.dtype()) * 2.0 - 1.0;
        let z = z + sign * epsilon;
        let nothing = z.clone().equal_elem(0.0);
        (relevance / z).mask_fill(nothing, 0.0)
    })
}

impl PixelBounds {
    pub(crate) fn check(&self) -> Result<()> {
        let Self { low, high } = self;
        let holds = !low.is_empty() && low.len() == high.len() && low.iter().zip(high).all(|(low, high)| low < high);
        let finite = low.iter().chain(high).all(|bound| bound.is_finite());
        match holds && finite {
            true => Ok(()),
            false => Err(Error::parameter(
                "bounds",
                format!("{low:?} to {high:?}"),
                "one finite low and high for each channel, low < high",
            )),
        }
    }

    /// −l and −h in the shape of a layer's input, which holds the pixels channel by channel.
    fn negated_like(&self, input: &Activation, layer: &str) -> Result<[Activation; 2]> {
        let dims = input.dims();
        let features: usize = dims[1..].iter().product();
        let channels = self.low.len();
        if dims.len() == 4 && dims[1] != channels || !features.is_multiple_of(channels) {
            let requirement =
                format!("layer {layer} reads pixels of shape {:?}: give one bound for each channel", &dims[1..]);
            return Err(Error::parameter("bounds", format!("{channels} channels"), &requirement));
        }
        Ok([&self.low, &self.high].map(|bounds| {
            let values: Vec<f32> =
                bounds.iter().flat_map(|bound| std::iter::repeat_n(-bound, features / channels)).collect();
            let one = Tensor::<2>::from_data(TensorData::new(values, [1, features]), (&input.device(), input.dtype()));
            Activation::Vector(one.expand([dims[0], features])).reshape(&dims)
        }))
    }
}
