//! Turns `model.onnx` into a Burn module whose ReLUs burnsight can explain.

use burn_onnx::{
    LoadStrategy, ModelGen,
    ext::{
        ArgType, CodegenContext, Node, NodeType, OpOverride, ProcessError, arg_to_ident, proc_macro2::TokenStream,
        quote::quote,
    },
};

// ANCHOR: override
/// Calls burnsight's ReLU in place of Burn's, and shows maps to Grad-CAM under the names burn-onnx gives them.
struct Explainable;

impl OpOverride for Explainable {
    fn target(&self) -> NodeType {
        NodeType::Relu
    }

    fn forward(&self, node: &Node, context: &mut CodegenContext<'_, '_>) -> Result<TokenStream, ProcessError> {
        let (input, output) = (&node.inputs()[0], &node.outputs()[0]);
        let (x, y, name) = (context.arg(input), arg_to_ident(output), node.name());
        Ok(match &input.ty {
            ArgType::Tensor(tensor) if tensor.rank == 4 => {
                quote! { let #y = burnsight::module::watch(#name, burnsight::module::relu(#x)); }
            }
            _ => quote! { let #y = burnsight::module::relu(#x); },
        })
    }
}
// ANCHOR_END: override

fn main() {
    ModelGen::new()
        .input("model.onnx")
        .out_dir("model/")
        .load_strategy(LoadStrategy::Embedded)
        .register_op_override(Explainable)
        .run_from_script();
}
