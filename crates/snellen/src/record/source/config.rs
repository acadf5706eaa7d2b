//! How a source is read, where that is for the user to say.

use crate::{Error, Result};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The column of a Parquet file that is read unless another is asked for.
pub const IMAGE_COLUMN: &str = "image";

/// How [`open_source`](super::open_source) reads what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// The column of a Parquet file that holds the images.
    pub column: String,
    /// Which image of a list, from 0, where the column holds lists.
    pub index: Option<usize>,
    /// Where the files are that a Parquet file names without holding them; the folder it is in where not given.
    pub root: Option<PathBuf>,
    /// Of tar files: which field of a key is its image, the first of these that the key has; `*` makes every picture an image of
    /// its own. Empty: the one picture that every key has.
    pub fields: Vec<String>,
    /// What says what the images of a folder show.
    pub labels: LabelsFrom,
    /// Of a labels' file the factors to take, whatever is in their columns: names of columns, of numbered ones what stands before the
    /// number. Empty: all that it has.
    pub label_columns: Vec<String>,
    /// What is read of a folder that holds several kinds.
    pub only: Option<Only>,
    /// Whether pictures that can not be read are rows for the recording to pass over, and no errors of the source.
    pub skip_bad: bool,
}

impl Default for SourceConfig {
    /// Nothing but what is clear without being asked.
    fn default() -> Self {
        Self {
            column: IMAGE_COLUMN.to_owned(),
            index: None,
            root: None,
            fields: Vec::new(),
            labels: LabelsFrom::File,
            label_columns: Vec::new(),
            only: None,
            skip_bad: false,
        }
    }
}

/// What says what the images of a folder show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelsFrom {
    /// `labels.csv`, else `metadata.csv`, where there is one.
    File,
    /// The name of the folder that an image is in is its class.
    Folders,
    /// Nothing, whatever is there: all pictures are images without labels.
    Nothing,
}

/// One kind of what a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Picture files.
    Pictures,
    /// Tar files.
    Tars,
    /// Parquet files.
    Parquet,
}

impl Only {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Pictures, Self::Tars, Self::Parquet];
}

impl fmt::Display for LabelsFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Folders => "folders",
            Self::Nothing => "none",
        })
    }
}

impl FromStr for LabelsFrom {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = [Self::File, Self::Folders, Self::Nothing].into_iter().find(|from| from.to_string() == text);
        known.ok_or_else(|| Error::mismatch("labels", "file, folders or none", format!("`{text}`")))
    }
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pictures => "pictures",
            Self::Tars => "tars",
            Self::Parquet => "parquet",
        })
    }
}

impl FromStr for Only {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|only| only.to_string() == text);
        known.ok_or_else(|| Error::mismatch("only", "pictures, tars or parquet", format!("`{text}`")))
    }
}
