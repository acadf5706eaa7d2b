//! `texts.parquet`: which text each row of the activations is.

use crate::output::fault;
use crate::panics::decoded;
use crate::record::images::writer;
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows per row group, and that are read at a time.
const GROUP: usize = 1 << 10;

/// One text of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextEntry {
    /// The image that it is said of, where that is known.
    pub filename: Option<String>,
    /// The text.
    pub text: String,
    /// Its tokens, special ones among them.
    pub tokens: u32,
    /// The first of them in the row that the tower was given; 0 where padding stands behind a text.
    pub start: u32,
    /// The token that is pooled, in the same row.
    pub end: u32,
}

/// A table under construction: `row` (u32), `filename` (null where there is none), `text`, `tokens`, `start`, `end` (u32).
pub struct TextTable {
    path: PathBuf,
    writer: ArrowWriter<File>,
    pending: Vec<TextEntry>,
    rows: u32,
    hasher: blake3::Hasher,
}

impl TextTable {
    /// Begins the table in the new file `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let writer = writer(path, schema(), GROUP)?;
        Ok(Self { path: path.to_owned(), writer, pending: Vec::new(), rows: 0, hasher: blake3::Hasher::new() })
    }

    /// Adds the next row.
    pub fn push(&mut self, row: TextEntry) -> Result<()> {
        row.hash(&mut self.hasher);
        self.pending.push(row);
        if self.pending.len() == GROUP { self.flush() } else { Ok(()) }
    }

    /// Ends the table; the BLAKE3 of all rows: of each the length of the file name (u64, little-endian; the largest where there is
    /// none) and the name, that of the text and the text, `tokens`, `start` and `end` (u32), row after row.
    pub fn finish(mut self) -> Result<blake3::Hash> {
        self.flush()?;
        let path = self.path;
        let file = self.writer.into_inner().map_err(Error::parquet(&path))?;
        file.sync_all().map_err(Error::io(&path))?;
        fault::point(&path)?;
        Ok(self.hasher.finalize())
    }

    fn flush(&mut self) -> Result<()> {
        let rows = &self.pending;
        let number = |of: fn(&TextEntry) -> u32| Arc::new(UInt32Array::from_iter_values(rows.iter().map(of)));
        let names: StringArray = rows.iter().map(|row| row.filename.as_deref()).collect();
        let texts = StringArray::from_iter_values(rows.iter().map(|row| &row.text));
        let count = rows.len() as u32;
        let batch = RecordBatch::try_new(
            Arc::new(schema()),
            vec![
                Arc::new(UInt32Array::from_iter_values(self.rows..self.rows + count)),
                Arc::new(names),
                Arc::new(texts),
                number(|row| row.tokens),
                number(|row| row.start),
                number(|row| row.end),
            ],
        );
        let batch = batch.map_err(|source| Error::malformed(self.path.display(), source))?;
        self.writer.write(&batch).map_err(Error::parquet(&self.path))?;
        self.pending.clear();
        self.rows += count;
        Ok(())
    }
}

impl TextEntry {
    /// Adds itself as [`TextTable::finish`] says.
    pub(in crate::record) fn hash(&self, hasher: &mut blake3::Hasher) {
        let length = self.filename.as_ref().map_or(u64::MAX, |name| name.len() as u64);
        hasher.update(&length.to_le_bytes()).update(self.filename.as_deref().unwrap_or_default().as_bytes());
        hasher.update(&(self.text.len() as u64).to_le_bytes()).update(self.text.as_bytes());
        for number in [self.tokens, self.start, self.end] {
            hasher.update(&number.to_le_bytes());
        }
    }
}

/// Calls `each` with the rows of the table at `path`; how many there are, and the hash that [`TextTable::finish`] gave.
///
/// # Errors
/// When it is no such table, and what `each` refuses.
pub(in crate::record) fn read_texts(
    path: &Path,
    each: impl FnMut(TextEntry) -> Result<()>,
) -> Result<(usize, blake3::Hash)> {
    decoded(path.display(), || read_rows(path, each))
}

fn read_rows(path: &Path, mut each: impl FnMut(TextEntry) -> Result<()>) -> Result<(usize, blake3::Hash)> {
    let file = File::open(path).map_err(Error::io(path))?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
    let reader = reader.map_err(Error::parquet(path))?;
    let others = || Error::mismatch(path.display(), format!("the columns {}", columns(&schema())), "others");
    if columns(reader.schema()) != columns(&schema()) {
        return Err(others());
    }
    let (mut rows, mut hasher) = (0, blake3::Hasher::new());
    for batch in reader.with_batch_size(GROUP).build().map_err(Error::parquet(path))? {
        let batch = batch.map_err(|source| Error::malformed(path.display(), source))?;
        let number = |column: usize| batch.column(column).as_primitive_opt::<UInt32Type>();
        let text = |column: usize| batch.column(column).as_string_opt::<i32>();
        let found = (number(0), text(1), text(2), number(3), number(4), number(5));
        let (Some(row), Some(name), Some(text), Some(tokens), Some(start), Some(end)) = found else {
            return Err(others());
        };
        for i in 0..batch.num_rows() {
            if row.value(i) as usize != rows {
                return Err(Error::mismatch(format!("{}: row {rows}", path.display()), rows, row.value(i)));
            }
            let entry = TextEntry {
                filename: name.is_valid(i).then(|| name.value(i).to_owned()),
                text: text.value(i).to_owned(),
                tokens: tokens.value(i),
                start: start.value(i),
                end: end.value(i),
            };
            entry.hash(&mut hasher);
            each(entry)?;
            rows += 1;
        }
    }
    Ok((rows, hasher.finalize()))
}

fn columns(schema: &Schema) -> String {
    let fields = schema.fields().iter();
    fields.map(|field| format!("{} {}", field.name(), field.data_type())).collect::<Vec<_>>().join(", ")
}

fn schema() -> Schema {
    let number = |name: &str| Field::new(name, DataType::UInt32, false);
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let numbers = ["tokens", "start", "end"].map(number);
    Schema::new([vec![number("row"), text("filename", true), text("text", false)], numbers.to_vec()].concat())
}
