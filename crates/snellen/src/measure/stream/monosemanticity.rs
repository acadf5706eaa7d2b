//! The monosemanticity score of every unit: how alike the images are on which it is active, in the eyes of a second encoder.
//!
//! Pach et al. 2025 (arXiv 2504.02821). With a~ = (a - min) / (max - min) of a unit's activations and e_i the embedding of image
//! i, scaled to unit length,
//!
//! ```text
//! MS = sum_{i<j} a~_i a~_j cos(e_i, e_j) / sum_{i<j} a~_i a~_j
//!    = (|sum a~_i e_i|^2 - sum a~_i^2) / ((sum a~_i)^2 - sum a~_i^2),
//! ```
//!
//! a mean of cosines in [-1, 1], weighted by both activations. The normaliser is the sum of weights; the paper's first version
//! divided by the number of pairs, which makes units that are rarely active small.
//!
//! One pass suffices, though min and max are known only at its end: with b = a - min, which the ratio leaves in place of a~,
//! sum b e = sum a e - min sum e, sum b = sum a - n min, sum b^2 = sum a^2 - 2 min sum a + n min^2. Kept are sum a e of every unit (8
//! bytes for each unit and coordinate, 25 MB with 4,096 and 768) and double-double sums of a and a^2. Splits change a score by
//! rounding in sum a e alone, about 1e-14 times |min| n / sum b of the unit, and again as 1 / n where only few images are active.

use super::moments::UnitSums;
use super::sum::Sum;
use super::{Batch, Measure, same};
use crate::{Error, Result};
use rayon::prelude::*;

/// Rows whose embeddings one thread reads again and again.
const ROWS: usize = 32;

/// The units' sums so far.
#[derive(Clone, Debug)]
pub struct Monosemanticity {
    width: usize,
    units: Vec<UnitSums>,
    /// sum a e, `[unit, width]`, of finite a.
    embedded: Vec<f64>,
    /// sum e.
    embeddings: Vec<f64>,
    images: usize,
}

/// The scores of all units.
#[derive(Clone, Debug, PartialEq)]
pub struct MonosemanticityScores {
    /// Per unit, in [-1, 1] up to rounding. `None` where a value is not finite, and for a dead unit: one that no two images lift
    /// above its smallest value.
    pub units: Vec<Option<f64>>,
    /// What a unit that knows nothing of the embeddings gets on average, over all ways to deal its activations out to the
    /// images: the mean cosine of two images. `None` with fewer than two images.
    pub by_chance: Option<f64>,
}

impl Monosemanticity {
    /// Of `units` units, with embeddings of `width` numbers.
    ///
    /// # Errors
    /// When the width is 0.
    pub fn new(units: usize, width: usize) -> Result<Self> {
        if width == 0 {
            return Err(Error::mismatch("monosemanticity: embeddings", "at least one number", width));
        }
        Ok(Self {
            width,
            units: vec![UnitSums::NONE; units],
            embedded: vec![0.0; units * width],
            embeddings: vec![0.0; width],
            images: 0,
        })
    }

    /// The score of the unit whose sums these are.
    fn score(&self, unit: &UnitSums, embedded: &[f64]) -> Option<f64> {
        if unit.non_finite > 0 || unit.count < unit.at_min + 2 {
            return None;
        }
        let (n, min) = (Sum::of(unit.count as f64), Sum::of(f64::from(unit.min)));
        let sum = unit.sum.minus(n.times(min));
        let squares = unit.squares.minus(Sum::of(2.0).times(min.times(unit.sum))).plus(n.times(min.times(min)));
        let shifted = embedded.iter().zip(&self.embeddings).map(|(ae, e)| ae - min.value() * e);
        let length = shifted.map(|x| x * x).sum::<f64>();
        Some(Sum::of(length).minus(squares).value() / sum.times(sum).minus(squares).value())
    }
}

impl Measure for Monosemanticity {
    type Output = MonosemanticityScores;

    fn observe(&mut self, batch: Batch<'_>) -> Result<()> {
        batch.check_units("monosemanticity", self.units.len())?;
        same("monosemanticity: batch", "numbers in an embedding", self.width, batch.width())?;
        let embeddings = unit_length(&batch)?;
        for embedding in embeddings.chunks_exact(self.width) {
            self.embeddings.iter_mut().zip(embedding).for_each(|(sum, e)| *sum += e);
        }
        self.images += batch.rows();
        batch.each(&mut self.units, |unit, _, value| unit.see(value));
        let units = batch.units();
        let rows = batch.values().chunks(ROWS * units).zip(embeddings.chunks(ROWS * self.width));
        for (values, embeddings) in rows {
            self.embedded.par_chunks_mut(self.width).enumerate().for_each(|(unit, sums)| {
                let column = values.iter().skip(unit).step_by(units);
                for (&value, embedding) in column.zip(embeddings.chunks_exact(sums.len())) {
                    if value.is_finite() && value != 0.0 {
                        let value = f64::from(value);
                        sums.iter_mut().zip(embedding).for_each(|(sum, e)| *sum += value * e);
                    }
                }
            });
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        same("monosemanticity: merge", "units", self.units.len(), other.units.len())?;
        same("monosemanticity: merge", "numbers in an embedding", self.width, other.width)?;
        self.units.iter_mut().zip(&other.units).for_each(|(unit, other)| unit.merge(other));
        self.embedded.iter_mut().zip(other.embedded).for_each(|(sum, other)| *sum += other);
        self.embeddings.iter_mut().zip(other.embeddings).for_each(|(sum, other)| *sum += other);
        self.images += other.images;
        Ok(())
    }

    fn finish(self) -> MonosemanticityScores {
        let units = self.units.iter().zip(self.embedded.chunks_exact(self.width));
        let units = units.map(|(unit, embedded)| self.score(unit, embedded)).collect();
        let n = self.images as f64;
        let length = self.embeddings.iter().map(|e| e * e).sum::<f64>();
        MonosemanticityScores { units, by_chance: (self.images > 1).then(|| (length - n) / (n * (n - 1.0))) }
    }
}

/// The embeddings of `batch`, each of length 1.
fn unit_length(batch: &Batch<'_>) -> Result<Vec<f64>> {
    let mut scaled: Vec<f64> = batch.embeddings().iter().map(|&x| f64::from(x)).collect();
    for (row, embedding) in scaled.chunks_exact_mut(batch.width()).enumerate() {
        let length = embedding.iter().map(|x| x * x).sum::<f64>().sqrt();
        if !(length.is_finite() && length > 0.0) {
            let place = format!("monosemanticity: embedding of image {}", batch.image(row));
            return Err(Error::mismatch(place, "finite numbers, not all 0", format!("length {length}")));
        }
        embedding.iter_mut().for_each(|x| *x /= length);
    }
    Ok(scaled)
}
