//! Pictures of the user's own: what their labels and captions say.

use crate::record::{FolderSource, LabelsFrom, Texts};
use crate::scene::labels::LabelTable;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Pictures that are shown, at most.
const MOST: usize = 2000;

/// Labelled pictures, some of which have captions.
#[derive(Clone, Debug)]
pub struct Pictures {
    pub(super) source: FolderSource,
    /// The first caption of each file that has one.
    captions: BTreeMap<String, String>,
}

impl Pictures {
    /// Those of `source`, with the captions that its folder has: a `captions.csv`, or a `metadata.csv` with a column of texts.
    ///
    /// # Errors
    /// When a `captions.csv` is there and refused.
    pub(super) fn of(source: FolderSource) -> Result<Self> {
        let texts = if source.folder.join("captions.csv").is_file() {
            Some(Texts::captions(&source.folder, LabelsFrom::Nothing)?)
        } else {
            // One that holds labels alone has no texts.
            Texts::captions(&source.folder, LabelsFrom::Nothing).ok()
        };
        let mut captions = BTreeMap::new();
        for row in texts.iter().flat_map(Texts::rows) {
            if let Some(name) = &row.filename {
                captions.entry(name.clone()).or_insert_with(|| row.text.clone());
            }
        }
        Ok(Self { source, captions })
    }

    /// What they show.
    ///
    /// # Errors
    /// When nothing says so.
    pub(super) fn table(&self) -> Result<&LabelTable> {
        let none = || Error::mismatch(self.source.folder.display(), "labelled images", "images alone");
        self.source.labels.as_ref().map(|labels| &labels.table).ok_or_else(none)
    }

    /// The rows that are shown, evenly spread where there are many.
    pub(super) fn rows(&self) -> Vec<usize> {
        let n = self.source.filenames.len();
        (0..n.min(MOST)).map(|k| k * n / n.min(MOST)).collect()
    }

    /// The caption of a row.
    pub(super) fn caption(&self, row: usize) -> Option<&str> {
        self.captions.get(&self.source.filenames[row]).map(String::as_str)
    }

    /// Whether any row has one.
    pub(super) fn captioned(&self) -> bool {
        !self.captions.is_empty()
    }
}
