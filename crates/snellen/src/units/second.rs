//! A second encoder's embeddings of the images, by which the monosemanticity score judges units.

use crate::measure::Matrix;
use crate::measure::stream::{Batch, Measure, Monosemanticity, MonosemanticityScores};
use crate::tensors::{Tensors, left_alone};
use crate::{Error, Result};
use std::path::Path;

/// The tensor's name, where the file has several.
const TENSOR: &str = "image_embeds";
/// Units whose sums are in memory at once.
const UNITS: usize = 4096;

/// Where a second encoder's embeddings are.
#[derive(Clone, Copy, Debug)]
pub struct Second<'a> {
    /// Safetensors, .npy or .npz.
    pub file: &'a Path,
    /// The tensor, `[image, width]`; `None` for `image_embeds`, or the only one that can be embeddings.
    pub tensor: Option<&'a str>,
}

/// Embeddings `[image, width]`.
pub(super) struct SecondEncoder {
    width: usize,
    values: Vec<f32>,
    /// What is worth a line: what was left alone.
    pub(super) notes: Vec<String>,
}

impl SecondEncoder {
    /// Reads a row for each of `images` images.
    ///
    /// # Errors
    /// Names file and tensor, and row and column of what is no number.
    pub(super) fn open(second: Second<'_>, images: usize) -> Result<Self> {
        let tensors = Tensors::open(second.file)?;
        let chosen = tensors.choose_one(second.tensor, TENSOR, images)?;
        let name = chosen.names[0].as_str();
        let [rows, width] = tensors.shape(name)?;
        if rows != images {
            let expected = format!("[{images}, width]: a row for each row of the labels");
            return Err(Error::mismatch(tensors.place(name), expected, format!("[{rows}, {width}]")));
        }
        let values: Vec<f32> = tensors.numbers(name, |x| x as f32)?;
        for (row, embedding) in values.chunks(width).enumerate() {
            if let Some(column) = embedding.iter().position(|x| !x.is_finite()) {
                let place = format!("{}: row {}, column {}", tensors.place(name), row + 1, column + 1);
                return Err(Error::mismatch(place, "a finite number", embedding[column]));
            }
            if embedding.iter().all(|x| x.abs() <= 0.0) {
                let place = format!("{}: row {}", tensors.place(name), row + 1);
                return Err(Error::mismatch(place, "numbers that are not all 0", "0 everywhere"));
            }
        }
        let left = &chosen.left_alone;
        let notes = if left.is_empty() { Vec::new() } else { vec![left_alone(second.file, left)] };
        Ok(Self { width, values, notes })
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
