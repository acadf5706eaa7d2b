//! Parquet files with a column of images: bytes, the `struct<bytes, path>` of Hugging Face's `datasets`, or lists of these.
//!
//! Images are read one by one, page after page of a row group, so memory holds a page and an image whatever the row groups'
//! size. Where a row has a path and no bytes, the file is read that it leads to ([`follow`]). Rows follow the sorted paths of the
//! files.

mod column;
mod follow;
mod shard;

use super::config::SourceConfig;
use super::format::{Format, parquet_stem};
use super::passed::{PassedOver, some};
use super::tar::relative;
use super::{Content, Image, Source};
use crate::panics::decoded;
use crate::record::picture::{MAX_FILE_BYTES, read_bytes};
use crate::scene::labels::check_filename;
use crate::{Error, Result};
use column::Cell;
use follow::Root;
use shard::Shard;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Rows of names that are read at a time.
const NAMES: usize = 1024;

/// The images of one or more Parquet files.
#[derive(Clone, Debug)]
pub struct ParquetSource {
    path: PathBuf,
    shards: Vec<(Shard, Root)>,
    names: Vec<Box<str>>,
    passed: Vec<PassedOver>,
}

impl ParquetSource {
    /// Reads what the file at `path` says of itself, and the names of its images: their `path` where that is one inside the folder,
    /// the row's number (`000017`) elsewhere.
    ///
    /// # Errors
    /// When it is no Parquet file, has no rows or no such column, one that holds no images or lists of them where no index says
    /// which is meant; and when files that it names without holding them are not there, unless [`SourceConfig::skip_bad`] passes
    /// over them.
    pub fn open(path: &Path, config: &SourceConfig) -> Result<Self> {
        Self::of_files(path, vec![path.to_owned()], config, Vec::new())
    }

    /// The same of `files`, which stand in the folder `path`, beside what was `passed` over already.
    ///
    /// # Errors
    /// As [`ParquetSource::open`].
    pub(super) fn of_files(
        path: &Path,
        files: Vec<PathBuf>,
        config: &SourceConfig,
        passed: Vec<PassedOver>,
    ) -> Result<Self> {
        let mut source = Self { path: path.to_owned(), shards: Vec::new(), names: Vec::new(), passed };
        let folder = path.is_dir();
        for file in files {
            match Format::of_file(&file)? {
                None | Some(Format::Parquet) => {}
                Some(other) => return Err(Error::mismatch(file.display(), "a Parquet file", other.said())),
            }
            let name = relative(path, &file);
            let prefix = if folder { format!("{}/", parquet_stem(&name).unwrap_or(&name)) } else { String::new() };
            let root = Root::new(config.root.as_deref().or_else(|| file.parent()).unwrap_or(Path::new(".")));
            decoded(file.display(), || {
                let shard = Shard::open(&file, &config.column, config.index)?;
                source.read_names(&shard, &root, &prefix)?;
                if !config.skip_bad {
                    check_files(&shard, &root)?;
                }
                source.shards.push((shard, root));
                Ok(())
            })?;
        }
        if source.names.is_empty() || source.names.len() > u32::MAX as usize {
            let expected = format!("1 to {} rows", u32::MAX);
            return Err(Error::mismatch(path.display(), expected, source.names.len()));
        }
        Ok(source)
    }

    fn read_names(&mut self, shard: &Shard, root: &Root, prefix: &str) -> Result<()> {
        let mut name = |row: usize, path: Option<&str>| {
            let inside =
                path.and_then(|path| root.inside(path)).filter(|name| check_filename(String::new, name).is_ok());
            let name = inside.unwrap_or_else(|| format!("{row:06}"));
            self.names.push(format!("{prefix}{name}").into_boxed_str());
        };
        if shard.column.path.is_none() {
            (0..shard.rows).for_each(|row| name(row, None));
            return Ok(());
        }
        for (row, cell) in shard.cells(0..shard.rows, NAMES, true)?.enumerate() {
            name(row, cell?.path.as_deref());
        }
        Ok(())
    }
}

/// Whether the images of rows that are known to have no bytes are there.
fn check_files(shard: &Shard, root: &Root) -> Result<()> {
    let (mut missing, mut without, mut first_empty) = (Vec::new(), 0, None);
    for rows in shard.rows_without_bytes() {
        if shard.column.path.is_none() {
            first_empty.get_or_insert(rows.start);
            without += rows.len();
            continue;
        }
        for (row, cell) in rows.clone().zip(shard.cells(rows, NAMES, true)?) {
            match cell?.path {
                Some(path) if root.follow(&path).is_some() => {}
                Some(path) => missing.push(path),
                None => {
                    first_empty.get_or_insert(row);
                    without += 1;
                }
            }
        }
    }
    if !missing.is_empty() {
        let expected = format!(
            "images, or the files that it names, in {}; --image-root says another folder",
            root.folder.display()
        );
        let got = format!("{} files that are not there: {}", missing.len(), some(missing.iter().map(String::as_str)));
        return Err(Error::mismatch(shard.path.display(), expected, got));
    }
    match first_empty {
        None => Ok(()),
        Some(row) => {
            let expected = "an image in every row, or --skip-bad to go on without the others";
            Err(Error::mismatch(shard.place(row), expected, format!("none here nor in {} other rows", without - 1)))
        }
    }
}

/// What row `row` of `shard` holds.
fn content(shard: &Shard, root: &Root, row: usize, cell: Cell) -> Result<Content<'static>> {
    let place = || shard.place(row);
    let bytes = match cell {
        Cell { bytes: Some(bytes), .. } => bytes,
        Cell { path: Some(path), .. } => {
            let Some(file) = root.follow(&path) else {
                let expected = format!("an image, or its file in {}", root.folder.display());
                return Err(Error::mismatch(place(), expected, format!("no file {path:?}")));
            };
            read_bytes(&file, MAX_FILE_BYTES)?
        }
        cell => return Err(shard.missing(row, &cell)),
    };
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::mismatch(place(), format!("at most {MAX_FILE_BYTES} bytes"), bytes.len()));
    }
    Ok(Content::File { bytes, mask: None })
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

    fn passed_over(&self) -> &[PassedOver] {
        &self.passed
    }

    fn read<'a>(&'a self, rows: Range<usize>) -> Result<Box<dyn Iterator<Item = Result<Image<'a>>> + Send + 'a>> {
        let mut first = 0;
        let shards = self.shards.iter().filter_map(move |(shard, root)| {
            let start = first;
            first += shard.rows;
            let own = rows.start.max(start)..rows.end.min(first);
            (!own.is_empty()).then_some((shard, root, start, own))
        });
        Ok(Box::new(shards.flat_map(move |(shard, root, start, own)| {
            let mut cells =
                Some(decoded(shard.path.display(), || shard.cells(own.start - start..own.end - start, 1, false)));
            let mut open = None;
            own.map(move |row| {
                if let Some(opened) = cells.take() {
                    open = Some(opened?);
                }
                let place = shard.place(row - start);
                let ended = || Error::mismatch(&place, "a row", "the end of the file");
                let cells = open.as_mut().ok_or_else(ended)?;
                let cell = decoded(&place, || cells.next().ok_or_else(ended)?)?;
                let content = content(shard, root, row - start, cell).unwrap_or_else(Content::Bad);
                Ok(Image { name: self.name(row), place, content })
            })
        })))
    }
}
