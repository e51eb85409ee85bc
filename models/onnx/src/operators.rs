//! What every ONNX operator becomes.

mod arrange;
mod elementwise;
mod fold;
mod product;
mod resize;
mod spatial;

use std::collections::HashMap;

use burn::tensor::Device;
use burnsight_core::Result;
use burnsight_network::{Function, Layer};

use crate::{
    constant::Constant,
    file::{OnnxFile, Operation},
    graph::Graph,
    view::{Value, View},
};

pub type Outcome<T> = std::result::Result<T, String>;

/// Turns the operations of a file into layers, one after the other.
pub struct Importer<'f> {
    pub graph: Graph,
    file: &'f OnnxFile,
    stored: HashMap<&'f str, &'f onnx_ir::TensorProto>,
    values: HashMap<&'f str, Value>,
    /// How many operations read a value.
    readers: HashMap<&'f str, usize>,
    /// The name that layers of the current operation get.
    name: String,
    /// The size of all constants that were computed.
    folded: usize,
}

/// Bytes of computed constants; arithmetic on shapes needs next to none, a transposed weight its own size.
const MOST_FOLDED: usize = 1 << 31;

/// What an operation gets: its inputs, of which some may be left out.
struct Inputs<'f> {
    operation: Operation<'f>,
    values: Vec<Option<Value>>,
}

impl Inputs<'_> {
    fn get(&self, index: usize) -> Option<&Value> {
        self.values.get(index).and_then(Option::as_ref)
    }

    fn value(&self, index: usize) -> Outcome<&Value> {
        self.get(index).ok_or_else(|| format!("input {index} is missing"))
    }

    /// An input that must be known now.
    fn constant(&self, index: usize) -> Outcome<&Constant> {
        match self.value(index)? {
            Value::Constant(constant) => Ok(constant),
            Value::Computed(_) => Err(format!("input {index} depends on the picture; only constants are read there")),
        }
    }

    /// A setting that older files hold as an attribute and newer ones as an input.
    fn ints(&self, attribute: &str, input: usize) -> Outcome<Option<Vec<i64>>> {
        match (self.operation.ints(attribute), self.get(input)) {
            (Some(values), _) => Ok(Some(values.to_vec())),
            (None, Some(_)) => self.constant(input)?.known_ints().map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The same for a number.
    fn float(&self, attribute: &str, input: usize) -> Outcome<Option<f64>> {
        match (self.operation.float(attribute), self.get(input)) {
            (Some(value), _) => Ok(Some(value)),
            (None, Some(_)) => self.constant(input)?.scalar().map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// An axis counted from the front.
fn axis(axis: i64, rank: usize) -> Outcome<usize> {
    let from_front = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    let inside = from_front.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < rank);
    inside.ok_or_else(|| format!("axis {axis} of {rank} axes"))
}

impl<'f> Importer<'f> {
    pub fn new(file: &'f OnnxFile, picture: [usize; 3], any_batch: bool, device: &Device) -> Self {
        let mut readers: HashMap<&str, usize> = HashMap::new();
        let read = file.graph.node.iter().flat_map(|node| &node.input);
        for name in read.chain(file.graph.output.iter().map(|output| &output.name)) {
            *readers.entry(name).or_default() += 1;
        }
        let stored = file.initializers();
        let graph = Graph::new(picture, any_batch, device);
        Self { graph, file, stored, values: HashMap::new(), readers, name: String::new(), folded: 0 }
    }

    /// Gives a value a name.
    pub fn set(&mut self, name: &'f str, value: Value) {
        self.values.insert(name, value);
    }

    /// A value by its name: computed before, or stored in the file.
    pub fn value(&self, name: &str) -> Outcome<Value> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let stored = self.stored.get(name).ok_or_else(|| {
            format!("it reads {name:?}, which nothing before it computes: the graph is cyclic, unordered or cut")
        })?;
        self.file.constant(stored).map(Value::Constant).map_err(|error| error.to_string())
    }

    /// Translates one operation.
    pub fn run(&mut self, node: &'f onnx_ir::NodeProto) -> Result<()> {
        let operation = Operation { node, opset: self.file.opset };
        let output = node.output.first().map_or("", String::as_str);
        self.name = if node.name.is_empty() { output.to_string() } else { node.name.clone() };
        let outputs = self.outputs(operation);
        let outputs = outputs.map_err(|problem| {
            self.file.refuse(format!("operation {:?} ({}): {problem}", self.name, operation.kind()))
        })?;
        for (name, value) in node.output.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
            self.values.insert(name, value);
        }
        Ok(())
    }

    fn outputs(&mut self, operation: Operation<'f>) -> Outcome<Vec<Value>> {
        let read = |name: &String| if name.is_empty() { Ok(None) } else { self.value(name).map(Some) };
        let values: Vec<Option<Value>> = operation.node.input.iter().map(read).collect::<Outcome<_>>()?;
        let inputs = Inputs { operation, values };
        if inputs.values.iter().flatten().all(|value| matches!(value, Value::Constant(_)))
            && let Some(folded) = fold::fold(self.file, &inputs)
        {
            let folded = folded?;
            self.folded += folded.iter().map(|constant| constant.data.bytes()).sum::<usize>();
            return match self.folded <= MOST_FOLDED {
                true => Ok(folded.into_iter().map(Value::Constant).collect()),
                false => Err("the constants computed so far are too large".into()),
            };
        }
        if let (kind @ ("Shape" | "Size"), Value::Computed(view)) = (operation.kind(), inputs.value(0)?) {
            let sizes = fold::part_of_shape(&inputs, self.graph.dims(view))?;
            let sizes = if kind == "Shape" { sizes } else { fold::product_of_all(&sizes)? };
            return Ok(vec![Value::Constant(sizes)]);
        }
        let views = self.computed(&inputs)?;
        views.into_iter().map(|view| self.graph.settle(view)).collect()
    }

    /// The operators that layers exist for.
    fn computed(&mut self, inputs: &Inputs<'f>) -> Outcome<Vec<View>> {
        let one = |view: Outcome<View>| view.map(|view| vec![view]);
        match inputs.operation.kind() {
            "Identity" | "Dropout" => one(self.view(inputs, 0)),
            // Numbers are single precision throughout.
            "Cast" | "CastLike" => one(self.view(inputs, 0)),
            "Conv" => one(self.convolution(inputs)),
            "Gemm" => one(self.gemm(inputs)),
            "MatMul" => one(self.matmul(inputs)),
            "Einsum" => one(self.einsum(inputs)),
            "MaxPool" => one(self.max_pool(inputs)),
            "AveragePool" => one(self.average_pool(inputs)),
            "GlobalAveragePool" => one(self.global_average_pool(inputs)),
            "GlobalMaxPool" => one(self.global_max_pool(inputs)),
            "BatchNormalization" => one(self.batch_norm(inputs)),
            "LayerNormalization" => one(self.layer_norm(inputs)),
            "InstanceNormalization" => one(self.group_norm(inputs, None)),
            "GroupNormalization" => one(self.group_norm(inputs, inputs.operation.int("num_groups"))),
            "LRN" => one(self.local_response_norm(inputs)),
            "Relu" => one(self.each(inputs, Layer::Relu)),
            "Add" | "Sum" | "Mul" | "Sub" | "Div" | "Max" | "Min" => one(self.arithmetic(inputs)),
            "Pow" => one(self.power(inputs)),
            "PRelu" => one(self.parametric_relu(inputs)),
            "Where" => one(self.choose(inputs)),
            "Softmax" => one(self.softmax(inputs)),
            "LogSoftmax" => one(self.softmax(inputs).and_then(|view| self.apply(Function::Log, &view))),
            "ReduceMean" | "ReduceSum" | "ReduceL2" => one(self.reduce(inputs)),
            "Reshape" => one(self.reshape(inputs)),
            "Flatten" => one(self.flatten(inputs)),
            "Squeeze" => one(self.squeeze(inputs)),
            "Unsqueeze" => one(self.unsqueeze(inputs)),
            "Transpose" => one(self.transpose(inputs)),
            "Concat" => one(self.concatenate(inputs)),
            "Split" => self.split(inputs),
            "Slice" => one(self.slice(inputs)),
            "Gather" => one(self.gather(inputs)),
            "Expand" => one(self.expand(inputs)),
            "Tile" => one(self.tile(inputs)),
            "Pad" => one(self.pad(inputs)),
            "Resize" | "Upsample" => one(self.resize(inputs)),
            kind => match elementwise::function(inputs)? {
                Some(function) => one(self.each(inputs, Layer::Function(function))),
                None => Err(format!("operator {kind} is not supported: export the model without it")),
            },
        }
    }

    /// An input as a layer's output.
    fn view(&mut self, inputs: &Inputs<'f>, index: usize) -> Outcome<View> {
        let value = inputs.value(index)?.clone();
        self.as_view(value)
    }

    fn as_view(&mut self, value: Value) -> Outcome<View> {
        match value {
            Value::Computed(view) => Ok(view),
            Value::Constant(constant) => self.graph.constant(&self.name, &constant),
        }
    }

    /// A layer that treats every value alike.
    fn each(&mut self, inputs: &Inputs<'f>, layer: Layer) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        self.graph.map(&self.name, layer, &view)
    }

    fn apply(&mut self, function: Function, view: &View) -> Outcome<View> {
        self.graph.map(&self.name, Layer::Function(function), view)
    }
}
