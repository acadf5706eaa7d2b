//! What is asked of embeddings while one tower is edited: margins, as sums over rows with what the other tower gave.
//!
//! A margin is a difference of cosines, so with unit-length embeddings it is linear in those of the edited tower: of images
//! `e(I) . (t(T) - t(T'))`, of texts `e(T) . i(I) - e(T') . i(I)`. The margin of a twin is the mean of its two: a preference for one
//! caption whatever stands beside it cancels there, and what is left is what a binding can move.

use crate::measure::Matrix;

/// The name of the target that asks which of two exchanged captions, or pictures, is right.
pub(super) const SWAP: &str = "swap";

/// A question whose answer is a margin for every twin.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// `swap`, `attribute:NAME` or `probe:NAME`.
    pub name: String,
    /// For each twin: the terms of its margin.
    pub twins: Vec<Vec<Term>>,
    /// For each twin what is added to them; 0 where empty.
    pub constants: Vec<f64>,
}

/// One row's part in a margin.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The row of the edited tower.
    pub row: usize,
    /// What its embedding of unit length is multiplied with.
    pub with: Vec<f32>,
}

impl Target {
    /// Whether a twin has as much of the opposite, so that what a patch takes can be brought back: of bindings, not of attributes.
    pub(super) fn is_exchanged(&self) -> bool {
        self.name == SWAP || self.name.contains(" x ")
    }

    /// The margin of every twin, of the `embeddings` `[row, unit]` of all rows, batch after batch of equal rows but the last.
    pub(super) fn margins(&self, embeddings: &[Matrix]) -> Vec<f64> {
        let batch = embeddings.first().map_or(1, Matrix::images).max(1);
        let term = |term: &Term| {
            let row = embeddings[term.row / batch].row(term.row % batch);
            row.iter().zip(&term.with).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
        };
        let constant = |twin: usize| self.constants.get(twin).copied().unwrap_or(0.0);
        self.twins.iter().enumerate().map(|(i, terms)| constant(i) + terms.iter().map(term).sum::<f64>()).collect()
    }
}
