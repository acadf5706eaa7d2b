//! A Parquet file with a column of images: bytes, or the `struct<bytes, path>` of Hugging Face's `datasets`.
//!
//! Images are read one by one, page after page of a row group, so memory holds a page and an image whatever the row groups'
//! size.

use super::{Content, Image, Source};
use crate::record::panics::decoded;
use crate::record::picture::MAX_FILE_BYTES;
use crate::scene::labels::check_filename;
use crate::{Error, Result};
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use ::parquet::file::metadata::RowGroupMetaData;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The column that is read unless another is asked for.
pub const IMAGE_COLUMN: &str = "image";

/// Rows of names that are read at a time.
const NAMES: usize = 1024;

/// The images of a Parquet file.
#[derive(Clone, Debug)]
pub struct ParquetSource {
    path: PathBuf,
    column: String,
    metadata: ArrowReaderMetadata,
    /// The leaf that holds the bytes.
    leaf: usize,
    names: Vec<Box<str>>,
}

impl ParquetSource {
    /// Reads what the file at `path` says of itself, and the names of the images in `column`: the `path` of a struct where that
    /// is a relative path, the row's number (`000017`) elsewhere.
    ///
    /// # Errors
    /// When it is no Parquet file, has no rows or no such column, or one that holds no bytes.
    pub fn open(path: &Path, column: &str) -> Result<Self> {
        decoded(path.display(), || Self::open_unguarded(path, column))
    }

    fn open_unguarded(path: &Path, column: &str) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new().with_skip_arrow_metadata(true));
        let metadata = metadata.map_err(|source| Error::malformed(path.display(), source))?;
        let place = || format!("{}: column `{column}`", path.display());
        let Ok(field) = metadata.schema().field_with_name(column) else {
            let names: Vec<_> = metadata.schema().fields().iter().take(20).map(|field| field.name().as_str()).collect();
            return Err(Error::mismatch(place(), "one of its columns", format!("[{}]", names.join(", "))));
        };
        let leaf = |of: &[&str]| {
            let columns = metadata.parquet_schema().columns();
            columns.iter().position(|leaf| leaf.path().parts().iter().map(String::as_str).eq(of.iter().copied()))
        };
        let (bytes, names) = match field.data_type() {
            kind if is_bytes(kind) => (leaf(&[column]), None),
            DataType::Struct(fields) if fields.iter().any(|f| f.name() == "bytes" && is_bytes(f.data_type())) => {
                (leaf(&[column, "bytes"]), leaf(&[column, "path"]))
            }
            other => {
                let got = format!("{other}").chars().take(200).collect::<String>();
                return Err(Error::mismatch(place(), "bytes, or a struct with `bytes`", got));
            }
        };
        let leaf = bytes.ok_or_else(|| Error::mismatch(place(), "bytes in a column of their own", "none"))?;
        check_places(path, &metadata)?;
        let rows = metadata.metadata().file_metadata().num_rows();
        let mut groups = metadata.metadata().row_groups().iter().map(RowGroupMetaData::num_rows);
        let sum = groups.try_fold(0_i64, |sum, rows| sum.checked_add(rows).filter(|_| rows >= 0));
        if sum != Some(rows) || !(1..=u32::MAX as i64).contains(&rows) {
            let expected = format!("1 to {} rows, as many as its row groups have", u32::MAX);
            return Err(Error::mismatch(path.display(), expected, rows));
        }
        let mut source = Self { path: path.to_owned(), column: column.to_owned(), metadata, leaf, names: Vec::new() };
        source.names = source.read_names(rows as usize, names)?;
        Ok(source)
    }

    fn read_names(&self, rows: usize, leaf: Option<usize>) -> Result<Vec<Box<str>>> {
        let numbered = |row: usize| format!("{row:06}").into_boxed_str();
        let Some(leaf) = leaf else { return Ok((0..rows).map(numbered).collect()) };
        let mut names = Vec::new();
        for batch in self.batches(leaf, 0..rows, NAMES)? {
            let column = self.column(&batch?)?;
            let Some(text) = column.as_string_opt::<i32>() else { return Ok((0..rows).map(numbered).collect()) };
            for name in text {
                let name = name.filter(|name| check_filename(String::new, name).is_ok());
                names.push(name.map_or_else(|| numbered(names.len()), Into::into));
            }
        }
        if names.len() != rows {
            return Err(Error::mismatch(self.path.display(), format!("{rows} rows"), names.len()));
        }
        Ok(names)
    }

    /// Batches of `size` rows of the column `leaf`.
    fn batches(
        &self,
        leaf: usize,
        rows: Range<usize>,
        size: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + 'static> {
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
        let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), [leaf]);
        let path = self.path.clone();
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_projection(mask)
            .with_row_groups(groups)
            .with_offset(skipped.unwrap_or(0))
            .with_limit(rows.len())
            .with_batch_size(size)
            .build()
            .map_err(|source| Error::malformed(path.display(), source))?;
        Ok(reader.map(move |batch| batch.map_err(|source| Error::malformed(path.display(), source))))
    }

    /// The values of the leaf that `batch` was read of, out of their struct if they are in one.
    fn column(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let missing = || Error::mismatch(self.path.display(), format!("the column `{}`", self.column), "none");
        let column = batch.columns().first().ok_or_else(missing)?;
        match column.as_struct_opt() {
            Some(inner) => inner.columns().first().cloned().ok_or_else(missing),
            None => Ok(column.clone()),
        }
    }
}

impl Source for ParquetSource {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn len(&self) -> usize {
        self.names.len()
    }

    fn name(&self, row: usize) -> String {
        self.names[row].to_string()
    }

    fn has_masks(&self) -> bool {
        false
    }

    fn labels(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn read<'a>(&'a self, rows: Range<usize>) -> Result<Box<dyn Iterator<Item = Result<Image<'a>>> + Send + 'a>> {
        let mut batches = decoded(self.path.display(), || self.batches(self.leaf, rows.clone(), 1))?;
        Ok(Box::new(rows.map(move |row| {
            let place = format!("{}: `{}`, row {row}", self.path.display(), self.column);
            let ended = || Error::mismatch(&place, "a row", "the end of the file");
            let batch = decoded(&place, || batches.next().ok_or_else(ended)?)?;
            let column = self.column(&batch)?;
            let bytes = value(&column).ok_or_else(|| Error::mismatch(&place, "an image", "none"))?;
            if bytes.len() as u64 > MAX_FILE_BYTES {
                return Err(Error::mismatch(place, format!("at most {MAX_FILE_BYTES} bytes"), bytes.len()));
            }
            Ok(Image { name: self.name(row), place, content: Content::File { bytes: bytes.to_vec(), mask: None } })
        })))
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

fn is_bytes(kind: &DataType) -> bool {
    matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// The one value of `column`, if it has one.
fn value(column: &ArrayRef) -> Option<&[u8]> {
    if column.len() != 1 || column.is_null(0) {
        return None;
    }
    match column.data_type() {
        DataType::Binary => column.as_binary_opt::<i32>().map(|bytes| bytes.value(0)),
        DataType::LargeBinary => column.as_binary_opt::<i64>().map(|bytes| bytes.value(0)),
        _ => column.as_binary_view_opt().map(|bytes| bytes.value(0)),
    }
}
