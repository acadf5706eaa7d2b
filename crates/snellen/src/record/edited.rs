//! Edits that a recording is made under: checked before anything is computed, made in every batch, said in the plan and in `run.json`, so
//! that an edited run neither goes on from a clean one nor is put together with it.

use super::Selected;
use crate::intervene::{Changed, Edit, Editing, Prepared, TokenMap};
use crate::model::{Hook, ModelConfig, Tower};
use crate::output::write_file;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An edit that a run was made under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditRecord {
    /// As it is written.
    pub edit: String,
    /// BLAKE3, in hexadecimal, of its units and numbers, as [`Prepared::hash`] says: those of files among them.
    pub numbers_hash: String,
}

/// The edits of a recording, and which of them changed something so far, in a file of the unfinished recording as well.
pub(super) struct Edits {
    made: Vec<(EditRecord, Prepared)>,
    /// One for each of them.
    changed: Vec<bool>,
    /// The file's path.
    kept: Option<PathBuf>,
}

impl Edits {
    /// Of `edits`, for a recording of the sites `selected` of `tower`.
    ///
    /// # Errors
    /// When one is of the other tower, needs other scenes, is behind all that is recorded, or is refused by [`Edit::prepare`].
    pub fn of(config: &ModelConfig, tower: Tower, edits: &[Edit], selected: &[Selected]) -> Result<Self> {
        let last = selected.iter().map(|selected| selected.site).max();
        let ready = |edit: &Edit| {
            let place = format!("edit `{edit}`");
            if edit.site.tower != tower {
                let expected = "a site of the tower that is recorded";
                return Err(Error::mismatch(place, expected, format!("`{}`", edit.site)));
            }
            if edit.action.needs_scenes() {
                let expected = "zero, add, project-out or rescale, which need no other scenes";
                return Err(Error::mismatch(place, expected, format!("`{}`", edit.action)));
            }
            if let Some(last) = last.filter(|last| edit.site > *last) {
                let expected = format!("a site before the last that is recorded, `{last}`");
                return Err(Error::mismatch(place, expected, format!("`{}`, which changes nothing of it", edit.site)));
            }
            let prepared = edit.prepare(config, &(), None)?;
            let record = EditRecord { edit: edit.to_string(), numbers_hash: prepared.hash() };
            Ok((record, prepared))
        };
        let edits: Vec<_> = edits.iter().map(ready).collect::<Result<_>>()?;
        Ok(Self { changed: vec![false; edits.len()], made: edits, kept: None })
    }

    /// Keeps in `file` which edits changed something, beginning with what an earlier recording kept there. Whether rows that are there
    /// may stay: where an edit isn't known to have changed any of them, all are to be run again.
    pub fn keep_in(&mut self, file: PathBuf) -> Result<bool> {
        if self.made.is_empty() {
            return Ok(true);
        }
        if let Ok(text) = std::fs::read(&file) {
            let found: Vec<bool> = serde_json::from_slice(&text).map_err(|e| Error::malformed(file.display(), e))?;
            if found.len() != self.made.len() {
                let expected = format!("{} edits", self.made.len());
                return Err(Error::mismatch(file.display(), expected, found.len()));
            }
            self.changed = found;
        }
        self.kept = Some(file);
        Ok(self.changed.iter().all(|changed| *changed))
    }

    /// What is said of them.
    pub fn records(&self) -> Vec<EditRecord> {
        self.made.iter().map(|(record, _)| record.clone()).collect()
    }

    /// One batch, whose rows have these `maps`: `forward` with the edits before `hook`.
    pub fn run(
        &mut self,
        config: &ModelConfig,
        maps: &dyn Fn() -> Result<Vec<TokenMap>>,
        hook: &mut dyn Hook,
        forward: &mut dyn FnMut(&mut dyn Hook) -> Result<()>,
    ) -> Result<()> {
        if self.made.is_empty() {
            return forward(hook);
        }
        let maps = maps()?;
        let of = |(_, edit): &(EditRecord, Prepared)| -> Result<Vec<Vec<usize>>> {
            maps.iter().map(|map| edit.positions(config, map)).collect()
        };
        let positions = self.made.iter().map(of).collect::<Result<Vec<_>>>()?;
        let made = self.made.iter().zip(&positions).map(|((_, edit), positions)| edit.on(positions, None));
        let mut both = (made.collect::<Vec<Editing<'_>>>(), hook);
        forward(&mut both)?;
        let now = self.changed.iter().zip(&both.0).map(|(before, edit)| *before || edit.changed().values > 0);
        let now: Vec<bool> = now.collect();
        if now != self.changed {
            self.changed = now;
            let text = serde_json::to_vec(&self.changed).map_err(|e| Error::malformed("json", e))?;
            self.kept.as_deref().map_or(Ok(()), |file: &Path| write_file(file, &text))?;
        }
        Ok(())
    }

    /// Refuses edits that changed nothing in any row.
    pub fn check(&self) -> Result<()> {
        let unchanged = self.made.iter().zip(&self.changed).find(|(_, changed)| !**changed);
        unchanged.map_or(Ok(()), |((_, edit), _)| edit.check(Changed::default()))
    }
}

/// The maps of images with these rows and columns of patches; all with those of the tower where there are none.
pub(super) fn maps_of_images(config: &ModelConfig, images: usize, grids: &[[usize; 2]]) -> Vec<TokenMap> {
    let patches = |image: usize| grids.get(image).map_or(config.vision.patches(), |[rows, columns]| rows * columns);
    (0..images).map(|image| TokenMap::of_patches(patches(image))).collect()
}
