//! Many passes in bounded memory.

use std::{fmt, ops::Range, sync::Arc};

use crate::{Error, Result};

/// One pass of a method that averages over changed pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Index of the picture in the batch that is being explained.
    pub image: usize,
    /// Index of the sample: 0, 1, … samples − 1.
    pub sample: usize,
}

type Observer = Arc<dyn Fn(usize, usize) + Send + Sync>;

/// Walks *pictures × samples* in order, at most `size` rows at a time.
///
/// A method with 50 samples on 8 pictures needs 400 passes; all at once they would not fit into memory, one at a time
/// they would leave a GPU idle. Rows come picture by picture, sample by sample, whatever the size is, so a method that
/// adds them up in order gives the same map for every size (up to the backend's rounding of larger batches).
#[derive(Clone)]
pub struct MicroBatcher {
    size: usize,
    observer: Option<Observer>,
}

impl MicroBatcher {
    /// Rows held at once unless told otherwise: what is fastest on a CPU, where larger batches leave its caches. A GPU
    /// wants more.
    pub const DEFAULT_SIZE: usize = 2;

    /// At most `size` rows at a time.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `size` is 0.
    pub fn new(size: usize) -> Result<Self> {
        if size == 0 {
            return Err(Error::parameter("batch", 0, "at least 1 picture must fit into a batch"));
        }
        Ok(Self { size, observer: None })
    }

    /// Calls `observer(rows done, rows in all)` after every micro-batch, for progress bars.
    pub fn with_observer(mut self, observer: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Rows held at once.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Calls `pass` with one micro-batch of rows after the other and stops at the first error.
    pub fn run(&self, images: usize, samples: usize, mut pass: impl FnMut(&[Row]) -> Result<()>) -> Result<()> {
        let total = images * samples;
        let row = |index| Row { image: index / samples, sample: index % samples };
        for start in (0..total).step_by(self.size) {
            let range: Range<usize> = start..(start + self.size).min(total);
            let end = range.end;
            pass(&range.map(row).collect::<Vec<_>>())?;
            if let Some(observer) = &self.observer {
                observer(end, total);
            }
        }
        Ok(())
    }
}

impl Default for MicroBatcher {
    fn default() -> Self {
        Self { size: Self::DEFAULT_SIZE, observer: None }
    }
}

impl fmt::Debug for MicroBatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MicroBatcher").field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn every_row_once_in_order_and_never_more_than_size() {
        for size in [1, 2, 4, 6, 100] {
            let mut seen = Vec::new();
            MicroBatcher::new(size)
                .unwrap()
                .run(2, 3, |rows| {
                    assert!(rows.len() <= size);
                    seen.extend(rows.iter().map(|row| (row.image, row.sample)));
                    Ok(())
                })
                .unwrap();
            assert_eq!(seen, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
        }
    }

    #[test]
    fn observer_sees_the_rows_and_errors_stop_the_walk() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let sink = calls.clone();
        let batcher =
            MicroBatcher::new(4).unwrap().with_observer(move |done, of| sink.lock().unwrap().push((done, of)));
        batcher.run(3, 2, |_| Ok(())).unwrap();
        assert_eq!(*calls.lock().unwrap(), [(4, 6), (6, 6)]);
        let mut passes = 0;
        let stopped = batcher.run(3, 2, |_| {
            passes += 1;
            Err(Error::Backend("out of memory".into()))
        });
        assert!(stopped.is_err() && passes == 1);
    }

    #[test]
    fn zero_is_refused() {
        assert!(MicroBatcher::new(0).unwrap_err().to_string().contains("`batch` is 0"));
    }
}
