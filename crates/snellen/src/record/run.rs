//! `run.json`: what a run was made from. Nothing in it depends on where or when.

use super::basis::BasisRecord;
use super::drawn::ScenesRecord;
use super::edited::EditRecord;
use super::picture::read_bytes;
use super::select::Selected;
use super::skipped::SkippedRecord;
use super::source::PassedOver;
use crate::model::{LeftAlone, Model, Preprocessing, Transform};
use crate::{Error, Result, output};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The `schema` that is written and read.
pub const SCHEMA: u32 = 3;

/// The `kind` of a recording of images.
pub const KIND: &str = "record";

/// The `kind` of a recording of texts.
pub const TEXTS_KIND: &str = "record_texts";

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
    /// [`KIND`] or [`TEXTS_KIND`].
    pub kind: String,
    /// Version of snellen that made the run.
    pub snellen: String,
    /// The model.
    pub model: ModelRecord,
    /// The images, in a run of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImagesRecord>,
    /// How pictures became pixels, in a run of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
    /// The texts, in a run of texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<TextsRecord>,
    /// The arrays of `activations.zarr`.
    pub sites: Vec<Selected>,
    /// The bases that some of them are in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<BasisRecord>,
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
    /// What was done to activations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<EditRecord>,
}

impl ModelRecord {
    /// Of `model`, run under `edits`.
    pub(crate) fn of(model: &Model, edits: Vec<EditRecord>) -> Self {
        Self {
            name: model.name.clone(),
            weights_hash: model.weights_hash.clone(),
            config_hash: model.config_hash.clone(),
            assumed: model.config.assumed.clone(),
            left_alone: model.config.left_alone.clone(),
            transforms: model.transforms.clone(),
            edits,
        }
    }
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

/// Which texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextsRecord {
    /// How many.
    pub count: usize,
    /// Of all rows of `texts.parquet`, as [`TextTable::finish`](super::texts::table::TextTable::finish) says.
    pub hash: String,
    /// Of the token ids of all texts of the whole run: of the hash of each, which is that of its number of ids (u64, little-endian) and
    /// the ids (u32), row after row.
    pub ids_hash: String,
    /// Of the tokenizer's file, as [`Tokenizer::hash`](crate::model::Tokenizer::hash) says.
    pub tokenizer_hash: String,
    /// Tokens of a text under the policy `all`: as many as the longest of the whole run has, or as the tower takes where it sees
    /// padding.
    pub tokens: usize,
    /// How many texts of the whole run were cut to what the tower takes; absent where none might be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated: Option<usize>,
    /// Of `labels.csv`, where there is one.
    pub labels_hash: Option<String>,
    /// The generated scenes that the texts describe, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenes: Option<ScenesRecord>,
    /// What was found beside the texts and is not in the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
}

impl RunManifest {
    /// Rows of its arrays.
    pub fn rows(&self) -> usize {
        self.images.as_ref().map_or(0, |images| images.count) + self.texts.as_ref().map_or(0, |texts| texts.count)
    }

    /// What its rows are: `images` or `texts`.
    pub fn things(&self) -> &'static str {
        if self.texts.is_some() { "texts" } else { "images" }
    }

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
        if ![KIND, TEXTS_KIND].contains(&head.kind.as_str()) {
            let (expected, got) = (format!("`{KIND}` or `{TEXTS_KIND}`"), format!("`{}`", head.kind));
            return Err(Error::mismatch(format!("{}: `kind`", path.display()), expected, got));
        }
        let run: Self = serde_json::from_slice(&bytes).map_err(malformed)?;
        let of_images = [run.images.is_some(), run.preprocessing.is_some(), run.texts.is_none()];
        if of_images != [run.kind == KIND; 3] {
            let expected = format!("`images` and `preprocessing` of kind `{KIND}`, or `texts` of kind `{TEXTS_KIND}`");
            return Err(Error::mismatch(path.display(), expected, format!("others of kind `{}`", run.kind)));
        }
        Ok(run)
    }

    /// Writes `run.json` into `folder`.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let mut json = serde_json::to_vec_pretty(self).map_err(|source| Error::malformed(path.display(), source))?;
        json.push(b'\n');
        output::write_part(&path, &json)
    }
}
