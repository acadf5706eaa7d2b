//! Measures of data that exceed memory: they see some images at a time, in any order, on any number of machines.
//!
//! A [`Measure`] accumulates: `observe` takes a [`Batch`], `merge` what another has seen, `finish` makes the answer. However
//! the images are split into batches, and in whatever order and grouping these are merged, the answer is that of one pass: to
//! the last bit where it rests on counts and order (top images, AUROC), to a tolerance that the measure states where it rests
//! on sums of floats. Measures side by side are a tuple. Each image is to be observed once; an image that is observed twice
//! counts twice.
//!
//! Where the data fit in memory, the functions of a whole [`Matrix`](super::Matrix) say more (p-values, intervals).

mod auroc;
mod batch;
mod bins;
mod moments;
mod monosemanticity;
mod sum;
mod top;

pub use auroc::{Aurocs, EXACT_IMAGES, FLUSH_ROWS, MANTISSA_BITS, Resolution, StratifiedAuroc};
pub use batch::Batch;
pub use bins::Score;
pub use moments::{Moments, UnitMoments};
pub use monosemanticity::{Monosemanticity, MonosemanticityScores};
pub use top::{Ranked, TopImages};

use crate::{Error, Result};

/// Something that is known of units once all images were seen, whatever way they came.
///
/// `observe` on two parts of the images, then `merge`, equals observing the whole. After an error a measure has seen a part
/// of its batch, and is of no more use.
pub trait Measure: Sized {
    /// The answer.
    type Output;

    /// Takes in the images of `batch`.
    ///
    /// # Errors
    /// When the batch does not fit: another number of units, images that the measure has no labels of, no embeddings where it
    /// needs them.
    fn observe(&mut self, batch: Batch<'_>) -> Result<()>;

    /// Takes in all that `other` has seen.
    ///
    /// # Errors
    /// When the two do not measure the same.
    fn merge(&mut self, other: Self) -> Result<()>;

    /// The answer for the images seen.
    fn finish(self) -> Self::Output;
}

/// Both measures of the same batches.
impl<A: Measure, B: Measure> Measure for (A, B) {
    type Output = (A::Output, B::Output);

    fn observe(&mut self, batch: Batch<'_>) -> Result<()> {
        self.0.observe(batch)?;
        self.1.observe(batch)
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.0.merge(other.0)?;
        self.1.merge(other.1)
    }

    fn finish(self) -> Self::Output {
        (self.0.finish(), self.1.finish())
    }
}

/// Refuses what differs between a measure and what it takes in; `what` says of which kind the numbers are.
fn same(place: &str, what: &str, own: usize, other: usize) -> Result<()> {
    if own == other {
        return Ok(());
    }
    Err(Error::mismatch(place, format!("{own} {what}"), other))
}
