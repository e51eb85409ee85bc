//! A network with more and more, or other and other, fresh layers.

use std::vec;

use burnsight_core::{Error, Result, Seed};
use burnsight_network::{Network, NodeId};

/// A network some of whose layers have fresh weights.
#[derive(Debug, Clone)]
pub struct RandomizedNetwork {
    /// The layer that was drawn anew last.
    pub layer: String,
    /// The network.
    pub network: Network,
}

/// A network with fresh weights in one layer after the other, from the logits to the pictures: the columns of the
/// paper's figures.
///
/// One network is made at a time. Layers share their weights with the original until they are drawn anew.
#[derive(Debug, Clone)]
pub struct RandomizedNetworks {
    /// What the next layer is drawn anew in.
    network: Network,
    is_cascading: bool,
    seed: Seed,
    /// What is left to be drawn anew, and whether that makes a network to hand out.
    layers: vec::IntoIter<(NodeId, bool)>,
}

impl RandomizedNetworks {
    /// Network k has fresh weights in the last k layers. Of these networks, in that order, the ones for `layers` only, if
    /// names are given.
    ///
    /// # Errors
    /// [`Error::Parameter`] for layers that are not there or have no weights, [`Error::Model`] when no layer has.
    pub fn cascading(network: &Network, layers: Option<&[String]>, seed: Seed) -> Result<Self> {
        let mut layers = from_the_logits(network, layers)?;
        // Below the last cut nothing needs to be drawn.
        let needed = layers.iter().rposition(|(_, is_cut)| *is_cut).map_or(0, |last| last + 1);
        layers.truncate(needed);
        Ok(Self { network: network.clone(), is_cascading: true, seed, layers: layers.into_iter() })
    }

    /// Network k has fresh weights in the k-th layer from the logits, and else those of the original. Of these networks,
    /// in that order, the ones for `layers` only, if names are given.
    ///
    /// # Errors
    /// As [`cascading`](Self::cascading).
    pub fn independent(network: &Network, layers: Option<&[String]>, seed: Seed) -> Result<Self> {
        let mut layers = from_the_logits(network, layers)?;
        layers.retain(|(_, is_cut)| *is_cut);
        Ok(Self { network: network.clone(), is_cascading: false, seed, layers: layers.into_iter() })
    }

    /// The names of the layers whose networks are still to come.
    pub fn layers(&self) -> Vec<String> {
        self.cuts().map(|id| self.network.node(id).name().into()).collect()
    }

    fn cuts(&self) -> impl Iterator<Item = NodeId> {
        self.layers.as_slice().iter().filter(|(_, is_cut)| *is_cut).map(|(id, _)| *id)
    }
}

impl Iterator for RandomizedNetworks {
    type Item = RandomizedNetwork;

    fn next(&mut self) -> Option<RandomizedNetwork> {
        loop {
            let (id, is_cut) = self.layers.next()?;
            let network = self.network.randomized(&[id], self.seed).expect("layers with weights can be drawn anew");
            if self.is_cascading {
                self.network = network.clone();
            }
            if is_cut {
                return Some(RandomizedNetwork { layer: network.node(id).name().into(), network });
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.cuts().count();
        (left, Some(left))
    }
}

impl ExactSizeIterator for RandomizedNetworks {}

/// The layers with weights from the logits to the pictures, and whether each is among `names`.
fn from_the_logits(network: &Network, names: Option<&[String]>) -> Result<Vec<(NodeId, bool)>> {
    let layers: Vec<(NodeId, &str)> =
        network.layers_with_weights().into_iter().rev().map(|id| (id, network.node(id).name())).collect();
    if layers.is_empty() {
        return Err(Error::model("network", "none of its layers has weights to draw anew"));
    }
    let available = || layers.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    if let Some(unknown) = names.iter().copied().flatten().find(|name| layers.iter().all(|(_, layer)| layer != name)) {
        let requirement = format!("no layer of that name leads to the logits with weights; there are {}", available());
        return Err(Error::parameter("layers", unknown, &requirement));
    }
    if names.is_some_and(<[String]>::is_empty) {
        return Err(Error::parameter("layers", "empty", &format!("name at least 1 of {}", available())));
    }
    let is_cut = |layer: &str| names.is_none_or(|names| names.iter().any(|name| name == layer));
    Ok(layers.into_iter().map(|(id, name)| (id, is_cut(name))).collect())
}
