//! `images.parquet`: which image each row of the activations is.

use super::picture::Picture;
use crate::{Error, Result};
use arrow_array::{RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows per row group, and so in memory at a time.
const GROUP: usize = 1 << 14;

/// A table under construction: `row` (u32), `filename`, `width` and `height` (u32, pixels), `hash` (BLAKE3 of the file, hexadecimal).
pub struct ImageTable {
    path: PathBuf,
    writer: ArrowWriter<File>,
    pending: Vec<(String, [u32; 2], String)>,
    rows: u32,
    hasher: blake3::Hasher,
}

impl ImageTable {
    /// Begins the table in the new file `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).map_err(Error::io(path))?;
        let level = ZstdLevel::try_new(3).map_err(|source| Error::malformed(path.display(), source))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(GROUP))
            .build();
        let writer = ArrowWriter::try_new(file, Arc::new(schema()), Some(properties));
        let writer = writer.map_err(|source| Error::malformed(path.display(), source))?;
        Ok(Self { path: path.to_owned(), writer, pending: Vec::new(), rows: 0, hasher: blake3::Hasher::new() })
    }

    /// Adds the next row.
    pub fn push(&mut self, filename: &str, picture: &Picture) -> Result<()> {
        self.hasher.update(&(filename.len() as u64).to_le_bytes());
        self.hasher.update(filename.as_bytes());
        self.hasher.update(picture.hash.as_bytes());
        let size = [picture.width, picture.height];
        self.pending.push((filename.to_owned(), size, picture.hash.to_hex().to_string()));
        if self.pending.len() == GROUP { self.flush() } else { Ok(()) }
    }

    /// Ends the table; the BLAKE3 of all images: of each file name's length (u64, little-endian), the name, and the BLAKE3 of the
    /// file, row after row.
    pub fn finish(mut self) -> Result<blake3::Hash> {
        self.flush()?;
        let path = self.path;
        self.writer.close().map_err(|source| refused(&path, source))?;
        Ok(self.hasher.finalize())
    }

    fn flush(&mut self) -> Result<()> {
        let rows = self.pending.len() as u32;
        let size = |axis: usize| UInt32Array::from_iter_values(self.pending.iter().map(move |row| row.1[axis]));
        let text =
            |of: fn(&(String, [u32; 2], String)) -> &str| StringArray::from_iter_values(self.pending.iter().map(of));
        let batch = RecordBatch::try_new(
            Arc::new(schema()),
            vec![
                Arc::new(UInt32Array::from_iter_values(self.rows..self.rows + rows)),
                Arc::new(text(|row| &row.0)),
                Arc::new(size(0)),
                Arc::new(size(1)),
                Arc::new(text(|row| &row.2)),
            ],
        );
        let batch = batch.map_err(|source| Error::malformed(self.path.display(), source))?;
        self.writer.write(&batch).map_err(|source| refused(&self.path, source))?;
        self.pending.clear();
        self.rows += rows;
        Ok(())
    }
}

fn schema() -> Schema {
    let number = |name: &str| Field::new(name, DataType::UInt32, false);
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    Schema::new(vec![number("row"), text("filename"), number("width"), number("height"), text("hash")])
}

/// What the system refused stays recognisable as that.
fn refused(path: &Path, source: ParquetError) -> Error {
    match source {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => Error::Io { path: path.to_owned(), source: *source },
            Err(source) => Error::malformed(path.display(), source),
        },
        other => Error::malformed(path.display(), other),
    }
}
