//! Choosing some of many.

use burnsight::{Result, Seed, read};

/// So many of the items, all equally likely, in random order.
pub fn draw<T: Clone>(items: &[T], count: usize, seed: Seed) -> Result<Vec<T>> {
    let keys: Vec<f32> = read(seed.uniform(0, [items.len()], &Default::default()))?;
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
    Ok(order.into_iter().take(count).map(|index| items[index].clone()).collect())
}
