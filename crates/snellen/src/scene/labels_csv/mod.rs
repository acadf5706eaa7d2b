//! `labels.csv`: `filename`, then `<factor>_<k>` for object k (`shape_0,color_0,position_0,shape_1,...`).
//!
//! Columns of any other name are ignored, as is their order. An empty field is a factor that is not labelled; an object
//! without any label is no object. Where no column is numbered (`filename,shape,color`, or the `metadata.csv` of an image folder)
//! images show one object, and every column is a factor in which some value comes twice and none is too long for a name:
//! texts and ids are none.
//!
//! What spreadsheets and scripts make of such a table is read: separators `;` or tab (that by which the header has a column
//! `filename`), UTF-16, a byte order mark, any ends of lines, blanks around fields, empty rows, columns and fields at the end, file
//! names that begin with `./` or are separated by `\`, `file_name` for `filename`, in any case.

mod header;
mod rows;
mod text;
mod write;

pub(crate) use header::{is_filename, numbered};
pub(crate) use rows::relative;
pub(crate) use text::{decode, line_ends, separator};
pub use write::{LabelWriter, write_labels};

use super::labels::LabelTable;
use crate::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: u64 = 1 << 26;

/// The most columns.
pub const MAX_COLUMNS: usize = 10_000;

/// A table as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelFile {
    /// What it says.
    pub table: LabelTable,
    /// Columns with a name that are no factors, in their order.
    pub ignored: Vec<String>,
    /// Without its byte order mark.
    text: String,
    /// Where in it each row of the table stands.
    rows: Vec<Range<usize>>,
}

impl LabelFile {
    /// Reads a table from `bytes`, called `name` in errors.
    ///
    /// # Errors
    /// As [`read_labels`].
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        rows::parse(name, bytes, &[])
    }

    /// The same of the factors called `chosen` alone, whatever is in their columns; of all that are found where none is.
    ///
    /// # Errors
    /// As [`read_labels`], and when there is no such factor, or a value is no name.
    pub fn parse_columns(name: &str, bytes: &[u8], chosen: &[String]) -> Result<Self> {
        rows::parse(name, bytes, chosen)
    }

    /// The same file in UTF-8, without the rows `dropped` of its table.
    #[must_use]
    pub fn without(&self, dropped: &[usize]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(self.text.len());
        let mut from = 0;
        for row in dropped.iter().filter_map(|row| self.rows.get(*row)) {
            kept.extend_from_slice(&self.text.as_bytes()[from..row.start]);
            from = row.end;
        }
        kept.extend_from_slice(&self.text.as_bytes()[from..]);
        kept
    }
}

/// Reads the table at `path`.
///
/// # Errors
/// Refuses, with line and column: fields missing or left over, columns repeated or not numbered 0, 1, 2, ..., file names
/// that are empty, repeated, absolute or lead out of the folder, text that is neither UTF-8 nor marked UTF-16, holds control
/// characters or is longer than [`MAX_NAME`](super::MAX_NAME) bytes, a factor's name with `=`, an object after a missing one, a
/// quotation mark that never closes or follows a blank; and files over [`MAX_BYTES`].
pub fn read_labels(path: &Path) -> Result<LabelTable> {
    parse_labels(&path.display().to_string(), &read_bytes(path)?)
}

/// The same of the factors called `chosen` alone, as [`LabelFile::parse_columns`] reads them.
///
/// # Errors
/// As [`LabelFile::parse_columns`].
pub fn read_label_columns(path: &Path, chosen: &[String]) -> Result<LabelTable> {
    LabelFile::parse_columns(&path.display().to_string(), &read_bytes(path)?, chosen).map(|file| file.table)
}

/// The bytes of the table at `path`.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::mismatch(path.display(), format!("at most {MAX_BYTES} bytes"), "more"));
    }
    Ok(bytes)
}

/// Reads a table from `bytes`, called `name` in errors.
///
/// # Errors
/// As [`read_labels`].
pub fn parse_labels(name: &str, bytes: &[u8]) -> Result<LabelTable> {
    LabelFile::parse(name, bytes).map(|file| file.table)
}
