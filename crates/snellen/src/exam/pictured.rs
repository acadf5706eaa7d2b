//! Pictures of the user's own as an examinee has them, and as they are.

use super::pictures::Pictures;
use super::sitting::Sitting;
use crate::Result;
use crate::measure::Matrix;
use crate::model::{Model, Preprocessing};
use crate::record::{read_pixels, read_rgb};
use image::imageops::{FilterType, resize};
use rayon::prelude::*;
use std::path::PathBuf;

/// Pictures of a forward.
const BATCH: usize = 32;
/// Height and width of the pictures that a reader of raw pixels is given.
const PIXELS: u32 = 32;

impl Pictures {
    /// Embeddings `[row, unit]`, each of length 1, of the examinee of `sitting`.
    ///
    /// # Errors
    /// When a picture is refused, and as [`Sitting::images`].
    pub(super) fn embed(&self, sitting: &Sitting<'_>, rows: &[usize]) -> Result<Matrix> {
        if let Some(model) = sitting.examinee.model() {
            return self.of_model(model, sitting, rows);
        }
        let plain = Preprocessing::named("study", sitting.examinee.side() as usize)?;
        let read = |batch: &[usize]| -> Result<Matrix> {
            let images = batch.par_iter().map(|row| read_rgb(&self.source.path(*row), &plain));
            sitting.examinee.images(&images.collect::<Result<Vec<_>>>()?)
        };
        sitting.rows("image", rows, read)
    }

    /// The same of `model`, which reads files as its preprocessing says.
    pub(super) fn of_model(&self, model: &Model, sitting: &Sitting<'_>, rows: &[usize]) -> Result<Matrix> {
        sitting.rows("image", rows, |rows| {
            let mut values = Vec::new();
            for batch in rows.chunks(BATCH) {
                let paths: Vec<PathBuf> = batch.iter().map(|row| self.source.path(*row)).collect();
                let embeds = model.encode_pixels(&read_pixels(&paths, &model.preprocessing)?, &mut ())?;
                values.extend_from_slice(embeds.data());
            }
            Matrix::new(rows.len(), values.len() / rows.len().max(1), values)
        })
    }

    /// `[row, value]`: the pictures themselves, made small.
    pub(super) fn pixels(&self, sitting: &Sitting<'_>, rows: &[usize]) -> Result<Matrix> {
        let plain = Preprocessing::named("study", sitting.examinee.side() as usize)?;
        let preprocessing = sitting.examinee.model().map_or(&plain, |model| &model.preprocessing);
        let row = |row: &usize| -> Result<Vec<f32>> {
            let small =
                resize(&read_rgb(&self.source.path(*row), preprocessing)?, PIXELS, PIXELS, FilterType::Triangle);
            Ok(small.into_raw().into_iter().map(|x| f32::from(x) / 255.0).collect())
        };
        let values: Vec<Vec<f32>> = rows.par_iter().map(row).collect::<Result<_>>()?;
        Matrix::new(rows.len(), values.first().map_or(0, Vec::len), values.concat())
    }
}
