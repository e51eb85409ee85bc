//! Max pools: who is responsible for the change of a maximum?

use burn::tensor::Tensor;
use burnsight_network::{Activation, Step};

use crate::halves::{difference, halves, stack, twice};

/// How much of the changes at a window's two winners its output follows.
///
/// A rise from the baseline's maximum y₀ to the picture's y was made by the place p that won in the picture, a fall by the
/// place q that won in the baseline. Both shares lie between 0 and 1, and they account for the change:
/// ```text
/// a = max(y − y₀, 0) / δx_p        b = min(y − y₀, 0) / δx_q        a · δx_p + b · δx_q = y − y₀
/// ```
/// A winner that did not change has no share. Such windows are mostly those in which every unit is off, where the place that
/// counts as the winner is no more than the first.
pub(crate) struct Winners<'s, 't> {
    step: &'s Step<'t>,
    /// a above b
    shares: Tensor<2>,
}

impl<'s, 't> Winners<'s, 't> {
    pub(crate) fn of(step: &'s Step<'t>) -> Self {
        let [change, _] = halves(difference(step.output()));
        let at_winner = at_winners(step, difference(step.input(0)));
        let changes = stack(change.clone().clamp_min(0.0), change.clamp_max(0.0));
        let shares = (changes / at_winner.clone()).mask_fill(at_winner.equal_elem(0.0), 0.0);
        Self { step, shares }
    }

    /// Multipliers of the output to multipliers of the input, each half by itself.
    pub(crate) fn hand_back(&self, upstream: Activation) -> Activation {
        let dims = upstream.dims();
        let [first, second] = halves(upstream.flatten()).map(|half| {
            let shared = Activation::Vector(twice(half) * self.shares.clone()).reshape(&dims);
            let [picture, baseline] = halves(self.step.gradient(shared).flatten());
            picture + baseline
        });
        Activation::Vector(stack(first, second)).reshape(&self.step.input(0).dims())
    }

    /// Changes of the input to changes of the output, each half by itself.
    pub(crate) fn follow(&self, changes: Activation) -> Activation {
        let [first, second] = halves(changes.flatten()).map(|half| {
            let [picture, baseline] = halves(at_winners(self.step, twice(half)) * self.shares.clone());
            picture + baseline
        });
        Activation::Vector(stack(first, second)).reshape(&self.step.output().dims())
    }
}

/// The values at the places that won: the first half's at the picture's winners, the second half's at the baseline's.
fn at_winners(step: &Step<'_>, values: Tensor<2>) -> Tensor<2> {
    let switches = step.switches();
    let [rows, channels, height, width] = switches.dims();
    let places = values.dims()[1] / channels;
    let winners =
        values.reshape([rows, channels, places]).gather(2, switches.reshape([rows, channels, height * width]));
    winners.reshape([rows, channels * height * width])
}
