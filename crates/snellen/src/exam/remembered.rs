//! What the questions of one sitting share: embeddings of what was shown before, and the untrained models that stand beside the examinee.
//!
//! A forward is most of what an exam costs, and questions show much of what others have shown: the captions of all classes, the single
//! objects and twins that are asked in other words. So nothing is embedded twice.

use crate::model::Model;
use blake3::Hash;
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// What is remembered of one examinee, for as long as it is asked: some kilobytes for each picture and caption that it was shown.
pub struct Remembered {
    pub(super) images: Rows,
    pub(super) texts: Rows,
    /// Units of an embedding, once there is one.
    pub(super) width: OnceLock<usize>,
    /// Of single objects and untrained models.
    pub(super) seed: u64,
    pub(super) controls: OnceLock<Vec<Control>>,
}

/// An untrained model of the examinee's shape, and what is remembered of it.
pub struct Control {
    /// As in reports.
    pub(super) name: String,
    pub(super) model: Model,
    pub(super) remembered: Remembered,
}

/// Embeddings by the content of what they are of.
#[derive(Default)]
pub(super) struct Rows(Mutex<HashMap<Hash, Vec<f32>>>);

impl Remembered {
    /// Nothing yet; single objects and untrained models will be those of `seed`.
    pub fn new(seed: u64) -> Self {
        let rows = Rows::default;
        Self { images: rows(), texts: rows(), width: OnceLock::new(), seed, controls: OnceLock::new() }
    }
}

impl Rows {
    pub(super) fn holds(&self, key: &Hash) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    /// Puts `rows` under `keys`.
    pub(super) fn put<'a>(&self, keys: impl IntoIterator<Item = Hash>, rows: impl IntoIterator<Item = &'a [f32]>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(keys.into_iter().zip(rows.into_iter().map(<[f32]>::to_vec)));
    }

    /// Those of `keys`, all of which it holds, one after another.
    pub(super) fn concat(&self, keys: &[Hash]) -> Vec<f32> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter().filter_map(|key| known.get(key)).flatten().copied().collect()
    }
}
