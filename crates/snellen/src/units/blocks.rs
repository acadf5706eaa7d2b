//! An array of a recording, a block of units at a time: so that what has to be in memory does not grow with the array.
//!
//! Ranks, p-values and intervals need all images of a unit, but of one unit only. An array of at most [`BLOCK_VALUES`] is read
//! once and kept. A larger one is read once for every block of as many units as stay below that, whatever its size; its numbers
//! come out the same.

use crate::measure::Matrix;
use crate::measure::design::Design;
use crate::measure::encodes::{Criterion, Encodings, encodes_in_blocks};
use crate::record::{ActivationStore, Layout, Progress};
use crate::{Error, Result};
use std::borrow::Cow;

/// The most values of an array that are in memory at once: 1 GiB. (One unit always is.)
pub(super) const BLOCK_VALUES: usize = 1 << 28;

/// One array, to be measured.
pub(super) struct Array<'a> {
    /// Where it is read from, unless all of it is in memory.
    stored: Option<(&'a ActivationStore, &'a Layout)>,
    /// All of it, where that is allowed.
    whole: Option<Matrix>,
    images: usize,
    units: usize,
    /// Units of a block.
    block: usize,
}

impl<'a> Array<'a> {
    /// The array of `layout` with at most `most` values in memory.
    pub(super) fn open(store: &'a ActivationStore, layout: &'a Layout, most: usize) -> Result<Self> {
        let (images, units) = (layout.shape[0], layout.row());
        let block = (most / images).clamp(1, units);
        let mut array = Self { stored: Some((store, layout)), whole: None, images, units, block };
        if block == units {
            let (_, values) = store.read(&layout.id)?;
            array.whole = Some(Matrix::new(images, units, values)?);
        }
        Ok(array)
    }

    /// An array that is in memory.
    pub(super) fn of(matrix: Matrix) -> Self {
        let (images, units) = (matrix.images(), matrix.units());
        Self { stored: None, whole: Some(matrix), images, units, block: units }
    }

    /// Every unit against every concept; stops between two blocks where `progress` says so.
    pub(super) fn encodes(&self, design: &Design, by: &Criterion, progress: &dyn Progress) -> Result<Encodings> {
        encodes_in_blocks(self.blocks(progress), design, by)
    }

    /// All of it, a block of neighbouring units after another.
    pub(super) fn blocks<'b>(
        &'b self,
        progress: &'b dyn Progress,
    ) -> impl Iterator<Item = Result<Cow<'b, Matrix>>> + use<'b, 'a> {
        (0..self.units.div_ceil(self.block)).map(move |block| {
            if progress.is_cancelled() {
                return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
            }
            if let Some(matrix) = &self.whole {
                return Ok(Cow::Borrowed(matrix));
            }
            let units: Vec<usize> = (block * self.block..((block + 1) * self.block).min(self.units)).collect();
            Ok(Cow::Owned(self.matrix(&units)?))
        })
    }

    /// The columns of `units`, `[image, unit]`.
    pub(super) fn columns(&self, units: &[usize]) -> Result<Vec<Vec<f32>>> {
        if let Some(matrix) = &self.whole {
            return Ok(units.iter().map(|&unit| matrix.column(unit)).collect());
        }
        let blocks = units.chunks(self.block).map(|units| {
            let matrix = self.matrix(units)?;
            Ok((0..units.len()).map(|unit| matrix.column(unit)).collect::<Vec<_>>())
        });
        Ok(blocks.collect::<Result<Vec<_>>>()?.concat())
    }

    fn matrix(&self, units: &[usize]) -> Result<Matrix> {
        let Some((store, layout)) = self.stored else { unreachable!("what is not stored is in memory") };
        Matrix::new(self.images, units.len(), store.read_units(&layout.id, units)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Confidence;
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
            assert_eq!(array.whole.is_some(), most >= images * units);
            Ok((array.encodes(&design, &criterion, &())?, array.columns(&[20, 3, 0])?))
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
