//! What is recorded: where the images of a run come from, read in the order of its rows.
//!
//! A [`Source`] hands out images undecoded, one after another, so that whatever it reads from it holds no more than one at a
//! time. Decoding them is the `pipeline`'s work.

mod folder;
mod parquet;
mod scenes;
mod tar;

pub use folder::FolderSource;
pub use parquet::{IMAGE_COLUMN, ParquetSource};
pub use scenes::SceneSource;
pub use tar::TarSource;

use super::run::ScenesRecord;
use crate::scene::{Canvas, Scene, World};
use crate::{Error, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Endings of image files, in any case.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The images of a run, in the order of its rows.
#[allow(clippy::len_without_is_empty, reason = "a source is never empty")]
pub trait Source: Sync {
    /// What it is called in errors: a path, or the scenes.
    fn place(&self) -> String;

    /// Number of images, at least 1.
    fn len(&self) -> usize;

    /// The name of image `row`, as `images.parquet` has it.
    ///
    /// # Panics
    /// If there is no such row.
    fn name(&self, row: usize) -> String;

    /// Whether every image has a mask.
    fn has_masks(&self) -> bool;

    /// The contents of `labels.csv`, where there is one.
    ///
    /// # Errors
    /// When it cannot be read or written.
    fn labels(&self) -> Result<Option<Vec<u8>>>;

    /// Which scenes were generated, where they were.
    fn scenes(&self) -> Option<ScenesRecord> {
        None
    }

    /// The images of `rows`, which are within 0 to [`len`](Self::len), one after another.
    ///
    /// # Errors
    /// When nothing can be read at all; each image has errors of its own.
    fn read<'a>(&'a self, rows: Range<usize>) -> Result<Box<dyn Iterator<Item = Result<Image<'a>>> + Send + 'a>>;
}

/// An image before it is decoded or drawn.
pub struct Image<'a> {
    /// As [`Source::name`] says.
    pub name: String,
    /// Where it stands, for errors.
    pub place: String,
    /// What it is made from.
    pub content: Content<'a>,
}

/// What an image is made from.
pub enum Content<'a> {
    /// The bytes of a PNG or JPEG file.
    File {
        /// The whole file.
        bytes: Vec<u8>,
        /// Where its mask is, where there is one.
        mask: Option<PathBuf>,
    },
    /// A scene that is drawn when it is its turn.
    Scene {
        /// What it shows.
        scene: Scene,
        /// What it is made of.
        world: &'a World,
        /// What it is drawn on.
        canvas: &'a Canvas,
    },
}

/// Opens what `path` is: a folder of images, a `.tar` file or a folder of them, or a `.parquet` file with images in `column`.
///
/// # Errors
/// When it is none of these, or [`FolderSource::open`], [`TarSource::open`] or [`ParquetSource::open`] refuses it.
pub fn open_source(path: &Path, column: &str) -> Result<Box<dyn Source>> {
    let ending = |name: &str| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case(name));
    if path.is_dir() {
        let tars = tar::tars_in(path)?;
        return if tars.is_empty() || path.join("labels.csv").is_file() {
            Ok(Box::new(FolderSource::open(path)?))
        } else {
            Ok(Box::new(TarSource::of_files(path, tars)?))
        };
    }
    std::fs::metadata(path).map_err(Error::io(path))?;
    match () {
        () if ending("tar") => Ok(Box::new(TarSource::open(path)?)),
        () if ending("parquet") => Ok(Box::new(ParquetSource::open(path, column)?)),
        () => Err(Error::mismatch(path.display(), "a folder, or a file ending in .tar or .parquet", "another file")),
    }
}
