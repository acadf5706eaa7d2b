//! Edits that a recording is made under: checked before anything is computed, made in every batch, said in the plan and in `run.json`, so
//! that an edited run neither goes on from a clean one nor is put together with it.

use super::Selected;
use crate::intervene::{Changed, Edit, Editing, Prepared, TokenMap};
use crate::model::{Hook, ModelConfig, Tower};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// An edit that a run was made under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditRecord {
    /// As it is written.
    pub edit: String,
    /// BLAKE3, in hexadecimal, of its units and numbers, as [`Prepared::hash`] says: those of files among them.
    pub numbers_hash: String,
}

/// The edits of a recording, and what they changed.
pub(super) struct Edits {
    edits: Vec<(EditRecord, Prepared, Changed)>,
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
            Ok((record, prepared, Changed::default()))
        };
        Ok(Self { edits: edits.iter().map(ready).collect::<Result<_>>()? })
    }

    /// What is said of them.
    pub fn records(&self) -> Vec<EditRecord> {
        self.edits.iter().map(|(record, ..)| record.clone()).collect()
    }

    /// One batch, whose rows have these `maps`: `forward` with the edits before `hook`.
    pub fn run(
        &mut self,
        config: &ModelConfig,
        maps: &dyn Fn() -> Result<Vec<TokenMap>>,
        hook: &mut dyn Hook,
        forward: &mut dyn FnMut(&mut dyn Hook) -> Result<()>,
    ) -> Result<()> {
        if self.edits.is_empty() {
            return forward(hook);
        }
        let maps = maps()?;
        let of = |(_, edit, _): &(EditRecord, Prepared, Changed)| -> Result<Vec<Vec<usize>>> {
            maps.iter().map(|map| edit.positions(config, map)).collect()
        };
        let positions = self.edits.iter().map(of).collect::<Result<Vec<_>>>()?;
        let made = self.edits.iter().zip(&positions).map(|((_, edit, _), positions)| edit.on(positions, None));
        let mut both = (made.collect::<Vec<Editing<'_>>>(), hook);
        forward(&mut both)?;
        let changed: Vec<Changed> = both.0.iter().map(Editing::changed).collect();
        self.edits.iter_mut().zip(changed).for_each(|((.., all), changed)| *all = all.and(changed));
        Ok(())
    }

    /// Refuses edits that changed nothing in all that was run.
    pub fn check(&self) -> Result<()> {
        self.edits.iter().try_for_each(|(_, edit, changed)| edit.check(*changed))
    }
}

/// The maps of images with these rows and columns of patches; all with those of the tower where there are none.
pub(super) fn maps_of_images(config: &ModelConfig, images: usize, grids: &[[usize; 2]]) -> Vec<TokenMap> {
    let patches = |image: usize| grids.get(image).map_or(config.vision.patches(), |[rows, columns]| rows * columns);
    (0..images).map(|image| TokenMap::of_patches(patches(image))).collect()
}
