//! ReLU as an operation of Burn whose backward follows a rule.
#![cfg_attr(feature = "ndarray", allow(deprecated, reason = "Burn deprecates the backend, and still has it"))]

use burn::{
    backend::{
        Autodiff, Backend, DispatchKindConversion, DispatchTensor,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind, unary},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::Device,
};

/// What a ReLU hands back of what comes from above, R.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReluRule {
    /// max(R, 0), whether or not the unit was active.
    DeconvNet,
    /// max(R, 0) where the unit was active, else 0.
    Guided,
}

/// max(x, 0), with a backward by `rule`.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal", feature = "cuda", feature = "cpu")),
    Autodiff
)]
pub(crate) trait ReluWithRule: Backend {
    fn relu_with_rule(x: FloatTensor<Self>, _rule: ReluRule) -> FloatTensor<Self> {
        Self::relu(x)
    }
}

#[cfg(feature = "flex")]
impl ReluWithRule for burn::backend::Flex {}
#[cfg(feature = "ndarray")]
impl ReluWithRule for burn::backend::NdArray {}
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal", feature = "cuda", feature = "cpu"))]
impl ReluWithRule for burn::backend::Cube {}

/// Whether the operation was compiled for the backend of this device. Burn panics where it was not.
pub(crate) fn runs_on(device: &Device) -> bool {
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "flex")]
        burn::backend::DispatchDevice::Flex(_) => true,
        #[cfg(feature = "ndarray")]
        burn::backend::DispatchDevice::NdArray(_) => true,
        #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal", feature = "cuda", feature = "cpu"))]
        burn::backend::DispatchDevice::Cube(_) => true,
        _ => false,
    }
}

impl<B: Backend, C: CheckpointStrategy> ReluWithRule for Autodiff<B, C>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    fn relu_with_rule(x: FloatTensor<Self>, rule: ReluRule) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let output = B::relu(x);
        match RuleBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let active = (rule == ReluRule::Guided).then(|| output.clone());
                prepared.finish(active, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

#[derive(Debug)]
struct RuleBackward;

impl<B: Backend> Backward<B, 1> for RuleBackward {
    /// The ReLU's output, for the rule that asks which units were active.
    type State = Option<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let output = ops.state;
        unary::<B, _>(ops.parents, ops.node, gradients, |upstream| {
            let positive = B::relu(upstream);
            match output {
                Some(output) => B::relu_backward(output, positive),
                None => positive,
            }
        });
    }
}
