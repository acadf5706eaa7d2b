//! `run.json`: what a run was made from. Nothing in it depends on where or when.

use super::picture::read_bytes;
use super::select::Selected;
use super::skipped::SkippedRecord;
use super::source::PassedOver;
use crate::model::{LeftAlone, Preprocessing, Transform};
use crate::scene::{Canvas, SceneKind, World};
use crate::{Error, Result, output};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The `schema` that is written and read.
pub const SCHEMA: u32 = 3;

/// The `kind` of a recording.
pub const KIND: &str = "record";

/// The file's name in the run folder.
pub const FILE: &str = "run.json";

/// The largest `run.json` that is read, in bytes.
const MAX_BYTES: u64 = 1 << 24;

/// The contents of `run.json`. All hashes are BLAKE3 in hexadecimal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunManifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// [`KIND`].
    pub kind: String,
    /// Version of snellen that made the run.
    pub snellen: String,
    /// The model.
    pub model: ModelRecord,
    /// The images.
    pub images: ImagesRecord,
    /// How pictures became pixels.
    pub preprocessing: Preprocessing,
    /// The arrays of `activations.zarr`.
    pub sites: Vec<Selected>,
    /// The engine of the forward and its instructions, such as `cpu avx2`.
    pub engine: String,
    /// What products were made in: `f32` or `bf16`.
    pub dtype: String,
    /// The seed that the run was given.
    pub seed: u64,
    /// Which part of a run this is, where it isn't a whole one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PartRecord>,
}

/// Which part of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartRecord {
    /// Its number, from 1.
    pub index: usize,
    /// Number of parts.
    pub of: usize,
    /// The row of the source that its first row is.
    pub first_row: usize,
    /// Rows of the source, those of all parts together.
    pub rows: usize,
    /// Of the plan of the whole run, which all its parts have in common: of all that its bytes depend on.
    pub plan_hash: String,
}

/// Which scenes were generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenesRecord {
    /// The generator.
    pub kind: SceneKind,
    /// What they were drawn by.
    pub seed: u64,
    /// What they are made of.
    pub world: World,
    /// What they were drawn on.
    pub canvas: Canvas,
}

/// Which model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecord {
    /// Name of its folder, or `owner/name@commit`.
    pub name: String,
    /// Of the weights that were read, as [`Checkpoint::hash`](crate::model::checkpoint::Checkpoint::hash) says.
    pub weights_hash: String,
    /// Of `config.json` or `open_clip_config.json`.
    pub config_hash: String,
    /// What that file left out and its format gives a default for.
    pub assumed: Vec<String>,
    /// What its files hold and was not read.
    pub left_alone: LeftAlone,
    /// What was done to the weights.
    pub transforms: Vec<Transform>,
}

/// Which images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagesRecord {
    /// How many.
    pub count: usize,
    /// Of all file names and files, as [`ImageTable::finish`](super::images::ImageTable::finish) says.
    pub hash: String,
    /// Of `labels.csv`, where there is one.
    pub labels_hash: Option<String>,
    /// The generated scenes that the images are, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenes: Option<ScenesRecord>,
    /// What the source found and did not hand out; of a run that was merged, what that of its first part did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// Pictures that could not be read, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<SkippedRecord>,
}

impl RunManifest {
    /// Reads the `run.json` of the run in `folder`.
    ///
    /// # Errors
    /// When there is none, it is malformed, or of another schema or kind.
    pub fn read(folder: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            schema: u32,
            kind: String,
        }
        let path = folder.join(FILE);
        let bytes = read_bytes(&path, MAX_BYTES)?;
        let malformed = |source| Error::malformed(path.display(), source);
        let head: Head = serde_json::from_slice(&bytes).map_err(malformed)?;
        if head.schema != SCHEMA {
            return Err(Error::mismatch(format!("{}: `schema`", path.display()), SCHEMA, head.schema));
        }
        if head.kind != KIND {
            let expected = format!("`{KIND}`");
            return Err(Error::mismatch(format!("{}: `kind`", path.display()), expected, format!("`{}`", head.kind)));
        }
        serde_json::from_slice(&bytes).map_err(malformed)
    }

    /// Writes `run.json` into `folder`.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let mut json = serde_json::to_vec_pretty(self).map_err(|source| Error::malformed(path.display(), source))?;
        json.push(b'\n');
        output::write_file(&path, &json)
    }
}
