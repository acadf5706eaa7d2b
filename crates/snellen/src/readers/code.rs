//! What the answers cost in bits on the way up a learning curve.
//!
//! The code is the online one of Voita & Titov 2020 (arXiv 2003.12298): the first block of answers by the uniform code, every next
//! one by a reader that learnt from the blocks before. Its blocks end at the ladder's sizes, so it costs no further training.

use super::Task;
use super::paired::{between_sets, weighted, widened};
use crate::Result;
use crate::measure::Confidence;
use crate::measure::proportion::Difference;
use serde::{Deserialize, Serialize};

/// The online code of the answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// Bits for each answer.
    pub bits: Difference,
    /// Bits for each answer under the uniform code over candidates.
    pub uniform: f64,
    /// `uniform / bits`: 1 says that nothing was learnt.
    pub compression: f64,
    /// What `bits` is the mean of.
    #[serde(skip)]
    pub coded: Coded,
}

/// The code row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coded {
    /// Rows, ascending.
    pub rows: Vec<usize>,
    /// How often each stands in a block, in shares of the code; they add up to 1.
    pub weights: Vec<f64>,
    /// Its mean bits.
    pub bits: Vec<f64>,
    /// Share of the code that each block after the first has, by the size that its reader learnt from.
    pub shares: Vec<f64>,
    /// Of each of these blocks, the mean bits by training set, split after split.
    pub by_set: Vec<Vec<f64>>,
}

impl Coded {
    /// Bits of `control`, or none, less these, for an answer; `rungs` are sizes and draws.
    pub(super) fn less(
        &self,
        control: Option<&Self>,
        rungs: &[(usize, usize)],
        task: &Task,
        confidence: Confidence,
    ) -> Result<Difference> {
        let clusters: Vec<u64> = self.rows.iter().map(|row| task.clusters()[*row]).collect();
        let rows = (&clusters[..], &self.weights[..]);
        let (found, sets) = match control {
            None => (weighted(&self.bits, &vec![0.0; clusters.len()], rows, confidence)?, self.by_set.clone()),
            Some(control) => {
                let apart = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| b - a).collect();
                let sets = self.by_set.iter().zip(&control.by_set).map(apart).collect();
                (weighted(&control.bits, &self.bits, rows, confidence)?, sets)
            }
        };
        let more = between_sets(rungs, &sets.iter().map(Vec::as_slice).collect::<Vec<_>>(), Some(self.rows.len()));
        // Larger sets of an order hold its smaller ones, so their errors go together.
        let deviation: f64 = more.iter().zip(&self.shares).map(|(more, share)| more.sqrt() * share).sum();
        Ok(widened(found, deviation * deviation, confidence))
    }
}
