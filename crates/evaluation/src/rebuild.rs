//! Networks with some layers changed.

use std::collections::BTreeMap;

use burnsight_core::Result;
use burnsight_network::{Network, NetworkBuilder, Node, NodeId};

/// Builds a network anew. `add` adds what takes the place of a layer and returns what its readers read; it is given the
/// layer's id and node in the original, and its inputs in the new network.
pub fn rebuild(
    network: &Network,
    mut add: impl FnMut(&mut NetworkBuilder, NodeId, &Node, &[NodeId]) -> Result<NodeId>,
) -> Result<Network> {
    let mut builder = NetworkBuilder::new();
    let mut places = BTreeMap::from([(network.input(), builder.input())]);
    // What stands behind the logits leads nowhere.
    for (id, node) in network.nodes().skip(1).filter(|(id, _)| *id <= network.output()) {
        let inputs: Vec<NodeId> = node.inputs().iter().map(|input| places[input]).collect();
        places.insert(id, add(&mut builder, id, node, &inputs)?);
    }
    builder.build()
}
