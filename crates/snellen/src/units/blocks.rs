//! An array of a recording, a block of units at a time: so that what has to be in memory does not grow with the array.
//!
//! Ranks, p-values and intervals need all images of a unit, but of one unit only. An array of at most [`BLOCK_VALUES`] is read
//! once and kept. Of a larger one a pass reads a block of as many units as stay below that after another, whatever its size; its numbers
//! come out the same.

use crate::measure::Matrix;
use crate::record::{ActivationStore, Layout, Progress};
use crate::{Error, Result};
use std::borrow::Cow;

/// The most values of an array that are in memory at once: 1 GiB. (One unit always is.)
pub(super) const BLOCK_VALUES: usize = 1 << 28;

/// Where an array lies that is not in memory.
pub(super) trait Stored {
    /// All of it, row after row.
    fn all(&self) -> Result<Vec<f32>>;

    /// The columns of `units`, `[image, unit]`.
    fn units(&self, units: &[usize]) -> Result<Vec<f32>>;
}

impl Stored for (&ActivationStore, &Layout) {
    fn all(&self) -> Result<Vec<f32>> {
        Ok(self.0.read(&self.1.id)?.1)
    }

    fn units(&self, units: &[usize]) -> Result<Vec<f32>> {
        self.0.read_units(&self.1.id, units)
    }
}

/// One array, to be measured.
pub(super) struct Array<'a> {
    values: Values<'a>,
    images: usize,
    units: usize,
    /// Units of a block.
    block: usize,
}

enum Values<'a> {
    Held(Matrix),
    Stored(Box<dyn Stored + 'a>),
}

impl<'a> Array<'a> {
    /// The array of `layout` with at most `most` values in memory.
    pub(super) fn open(store: &'a ActivationStore, layout: &'a Layout, most: usize) -> Result<Self> {
        Self::stored((store, layout), [layout.shape[0], layout.row()], most)
    }

    /// An array `[image, unit]` that lies in `stored`, with at most `most` values in memory.
    pub(super) fn stored(stored: impl Stored + 'a, [images, units]: [usize; 2], most: usize) -> Result<Self> {
        let block = (most / images).clamp(1, units);
        if block == units {
            return Ok(Self::of(Matrix::new(images, units, stored.all()?)?));
        }
        Ok(Self { values: Values::Stored(Box::new(stored)), images, units, block })
    }

    /// An array that is in memory.
    pub(super) fn of(matrix: Matrix) -> Self {
        let (images, units) = (matrix.images(), matrix.units());
        Self { values: Values::Held(matrix), images, units, block: units }
    }

    /// How many units it has.
    pub(super) fn units(&self) -> usize {
        self.units
    }

    /// All of it, a block of neighbouring units after another; each is read when it is asked for. Stops before one where `progress` says so.
    pub(super) fn blocks<'b>(
        &'b self,
        progress: &'b dyn Progress,
    ) -> impl Iterator<Item = Result<Cow<'b, Matrix>>> + use<'b, 'a> {
        (0..self.units.div_ceil(self.block)).map(move |block| {
            Self::go_on(progress)?;
            match &self.values {
                Values::Held(matrix) => Ok(Cow::Borrowed(matrix)),
                Values::Stored(stored) => {
                    let units = block * self.block..((block + 1) * self.block).min(self.units);
                    Ok(Cow::Owned(self.read(stored.as_ref(), &units.collect::<Vec<_>>())?))
                }
            }
        })
    }

    /// # Errors
    /// When `progress` says to stop.
    pub(super) fn go_on(progress: &dyn Progress) -> Result<()> {
        if progress.is_cancelled() {
            return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
        }
        Ok(())
    }

    /// The columns of `units`, each one number an image; read at once where they fit a block.
    pub(super) fn columns(&self, units: &[usize]) -> Result<Vec<Vec<f32>>> {
        let of = |matrix: &Matrix, units: &[usize]| units.iter().map(|&unit| matrix.column(unit)).collect::<Vec<_>>();
        match &self.values {
            Values::Held(matrix) => Ok(of(matrix, units)),
            Values::Stored(stored) => {
                let blocks = units.chunks(self.block).map(|units| {
                    let matrix = self.read(stored.as_ref(), units)?;
                    Ok(of(&matrix, &(0..units.len()).collect::<Vec<_>>()))
                });
                Ok(blocks.collect::<Result<Vec<_>>>()?.concat())
            }
        }
    }

    fn read(&self, stored: &dyn Stored, units: &[usize]) -> Result<Matrix> {
        Matrix::new(self.images, units.len(), stored.units(units)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::encodes::{Criterion, encodes_in_blocks};
    use crate::measure::{Confidence, Design};
    use crate::record::{ArrayId, StoreWriter};
    use crate::scene::Concept;

    #[test]
    fn what_is_in_memory_at_once_changes_no_number() -> Result<()> {
        let (images, units) = (200, 21);
        let id: ArrayId = "blocks.0.mlp.hook_post/mean".parse()?;
        let dimensions = ["image", "unit"].map(str::to_owned).to_vec();
        let layout = Layout { id: id.clone(), shape: vec![images, units], dimensions };
        let home = tempfile::tempdir().map_err(Error::io("home"))?;
        let folder = home.path().join("store");
        let mut writer = StoreWriter::create(&folder, vec![layout])?;
        let held = |image: usize| image.is_multiple_of(3);
        let value = |image: usize, unit: usize| {
            let noise = (image * 7919 + unit * 104_729) % 1009;
            noise as f32 + if unit.is_multiple_of(5) && held(image) { 700.0 } else { 0.0 }
        };
        let values: Vec<f32> = (0..images * units).map(|i| value(i / units, i % units)).collect();
        writer.append(&id, &values)?;
        writer.finish()?;
        let store = ActivationStore::open(&folder)?;
        let concept = Concept { factor: "color".to_owned(), value: "red".to_owned() };
        let strata = (0..images).map(|image| 1 + image / 100).collect();
        let design = Design::new(vec![concept], vec![(0..images).map(held).collect()], strata)?;
        let criterion = Criterion { q: 0.05, min_effect: 0.3, confidence: Confidence::new(0.95)?, seed: 1 };
        let of = |most: usize| -> Result<_> {
            let array = Array::open(&store, &store.arrays()[0], most)?;
            assert_eq!(matches!(array.values, Values::Held(_)), most >= images * units);
            Ok((encodes_in_blocks(array.blocks(&()), &design, &criterion)?, array.columns(&[20, 3, 0])?))
        };
        let whole = of(images * units)?;
        assert_eq!(whole.0.summary.encoding.any, 5);
        assert_eq!(whole.1[1][5].to_bits(), value(5, 3).to_bits());
        for most in [0, images, images * 16, images * units - 1] {
            assert_eq!(of(most)?, whole);
        }
        Ok(())
    }
}
