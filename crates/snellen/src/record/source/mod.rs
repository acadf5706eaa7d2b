//! What is recorded: where the images of a run come from, read in the order of its rows.
//!
//! A [`Source`] hands out images undecoded, one after another, so that whatever it reads from it holds no more than one at a
//! time. Decoding them is the `pipeline`'s work. What a source finds and doesn't hand out it counts and names.

mod classes;
mod config;
mod folder;
mod format;
mod listing;
mod open;
mod parquet;
mod passed;
mod scenes;
mod tar;

pub use config::{IMAGE_COLUMN, LabelsFrom, Only, SourceConfig};
pub use folder::{FolderLabels, FolderSource};
pub use open::open_source;
pub use parquet::ParquetSource;
pub use passed::PassedOver;
pub(super) use passed::{Passed, shown};
pub use scenes::SceneSource;
pub use tar::TarSource;

use super::drawn::ScenesRecord;
use crate::scene::{Canvas, Scene, World};
use crate::{Error, Result};
use std::ops::Range;
use std::path::PathBuf;

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
    fn has_masks(&self) -> bool {
        false
    }

    /// The contents of `labels.csv`, where there is one.
    ///
    /// # Errors
    /// When it cannot be read or written.
    fn labels(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Which scenes were generated, where they were.
    fn scenes(&self) -> Option<ScenesRecord> {
        None
    }

    /// What it found and doesn't hand out.
    fn passed_over(&self) -> &[PassedOver] {
        &[]
    }

    /// The images of `rows`, which are within 0 to [`len`](Self::len), one after another.
    ///
    /// # Errors
    /// When nothing can be read at all. An error in place of an image ends the reading; what concerns that image alone is its
    /// [`Image::content`].
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
    /// The bytes of a picture file.
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
    /// Nothing, and why.
    Bad(Error),
}

/// That some pictures of `place` are of no use before anything was tried; `unread` are their names, each with what it is.
fn unreadable(place: &str, unread: &[(&str, &str)]) -> Error {
    let names = passed::some(unread.iter().map(|(name, _)| *name));
    let what = unread.first().map_or("", |(_, what)| what);
    let expected =
        format!("pictures that are read ({}), or --skip-bad to go on without the others", format::PICTURES.join(", "));
    Error::mismatch(place, expected, format!("{} that are not: {names} ({what})", unread.len()))
}
