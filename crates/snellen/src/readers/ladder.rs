//! How many examples a reader gets: the sizes of its learning curve.

use super::Reader;
use crate::measure::Confidence;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Training sizes, and what is made at each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// Training rows, ascending; those above 4 / 5 of what there is are left out, and all there is comes last.
    pub sizes: Vec<usize>,
    /// Training sets drawn at a size for each split, at most; no more than fill the training rows once.
    pub draws: usize,
    /// Whether the shuffled null is read as well.
    pub null: bool,
    /// Of all intervals.
    pub confidence: Confidence,
}

/// One size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    pub size: usize,
    pub draws: usize,
}

impl Ladder {
    /// 120, 250, 500, 1,000, 2,000 and all; up to 4 draws; with the null.
    pub fn standard(confidence: Confidence) -> Self {
        Self { sizes: vec![120, 250, 500, 1000, 2000], draws: 4, null: true, confidence }
    }

    /// The largest size alone.
    pub fn all(confidence: Confidence) -> Self {
        Self { sizes: Vec::new(), draws: 1, null: true, confidence }
    }

    /// The sizes used where `rows` are there to learn from.
    pub(super) fn rungs(&self, rows: usize, reader: &Reader) -> Result<Vec<Rung>> {
        let ascending = self.sizes.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || self.draws == 0 {
            let got = format!("{:?} and {} draws", self.sizes, self.draws);
            return Err(Error::mismatch("ladder", "ascending sizes and at least one draw", got));
        }
        let least = 2 * reader.fewest();
        if rows < least || self.sizes.first().is_some_and(|size| *size < least) {
            let got = format!("{:?} of {rows}", self.sizes);
            return Err(Error::mismatch("ladder", format!("training sizes of {least} rows or more"), got));
        }
        let below = self.sizes.iter().copied().filter(|size| 5 * size <= 4 * rows);
        let rung = |size: usize| Rung { size, draws: self.draws.min(rows / size) };
        Ok(below.chain([rows]).map(rung).collect())
    }
}
