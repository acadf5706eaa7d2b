//! What untrained models gave, kept for the next exam of a model of the same shape on the same scenes.
//!
//! They are most of the work of an exam, and depend on the shape and the scenes alone (shuffled ones on the weights too). A file holds the
//! measures of one untrained model; its name is the hash of all that these depend on.

use crate::measure::encodes::Criterion;
use crate::model::{LeftAlone, Untrained, UntrainedKind};
use crate::record::RunManifest;
use crate::report::SiteUnits;
use crate::{Error, Result, output};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 24;

/// A folder of measures of untrained models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
    program: String,
}

/// All that the measures of an untrained model depend on.
#[derive(Serialize)]
struct Key<'a> {
    program: &'a str,
    kind: &'a str,
    seed: u64,
    weights: Option<&'a str>,
    run: &'a RunManifest,
    criterion: &'a Criterion,
}

impl Cache {
    /// In `folder`, which is made where it is not there; a program that isn't the same to the last byte finds nothing of this one.
    pub fn new(folder: PathBuf, program: &[u8]) -> Self {
        Self { folder, program: blake3::hash(program).to_hex().to_string() }
    }

    /// The file of the measures of `of` on what `run`, the recording of the trained model, shows.
    ///
    /// # Errors
    /// When the run is malformed.
    pub(super) fn file(&self, of: Untrained, run: &RunManifest, criterion: &Criterion) -> Result<PathBuf> {
        let shuffled = of.kind == UntrainedKind::Shuffled;
        let mut shape = run.clone();
        (shape.model.name, shape.model.weights_hash) = (String::new(), String::new());
        shape.model.left_alone = LeftAlone::default();
        let weights = shuffled.then_some(run.model.weights_hash.as_str());
        let (kind, seed) = (of.kind.name(), of.seed);
        let key = Key { program: &self.program, kind, seed, weights, run: &shape, criterion };
        let json = serde_json::to_vec(&key).map_err(|source| Error::malformed("cache of untrained models", source))?;
        Ok(self.folder.join(format!("{}.json", blake3::hash(&json).to_hex())))
    }

    /// What was kept in `file`; `None` where nothing was, or nothing whole.
    pub(super) fn get(file: &Path) -> Option<Vec<SiteUnits>> {
        let whole = fs::metadata(file).is_ok_and(|file| file.len() <= MAX_BYTES);
        serde_json::from_slice(&fs::read(file).ok().filter(|_| whole)?).ok()
    }

    /// Keeps `measures` in `file`. Nothing is lost where that fails but time.
    pub(super) fn put(file: &Path, measures: &[SiteUnits]) {
        let folder = file.parent().map(fs::create_dir_all);
        if let (Some(Ok(())), Ok(json)) = (folder, serde_json::to_vec(measures)) {
            let _ = output::write_file(file, &json);
        }
    }
}
