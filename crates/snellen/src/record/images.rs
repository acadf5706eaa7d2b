//! `images.parquet`: which image each row of the activations is.

use crate::output::fault;
use crate::panics::decoded;
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows per row group, and so in memory at a time.
const GROUP: usize = 1 << 11;

/// Rows that are read at a time.
const READ: usize = 1 << 10;

/// One image of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRow {
    /// Its name, as [`Source::name`](super::Source::name) says.
    pub filename: String,
    /// Width of its picture, in pixels.
    pub width: u32,
    /// Height of its picture, in pixels.
    pub height: u32,
    /// As [`Picture::hash`](super::Picture::hash) says.
    pub hash: blake3::Hash,
}

/// A table under construction: `row` (u32), `filename`, `width` and `height` (u32, pixels), `hash` (BLAKE3 of the file, hexadecimal).
pub struct ImageTable {
    path: PathBuf,
    writer: ArrowWriter<File>,
    pending: Vec<ImageRow>,
    rows: u32,
    hasher: blake3::Hasher,
}

impl ImageTable {
    /// Begins the table in the new file `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let writer = writer(path, schema(), GROUP)?;
        Ok(Self { path: path.to_owned(), writer, pending: Vec::new(), rows: 0, hasher: blake3::Hasher::new() })
    }

    /// Adds the next row.
    pub fn push(&mut self, row: ImageRow) -> Result<()> {
        hash_row(&mut self.hasher, &row);
        self.pending.push(row);
        if self.pending.len() == GROUP { self.flush() } else { Ok(()) }
    }

    /// Ends the table; the BLAKE3 of all images: of each file name's length (u64, little-endian), the name, and the BLAKE3 of the
    /// file, row after row.
    pub fn finish(mut self) -> Result<blake3::Hash> {
        self.flush()?;
        let path = self.path;
        let file = self.writer.into_inner().map_err(Error::parquet(&path))?;
        file.sync_all().map_err(Error::io(&path))?;
        fault::point(&path)?;
        Ok(self.hasher.finalize())
    }

    fn flush(&mut self) -> Result<()> {
        let rows = self.pending.len() as u32;
        let size = |of: fn(&ImageRow) -> u32| Arc::new(UInt32Array::from_iter_values(self.pending.iter().map(of)));
        let text = |of: fn(&ImageRow) -> String| Arc::new(StringArray::from_iter_values(self.pending.iter().map(of)));
        let batch = RecordBatch::try_new(
            Arc::new(schema()),
            vec![
                Arc::new(UInt32Array::from_iter_values(self.rows..self.rows + rows)),
                text(|row| row.filename.clone()),
                size(|row| row.width),
                size(|row| row.height),
                text(|row| row.hash.to_hex().to_string()),
            ],
        );
        let batch = batch.map_err(|source| Error::malformed(self.path.display(), source))?;
        self.writer.write(&batch).map_err(Error::parquet(&self.path))?;
        self.pending.clear();
        self.rows += rows;
        Ok(())
    }
}

/// A writer of the new file `path`, with row groups of `group` rows.
pub(super) fn writer(path: &Path, schema: Schema, group: usize) -> Result<ArrowWriter<File>> {
    let file = File::create_new(path).map_err(Error::io(path))?;
    let level = ZstdLevel::try_new(3).map_err(|source| Error::malformed(path.display(), source))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(group))
        .build();
    let writer = ArrowWriter::try_new(file, Arc::new(schema), Some(properties));
    writer.map_err(|source| Error::malformed(path.display(), source))
}

/// Calls `each` with the rows of the table at `path`, some at a time; how many there are, and the BLAKE3 that
/// [`ImageTable::finish`] gave.
///
/// # Errors
/// When it is no such table, and what `each` refuses.
pub(super) fn read_images(path: &Path, each: impl FnMut(ImageRow) -> Result<()>) -> Result<(usize, blake3::Hash)> {
    decoded(path.display(), || read_rows(path, each))
}

fn read_rows(path: &Path, mut each: impl FnMut(ImageRow) -> Result<()>) -> Result<(usize, blake3::Hash)> {
    let file = File::open(path).map_err(Error::io(path))?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
    let reader = reader.map_err(Error::parquet(path))?;
    let columns = |schema: &Schema| {
        let fields = schema.fields().iter();
        fields.map(|field| format!("{} {}", field.name(), field.data_type())).collect::<Vec<_>>().join(", ")
    };
    if columns(reader.schema()) != columns(&schema()) {
        let got = columns(reader.schema()).chars().take(300).collect::<String>();
        return Err(Error::mismatch(path.display(), format!("the columns {}", columns(&schema())), got));
    }
    let (mut rows, mut hasher) = (0, blake3::Hasher::new());
    for batch in reader.with_batch_size(READ).build().map_err(Error::parquet(path))? {
        let batch = batch.map_err(|source| Error::malformed(path.display(), source))?;
        let number = |column: usize| batch.column(column).as_primitive_opt::<UInt32Type>();
        let text = |column: usize| batch.column(column).as_string_opt::<i32>();
        let columns = (number(0), text(1), number(2), number(3), text(4));
        let (Some(row), Some(name), Some(width), Some(height), Some(hash)) = columns else {
            return Err(Error::mismatch(path.display(), format!("the columns {}", schema()), "others"));
        };
        for i in 0..batch.num_rows() {
            let place = || format!("{}: row {rows}", path.display());
            let known = blake3::Hash::from_hex(hash.value(i)).map_err(|source| Error::malformed(place(), source))?;
            if row.value(i) as usize != rows {
                return Err(Error::mismatch(place(), rows, row.value(i)));
            }
            let filename = name.value(i).to_owned();
            let row = ImageRow { filename, width: width.value(i), height: height.value(i), hash: known };
            hash_row(&mut hasher, &row);
            each(row)?;
            rows += 1;
        }
    }
    Ok((rows, hasher.finalize()))
}

fn hash_row(hasher: &mut blake3::Hasher, row: &ImageRow) {
    hasher.update(&(row.filename.len() as u64).to_le_bytes());
    hasher.update(row.filename.as_bytes());
    hasher.update(row.hash.as_bytes());
}

fn schema() -> Schema {
    let number = |name: &str| Field::new(name, DataType::UInt32, false);
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    Schema::new(vec![number("row"), text("filename"), number("width"), number("height"), text("hash")])
}
