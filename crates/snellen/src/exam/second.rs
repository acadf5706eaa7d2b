//! A second encoder's embeddings of the images, by which the monosemanticity score judges units.

use crate::measure::Matrix;
use crate::measure::stream::{Batch, Measure, Monosemanticity, MonosemanticityScores};
use crate::tensors::Tensors;
use crate::{Error, Result};
use std::path::Path;

/// The tensor's name, where the file has several.
const TENSOR: &str = "image_embeds";
/// Units whose sums are in memory at once.
const UNITS: usize = 4096;

/// Embeddings `[image, width]`.
pub(super) struct SecondEncoder {
    width: usize,
    values: Vec<f32>,
}

impl SecondEncoder {
    /// Reads `image_embeds`, or the only tensor, of the file at `path`: a row for each of `images` images.
    ///
    /// # Errors
    /// Names file and tensor.
    pub(super) fn open(path: &Path, images: usize) -> Result<Self> {
        let tensors = Tensors::open(path)?;
        let name = tensors.one(TENSOR)?;
        let [rows, width] = tensors.shape(name)?;
        if rows != images {
            let expected = format!("[{images}, width]: a row for each row of the labels");
            return Err(Error::mismatch(tensors.place(name), expected, format!("[{rows}, {width}]")));
        }
        let values: Vec<f32> = tensors.numbers(name, |x| x as f32)?;
        for (row, embedding) in values.chunks(width).enumerate() {
            let wrong = embedding.iter().find(|x| !x.is_finite());
            let none = embedding.iter().all(|x| x.abs() <= 0.0);
            if let Some(wrong) = wrong.copied().or(none.then_some(0.0)) {
                let place = format!("{}: row {}", tensors.place(name), row + 1);
                return Err(Error::mismatch(place, "finite numbers, not all 0", wrong));
            }
        }
        Ok(Self { width, values })
    }

    /// The scores of the units of `matrix`.
    ///
    /// # Errors
    /// When it has other images.
    pub(super) fn scores(&self, matrix: &Matrix) -> Result<MonosemanticityScores> {
        let mut all = MonosemanticityScores { units: Vec::new(), by_chance: None };
        for first in (0..matrix.units()).step_by(UNITS) {
            let part = matrix.part(first..(first + UNITS).min(matrix.units()));
            let mut measure = Monosemanticity::new(part.units(), self.width)?;
            let batch = Batch::new(0, part.units(), part.values())?;
            measure.observe(batch.with_embeddings(self.width, &self.values)?)?;
            let scores = measure.finish();
            all.units.extend(scores.units);
            all.by_chance = scores.by_chance;
        }
        Ok(all)
    }
}
