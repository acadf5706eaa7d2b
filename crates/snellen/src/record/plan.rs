//! `plan.json`: all that the bytes of a run depend on, fixed when its recording begins.
//!
//! A recording that goes on, and parts that are put together, have to agree in it. It says nothing of batches and threads,
//! which change no byte.

use super::basis::BasisRecord;
use super::drawn::ScenesRecord;
use super::part::Part;
use super::picture::read_bytes;
use super::run::ModelRecord;
use super::select::Selected;
use crate::model::Preprocessing;
use crate::output::write_file;
use crate::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// The file's name in the folder of an unfinished recording.
pub(crate) const FILE: &str = "plan.json";

/// The `schema` that is written and gone on from.
const SCHEMA: u32 = 1;

/// The largest `plan.json` that is read, in bytes.
const MAX_BYTES: u64 = 1 << 24;

/// What a run is made from, as far as it is known before the images are read.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Plan {
    pub schema: u32,
    pub snellen: String,
    pub model: ModelRecord,
    /// Of a run of images, as is `preprocessing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<ImageList>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
    /// Of a run of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<TextList>,
    pub sites: Vec<Selected>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<BasisRecord>,
    pub engine: String,
    pub dtype: String,
    pub seed: u64,
    /// As in `2/5`.
    pub part: Option<String>,
}

/// Which images, by name.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ImageList {
    /// Of the whole run.
    pub count: usize,
    /// BLAKE3 of each name's length (u64, little-endian) and the name, row after row.
    pub names_hash: String,
    pub labels_hash: Option<String>,
    pub scenes: Option<ScenesRecord>,
}

/// Which texts.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TextList {
    /// Of the whole run.
    pub count: usize,
    /// Of all rows of the whole run, as [`TextTable::finish`](super::texts::table::TextTable::finish) says.
    pub hash: String,
    pub ids_hash: String,
    pub tokenizer_hash: String,
    /// Tokens of a text under the policy `all`.
    pub tokens: usize,
    pub truncate: bool,
    pub labels_hash: Option<String>,
    pub scenes: Option<ScenesRecord>,
}

impl Plan {
    /// A plan of this version's schema.
    pub const SCHEMA: u32 = SCHEMA;

    /// The same of another part, or of the whole run.
    pub fn of_part(&self, part: Option<Part>) -> Self {
        Self { part: part.map(|part| part.to_string()), ..self.clone() }
    }

    /// BLAKE3 of the plan of the whole run, in hexadecimal.
    pub fn hash(&self) -> Result<String> {
        Ok(blake3::hash(&self.of_part(None).json()?).to_hex().to_string())
    }

    fn json(&self) -> Result<Vec<u8>> {
        pretty(self)
    }

    /// Writes it into `folder`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write(folder, self)
    }

    /// Compares it with that in `folder`.
    ///
    /// # Errors
    /// Names the first field that differs.
    pub fn check(&self, folder: &Path) -> Result<()> {
        check(folder, self)
    }
}

fn pretty(plan: &impl Serialize) -> Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(plan).map_err(|source| Error::malformed(FILE, source))?;
    json.push(b'\n');
    Ok(json)
}

/// Writes `plan`, of a recording or of what else goes on after it ended early, into `folder`.
pub(crate) fn write(folder: &Path, plan: &impl Serialize) -> Result<()> {
    write_file(&folder.join(FILE), &pretty(plan)?)
}

/// Compares `plan` with that in `folder`.
///
/// # Errors
/// Names the first field that differs.
pub(crate) fn check(folder: &Path, plan: &impl Serialize) -> Result<()> {
    let path = folder.join(FILE);
    let bytes = read_bytes(&path, MAX_BYTES)?;
    let malformed = |source| Error::malformed(path.display(), source);
    let there: Value = serde_json::from_slice(&bytes).map_err(malformed)?;
    let here: Value = serde_json::from_slice(&pretty(plan)?).map_err(malformed)?;
    match difference(&there, &here, "") {
        None => Ok(()),
        Some((key, there, here)) => Err(Error::mismatch(format!("{}: `{key}`", path.display()), there, here)),
    }
}

/// Where two values differ first: the key, and either value there.
pub(super) fn difference(a: &Value, b: &Value, key: &str) -> Option<(String, String, String)> {
    if a == b {
        return None;
    }
    let under = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let names = x.keys().chain(y.keys().filter(|name| !x.contains_key(*name)));
            let of = |map: &serde_json::Map<String, Value>, name: &str| map.get(name).cloned().unwrap_or_default();
            names.into_iter().find_map(|name| difference(&of(x, name), &of(y, name), &under(name)))
        }
        (Value::Array(x), Value::Array(y)) => {
            let of = |list: &[Value], i: usize| list.get(i).cloned().unwrap_or_default();
            (0..x.len().max(y.len())).find_map(|i| difference(&of(x, i), &of(y, i), &under(&i.to_string())))
        }
        _ => {
            let said = |value: &Value| match value {
                Value::Null => "nothing".to_owned(),
                value => value.to_string().chars().take(200).collect(),
            };
            Some((key.to_owned(), said(a), said(b)))
        }
    }
}
