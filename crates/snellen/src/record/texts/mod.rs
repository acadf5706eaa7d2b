//! Texts through the text tower: the same run folder as of images, with `texts.parquet` in place of `images.parquet`.
//!
//! [`Texts`] are read from a CSV file or said of scenes (`file`, `labels`). All of them become token ids before the first forward
//! (`lengths`), so that one that is too long is refused, by file and row, before anything is computed. Ids and masks are those that
//! [`parity`](crate::model::parity) compares. `recorder` is the hook, `recording` strings it together.

mod columns;
mod file;
mod labels;
mod lengths;
mod recorder;
mod recording;
pub mod table;

pub use recording::record_texts;

use super::drawn::ScenesRecord;
use super::source::{LabelsFrom, PassedOver};
use crate::scene::Series;
use crate::{Error, Result};
use std::path::Path;

/// Files of a folder of images that may hold captions, in the order in which they are looked for.
const CAPTIONS: [&str; 2] = ["captions.csv", "metadata.csv"];

/// Texts in the order of the rows of a run, and what is known of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Texts {
    place: String,
    rows: Vec<TextRow>,
    /// As a `labels.csv`.
    labels: Option<Vec<u8>>,
    scenes: Option<ScenesRecord>,
    passed_over: Vec<PassedOver>,
}

/// One text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRow {
    /// The image that it is said of, where that is known: a path relative to a folder, parts separated by `/`.
    pub filename: Option<String>,
    /// The text, as it stands in the file.
    pub text: String,
    /// The line of its file, from 1; 0 of texts that are from none.
    line: usize,
}

impl Texts {
    /// Reads the CSV file at `path`: a column `text` or `caption`, `filename` where texts are said of images. Labels are the columns
    /// `<factor>_<k>` of the same file, else the rows of a `labels.csv` beside it by their file names, else other columns as
    /// [`labels_csv`](crate::scene::labels_csv) takes them; none at all with [`LabelsFrom::Nothing`]. An image may have several texts:
    /// each is a row of its own, and the labels call the second `name#2`.
    ///
    /// # Errors
    /// When there is no such column or no row, a text is empty, a file name is refused, a label is refused, or a text has
    /// none in the `labels.csv`; by file and line.
    pub fn read(path: &Path, labels: LabelsFrom) -> Result<Self> {
        file::read(path, labels)
    }

    /// The captions of `folder`, a scene folder or an image folder with a `metadata.csv`, with the folder's labels.
    ///
    /// # Errors
    /// As [`Texts::read`], and when there is no such file.
    pub fn captions(folder: &Path, labels: LabelsFrom) -> Result<Self> {
        let files: Vec<_> = CAPTIONS.iter().map(|name| folder.join(name)).collect();
        match files.iter().find(|file| file.is_file()) {
            Some(file) => Self::read(file, labels),
            None => {
                Err(Error::mismatch(folder.display(), format!("a folder with {}", CAPTIONS.join(" or ")), "neither"))
            }
        }
    }

    /// What the scenes of `series` are called in a scene folder: `a red circle and a blue square`.
    ///
    /// # Errors
    /// As [`Series::scene`].
    pub fn of_scenes(series: &Series) -> Result<Self> {
        let said = |i: usize| {
            let scene = series.scene(i)?;
            let text = series.caption(&scene);
            Ok(TextRow { filename: Some(Series::filename(i)), text, line: 0 })
        };
        let rows = (0..series.len()).map(said).collect::<Result<_>>()?;
        let mut labels = Vec::new();
        series.write_labels(&mut labels)?;
        Ok(Self {
            place: format!("captions of {} scenes", series.kind()),
            rows,
            labels: Some(labels),
            scenes: Some(ScenesRecord::of(series)),
            passed_over: Vec::new(),
        })
    }

    /// The texts.
    pub fn rows(&self) -> &[TextRow] {
        &self.rows
    }

    /// What was found beside them and is not recorded.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Where text `row` stands, for errors.
    fn place(&self, row: usize) -> String {
        let TextRow { filename, line, .. } = &self.rows[row];
        let name = filename.as_ref().map_or(String::new(), |name| format!(" (`{}`)", name.escape_debug()));
        match line {
            0 => format!("{}, row {row}{name}", self.place),
            line => format!("{}:{line}{name}", self.place),
        }
    }
}
