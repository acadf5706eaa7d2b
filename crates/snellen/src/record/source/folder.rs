//! A folder of labelled images, or of images alone.

use super::{Content, ENDINGS, Image, Source};
use crate::record::picture::{MAX_FILE_BYTES, read_bytes};
use crate::scene::folder::read_folder;
use crate::scene::labels_csv::MAX_BYTES;
use crate::{Error, Result};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The image files of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderSource {
    /// The folder.
    pub folder: PathBuf,
    /// Paths relative to the folder, parts separated by `/`: in the order of `labels.csv`, or sorted by bytes where there is
    /// none.
    pub filenames: Vec<String>,
    /// The masks in the same order, where the folder has them.
    pub masks: Option<Vec<PathBuf>>,
    /// `labels.csv`, where the folder has one.
    pub labels: Option<PathBuf>,
}

impl FolderSource {
    /// Reads `folder` as [`read_folder`] does where it has a `labels.csv`; lists its `.png`, `.jpg` and `.jpeg` files (not those
    /// of folders in it) where it has none.
    ///
    /// # Errors
    /// When [`read_folder`] refuses it, there is no image, or a file name is not Unicode.
    pub fn open(folder: &Path) -> Result<Self> {
        let labels = folder.join("labels.csv");
        let source = if labels.is_file() {
            let read = read_folder(folder)?;
            let filenames = read.labels.rows.into_iter().map(|row| row.filename).collect();
            Self { folder: folder.to_owned(), filenames, masks: read.masks, labels: Some(labels) }
        } else {
            Self { folder: folder.to_owned(), filenames: list(folder)?, masks: None, labels: None }
        };
        if source.filenames.is_empty() {
            let expected = format!("images ({}) or labels.csv with rows", ENDINGS.join(", "));
            return Err(Error::mismatch(folder.display(), expected, "none"));
        }
        Ok(source)
    }

    /// Where the image of row `row` is.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn path(&self, row: usize) -> PathBuf {
        self.folder.join(&self.filenames[row])
    }
}

impl Source for FolderSource {
    fn place(&self) -> String {
        self.folder.display().to_string()
    }

    fn len(&self) -> usize {
        self.filenames.len()
    }

    fn name(&self, row: usize) -> String {
        self.filenames[row].clone()
    }

    fn has_masks(&self) -> bool {
        self.masks.is_some()
    }

    fn labels(&self) -> Result<Option<Vec<u8>>> {
        self.labels.as_deref().map(|labels| read_bytes(labels, MAX_BYTES)).transpose()
    }

    fn read<'a>(&'a self, rows: Range<usize>) -> Result<Box<dyn Iterator<Item = Result<Image<'a>>> + Send + 'a>> {
        Ok(Box::new(rows.map(|row| {
            let path = self.path(row);
            let bytes = read_bytes(&path, MAX_FILE_BYTES)?;
            let mask = self.masks.as_ref().map(|masks| masks[row].clone());
            let content = Content::File { bytes, mask };
            Ok(Image { name: self.name(row), place: path.display().to_string(), content })
        })))
    }
}

fn list(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if ending.is_none_or(|ending| !ENDINGS.contains(&ending.as_str())) || !path.is_file() {
            continue;
        }
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) => names.push(name.to_owned()),
            None => return Err(Error::mismatch(path.display(), "a file name in Unicode", "other bytes")),
        }
    }
    names.sort_unstable();
    Ok(names)
}
