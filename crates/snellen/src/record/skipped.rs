//! Pictures that a recording passed over because they could not be read: `skipped.csv` in the run folder.

use super::LABELS;
use super::images::ImageRow;
use super::picture::read_bytes;
use crate::output::write_part;
use crate::scene::labels_csv::LabelFile;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file's name in the run folder.
pub const FILE: &str = "skipped.csv";

/// The most characters of a reason.
const MAX_REASON: usize = 300;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 32;

/// A picture that could not be read; in this order the columns of [`FILE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its row among the images of the source, from 0.
    pub row: usize,
    /// Its name, as [`Source::name`](super::Source::name) says.
    pub filename: String,
    /// What it lacks, in one line, without the place: it is the same wherever the picture lies.
    pub reason: String,
}

/// What a recording made of a row of its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Met {
    Image(ImageRow),
    Skipped(Skipped),
}

impl Met {
    pub fn filename(&self) -> &str {
        match self {
            Self::Image(row) => &row.filename,
            Self::Skipped(row) => &row.filename,
        }
    }
}

impl Skipped {
    /// The picture `filename` of row `row`, refused by `error`.
    pub(super) fn new(row: usize, filename: String, error: &Error) -> Self {
        let reason: String =
            reason(error).chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_REASON).collect();
        Self { row, filename, reason: reason.trim().to_owned() }
    }

    /// Those of the file at `path`, and its BLAKE3 in hexadecimal.
    ///
    /// # Errors
    /// When there is none, or it is malformed.
    pub fn read(path: &Path) -> Result<(Vec<Self>, String)> {
        let bytes = read_bytes(path, MAX_BYTES)?;
        let rows = csv::Reader::from_reader(bytes.as_slice()).into_deserialize().collect::<csv::Result<_>>();
        let hash = blake3::hash(&bytes).to_hex().to_string();
        Ok((rows.map_err(|source| Error::malformed(path.display(), source))?, hash))
    }
}

/// Writes the `skipped` pictures of the run in `folder`, where there are any; what `run.json` says of them.
pub(super) fn write(folder: &Path, skipped: &[Skipped]) -> Result<Option<SkippedRecord>> {
    if skipped.is_empty() {
        return Ok(None);
    }
    let path = folder.join(FILE);
    let malformed = |source: csv::Error| Error::malformed(path.display(), source);
    let mut writer = csv::Writer::from_writer(Vec::new());
    skipped.iter().try_for_each(|row| writer.serialize(row)).map_err(malformed)?;
    let bytes = writer.into_inner().map_err(|source| Error::malformed(path.display(), source.to_string()))?;
    write_part(&path, &bytes)?;
    Ok(Some(SkippedRecord { count: skipped.len(), hash: blake3::hash(&bytes).to_hex().to_string() }))
}

/// Writes `labels`, the contents of a `labels.csv`, into the run in `folder` without the rows of `skipped` pictures; the BLAKE3 of
/// what was written, in hexadecimal.
pub(super) fn write_labels(folder: &Path, labels: &[u8], skipped: &[Skipped]) -> Result<String> {
    let path = folder.join(LABELS);
    let rows: Vec<usize> = skipped.iter().map(|row| row.row).collect();
    let left = match rows[..] {
        [] => labels.to_vec(),
        _ => LabelFile::parse(&path.display().to_string(), labels)?.without(&rows),
    };
    write_part(&path, &left)?;
    Ok(blake3::hash(&left).to_hex().to_string())
}

/// What `run.json` says of the pictures that were passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkippedRecord {
    /// How many.
    pub count: usize,
    /// BLAKE3 of [`FILE`], in hexadecimal.
    pub hash: String,
}

/// What `error` says, but where.
fn reason(error: &Error) -> String {
    match error {
        Error::Mismatch { expected, got, .. } => format!("expected {expected}, got {got}"),
        Error::Malformed { source, .. } => source.downcast_ref().map_or_else(|| source.to_string(), reason),
        Error::Io { source, .. } => source.to_string(),
        Error::Picture { source, .. } | Error::Unfinished { source, .. } => reason(source),
        other => other.to_string(),
    }
}
