//! The one writer of Parquet tables: batches as they come, each a row group, to a file that appears once it is whole.
//!
//! Memory holds one row group, however large the table becomes. The same batches give the same bytes.

use crate::output::{StagedFile, fault};
use crate::{Error, Result};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a table, of one site where it is about sites.
pub trait Table {
    /// The rows as Arrow columns, the names and types of which don't depend on them.
    ///
    /// # Errors
    /// When a row speaks of what there isn't.
    fn batch(&self) -> Result<RecordBatch>;
}

/// A table under construction.
pub(crate) struct TableWriter {
    path: PathBuf,
    staged: StagedFile,
    writer: ArrowWriter<File>,
}

impl TableWriter {
    /// Begins the table at `path` with the columns of `schema`.
    pub(crate) fn create(path: &Path, schema: SchemaRef) -> Result<Self> {
        let staged = StagedFile::begin(path)?;
        let file = staged.file().try_clone().map_err(Error::io(path))?;
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(zstd).build();
        let writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(Error::parquet(path))?;
        Ok(Self { path: path.to_owned(), staged, writer })
    }

    /// Begins the table at `path` with the columns of `of`, whose rows are not written.
    pub(crate) fn of(path: &Path, of: &impl Table) -> Result<Self> {
        Self::create(path, of.batch()?.schema())
    }

    /// Adds rows: a row group, where there are any.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let written = self.writer.write(rows).and_then(|()| self.writer.flush());
        written.map_err(Error::parquet(&self.path))?;
        fault::point(&self.path)
    }

    /// Puts the table in its place.
    pub(crate) fn finish(self) -> Result<()> {
        drop(self.writer.into_inner().map_err(Error::parquet(&self.path))?);
        fault::point(&self.path)?;
        self.staged.publish()
    }
}

/// Writes a table to `path`, in one step: a row group for each of `groups`; `none` has its columns.
pub(crate) fn write_rows<T: Table>(path: &Path, none: &impl Table, groups: impl IntoIterator<Item = T>) -> Result<()> {
    let mut table = TableWriter::of(path, none)?;
    groups.into_iter().try_for_each(|rows| table.write(&rows.batch()?))?;
    table.finish()
}

/// Writes a table to `path`, in one step: a row group for each of `groups`, which hold the columns of `schema`.
pub(crate) fn write_table(
    path: &Path,
    schema: Schema,
    groups: impl IntoIterator<Item = Result<Vec<ArrayRef>>>,
) -> Result<()> {
    let schema = Arc::new(schema);
    let mut table = TableWriter::create(path, schema.clone())?;
    for columns in groups {
        let rows = RecordBatch::try_new(schema.clone(), columns?);
        table.write(&rows.map_err(|source| Error::malformed(path.display(), source))?)?;
    }
    table.finish()
}
