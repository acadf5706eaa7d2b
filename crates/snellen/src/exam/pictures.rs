//! Pictures of the user's own: what their labels and captions say, and what an examinee makes of them.

use super::sitting::Sitting;
use crate::measure::Matrix;
use crate::model::{Model, Preprocessing};
use crate::record::{FolderSource, LabelsFrom, Texts, read_pixels, read_rgb};
use crate::scene::labels::LabelTable;
use crate::{Error, Result};
use image::imageops::{FilterType, resize};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Pictures that are shown, at most.
const MOST: usize = 2000;
/// Pictures of a forward.
const BATCH: usize = 32;
/// Height and width of the pictures that a reader of raw pixels is given.
const PIXELS: u32 = 32;

/// Labelled pictures, some of which have captions.
#[derive(Clone, Debug)]
pub struct Pictures {
    source: FolderSource,
    /// The first caption of each file that has one.
    captions: BTreeMap<String, String>,
}

impl Pictures {
    /// Those of `source`, with the captions that its folder has: a `captions.csv`, or a `metadata.csv` with a column of texts.
    ///
    /// # Errors
    /// When a `captions.csv` is there and refused.
    pub(super) fn of(source: FolderSource) -> Result<Self> {
        let texts = if source.folder.join("captions.csv").is_file() {
            Some(Texts::captions(&source.folder, LabelsFrom::Nothing)?)
        } else {
            // One that holds labels alone has no texts.
            Texts::captions(&source.folder, LabelsFrom::Nothing).ok()
        };
        let mut captions = BTreeMap::new();
        for row in texts.iter().flat_map(Texts::rows) {
            if let Some(name) = &row.filename {
                captions.entry(name.clone()).or_insert_with(|| row.text.clone());
            }
        }
        Ok(Self { source, captions })
    }

    /// What they show.
    ///
    /// # Errors
    /// When nothing says so.
    pub(super) fn table(&self) -> Result<&LabelTable> {
        let none = || Error::mismatch(self.source.folder.display(), "labelled images", "images alone");
        self.source.labels.as_ref().map(|labels| &labels.table).ok_or_else(none)
    }

    /// The rows that are shown, evenly spread where there are many.
    pub(super) fn rows(&self) -> Vec<usize> {
        let n = self.source.filenames.len();
        (0..n.min(MOST)).map(|k| k * n / n.min(MOST)).collect()
    }

    /// The caption of a row.
    pub(super) fn caption(&self, row: usize) -> Option<&str> {
        self.captions.get(&self.source.filenames[row]).map(String::as_str)
    }

    /// Whether any row has one.
    pub(super) fn captioned(&self) -> bool {
        !self.captions.is_empty()
    }

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
