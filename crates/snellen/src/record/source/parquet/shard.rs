//! One Parquet file: its rows, read a few at a time.

use super::column::{Cell, Column};
use crate::{Error, Result};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use ::parquet::file::metadata::RowGroupMetaData;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A file and where its images stand.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    pub path: PathBuf,
    pub rows: usize,
    pub column: Column,
    name: String,
    /// Which image of a list.
    index: usize,
    metadata: ArrowReaderMetadata,
}

impl Shard {
    /// Reads what the file at `path` says of itself.
    pub fn open(path: &Path, name: &str, index: Option<usize>) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new().with_skip_arrow_metadata(true));
        let metadata = metadata.map_err(|source| Error::malformed(path.display(), source))?;
        let place = path.display().to_string();
        let column = Column::find(&place, name, metadata.schema(), metadata.parquet_schema())?;
        let asked = |expected: &str, got: &str| Error::mismatch(format!("{place}: column `{name}`"), expected, got);
        if column.list && index.is_none() {
            return Err(asked("--image-index to say which image of a list, from 0", "a list of images in every row"));
        }
        if !column.list && index.is_some() {
            return Err(asked("a list of images in every row, for --image-index", "one image"));
        }
        check_places(path, &metadata)?;
        let rows = metadata.metadata().file_metadata().num_rows();
        let mut groups = metadata.metadata().row_groups().iter().map(RowGroupMetaData::num_rows);
        let sum = groups.try_fold(0_i64, |sum, rows| sum.checked_add(rows).filter(|_| rows >= 0));
        if sum != Some(rows) || !(0..=u32::MAX as i64).contains(&rows) {
            let expected = format!("at most {} rows, as many as its row groups have", u32::MAX);
            return Err(Error::mismatch(path.display(), expected, rows));
        }
        let index = index.unwrap_or_default();
        Ok(Self { path: path.to_owned(), rows: rows as usize, column, name: name.to_owned(), index, metadata })
    }

    /// The cells of `rows`, `size` at a time; their paths only, or all of them.
    pub fn cells(
        &self,
        rows: Range<usize>,
        size: usize,
        paths_only: bool,
    ) -> Result<impl Iterator<Item = Result<Cell>> + Send + 'static> {
        let file = File::open(&self.path).map_err(Error::io(&self.path))?;
        let mut first = 0;
        let mut groups = Vec::new();
        let mut skipped = None;
        for (number, group) in self.metadata.metadata().row_groups().iter().enumerate() {
            let end = first + group.num_rows() as usize;
            if first < rows.end && end > rows.start {
                groups.push(number);
                skipped.get_or_insert(rows.start.saturating_sub(first));
            }
            first = end;
        }
        let leaves = [self.column.bytes.filter(|_| !paths_only), self.column.path];
        let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), leaves.into_iter().flatten());
        let path = self.path.clone();
        let mut batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_projection(mask)
            .with_row_groups(groups)
            .with_offset(skipped.unwrap_or(0))
            .with_limit(rows.len())
            .with_batch_size(size)
            .build()
            .map_err(|source| Error::malformed(path.display(), source))?;
        let (name, index) = (self.name.clone(), self.index);
        let (mut column, mut at) = (None, 0);
        Ok(rows.map(move |row| {
            let place = || format!("{}: `{name}`, row {row}", path.display());
            if column.as_ref().is_none_or(|column: &arrow_array::ArrayRef| at >= column.len()) {
                let batch = batches.next().ok_or_else(|| Error::mismatch(place(), "a row", "the end of the file"))?;
                let batch = batch.map_err(|source| Error::malformed(place(), source))?;
                column =
                    Some(batch.columns().first().cloned().ok_or_else(|| Error::mismatch(place(), "a column", "none"))?);
                at = 0;
            }
            at += 1;
            column
                .as_ref()
                .map(|column| Cell::of(column, at - 1, index))
                .ok_or_else(|| Error::mismatch(place(), "a row", "none"))
        }))
    }

    /// The rows whose bytes are known to be missing: those of row groups in which all are.
    pub fn rows_without_bytes(&self) -> Vec<Range<usize>> {
        let mut first = 0;
        let groups = self.metadata.metadata().row_groups().iter().map(|group| {
            let rows = first..first + group.num_rows() as usize;
            first = rows.end;
            let missing = self.column.bytes.is_none_or(|leaf| {
                let chunk = group.columns().get(leaf);
                let nulls = chunk.and_then(|chunk| chunk.statistics()?.null_count_opt());
                !self.column.list && nulls == Some(rows.len() as u64)
            });
            rows.start..if missing { rows.end } else { rows.start }
        });
        groups.filter(|rows| !rows.is_empty()).collect()
    }

    /// A row, for errors.
    pub fn place(&self, row: usize) -> String {
        format!("{}: `{}`, row {row}", self.path.display(), self.name)
    }

    /// What a row lacks.
    pub fn missing(&self, row: usize, cell: &Cell) -> Error {
        let got = match cell.short {
            Some(images) => format!("a list of {images}"),
            None => "none".to_owned(),
        };
        let expected =
            if self.column.list { format!("a list with an image {}", self.index) } else { "an image".to_owned() };
        Error::mismatch(self.place(row), expected, got)
    }
}

/// Whether every column chunk says that it stands somewhere: the reader takes that for granted.
fn check_places(path: &Path, metadata: &ArrowReaderMetadata) -> Result<()> {
    let chunks = metadata.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    for chunk in chunks {
        let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
        if start < 0 || chunk.compressed_size() < 0 || chunk.data_page_offset() < 0 {
            let place = format!("{}: column `{}`", path.display(), chunk.column_path());
            let got = format!("{} bytes at {start}", chunk.compressed_size());
            return Err(Error::mismatch(place, "a place in the file", got));
        }
    }
    Ok(())
}
