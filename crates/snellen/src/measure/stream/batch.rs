//! Some rows of activations, and which images they belong to.

use super::same;
use crate::{Error, Result};
use rayon::prelude::*;

/// Neighbouring units that one thread takes together: four cache lines of a row.
const BLOCK: usize = 64;

/// Activations `[row, unit]` of some images, and where a measure asks for them their embeddings `[row, width]`.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    images: Images<'a>,
    units: usize,
    values: &'a [f32],
    width: usize,
    embeddings: &'a [f32],
}

/// Which image a row belongs to.
#[derive(Clone, Copy, Debug)]
enum Images<'a> {
    /// One after another, from this one.
    From(usize),
    Listed(&'a [usize]),
}

impl<'a> Batch<'a> {
    /// `values` as the rows of consecutive images, of which the first has the index `first`; `units` numbers each. Any float is
    /// allowed.
    ///
    /// # Errors
    /// When there are no units, `values` are no whole rows, or an index exceeds 32 bits.
    pub fn new(first: usize, units: usize, values: &'a [f32]) -> Result<Self> {
        if units == 0 || !values.len().is_multiple_of(units) {
            return Err(Error::mismatch("batch", format!("rows of {units} values, at least one"), values.len()));
        }
        let last = first.saturating_add(values.len() / units);
        check_index(last)?;
        Ok(Self { images: Images::From(first), units, values, width: 0, embeddings: &[] })
    }

    /// `values` as the rows of the `images` listed, `units` numbers each.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when there are not as many rows as images.
    pub fn listed(images: &'a [usize], units: usize, values: &'a [f32]) -> Result<Self> {
        let batch = Self { images: Images::Listed(images), ..Self::new(0, units, values)? };
        if batch.rows() != images.len() {
            return Err(Error::mismatch("batch", format!("{} rows, one for each image", images.len()), batch.rows()));
        }
        images.iter().try_for_each(|&image| check_index(image))?;
        Ok(batch)
    }

    /// The same with embeddings of the images, `width` numbers each, of any length but 0.
    ///
    /// # Errors
    /// When they are not as many rows as the activations.
    pub fn with_embeddings(self, width: usize, embeddings: &'a [f32]) -> Result<Self> {
        if width == 0 || width.checked_mul(self.rows()) != Some(embeddings.len()) {
            let expected = format!("{} rows of {width} values, at least one", self.rows());
            return Err(Error::mismatch("batch: embeddings", expected, embeddings.len()));
        }
        Ok(Self { width, embeddings, ..self })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.units
    }

    /// Number of columns.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The index of the image that `row` belongs to.
    pub fn image(&self, row: usize) -> usize {
        match self.images {
            Images::From(first) => first + row,
            Images::Listed(images) => images[row],
        }
    }

    /// All rows, `[row, unit]`.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Numbers of an embedding; 0 where there are none.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All embeddings, `[row, width]`.
    pub fn embeddings(&self) -> &'a [f32] {
        self.embeddings
    }

    /// Refuses a batch that has not as many units as `measure` was made for.
    pub(super) fn check_units(&self, measure: &str, units: usize) -> Result<()> {
        same(&format!("{measure}: batch"), "units", units, self.units)
    }

    /// Shows every value, with its image, to the state of its unit: row after row.
    pub(super) fn each<S: Send>(&self, states: &mut [S], see: impl Fn(&mut S, u32, f32) + Sync) {
        states.par_chunks_mut(BLOCK).enumerate().for_each(|(block, states)| {
            for (row, values) in self.values.chunks_exact(self.units).enumerate() {
                let image = self.image(row) as u32;
                states.iter_mut().zip(&values[block * BLOCK..]).for_each(|(state, &value)| see(state, image, value));
            }
        });
    }
}

/// Indices are kept in 32 bits; the last one is left for none.
fn check_index(image: usize) -> Result<()> {
    if image < u32::MAX as usize {
        return Ok(());
    }
    Err(Error::mismatch("batch: image", format!("an index below {}", u32::MAX), image))
}
