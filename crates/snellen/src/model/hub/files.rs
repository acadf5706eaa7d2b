//! A model of the Hub as the loader reads it.

use super::{Hub, HubId, Repo};
use crate::model::{Files, Header};
use crate::progress::Stages;
use crate::{Error, Result};
use std::path::PathBuf;

/// Calls `read` with the files of the model that `id` names, on the Hub of the environment, and its name at the commit.
pub(in crate::model) fn with<T>(
    id: &HubId,
    stages: &dyn Stages,
    read: impl FnOnce(&dyn Files, Option<&str>, String) -> Result<T>,
) -> Result<T> {
    let hub = Hub::from_env()?;
    let repo = hub.open(id, stages)?;
    if let Some(why) = repo.cut_off().filter(|_| !hub.offline) {
        stages.note(&format!("{repo} is what was cached, which may be old, since the Hub cannot be asked: {why}"));
    }
    let name = repo.to_string();
    read(&repo, None, name)
}

impl Files for Repo<'_> {
    /// Cut off from the Hub, what is not in the cache is not there: most models lack some of the files that are looked for, and
    /// a cache that Python filled does not say so.
    fn file(&self, name: &str) -> Result<Option<PathBuf>> {
        match self.cut_off() {
            Some(_) => self.cached(name),
            None => Repo::file(self, name),
        }
    }

    fn has(&self, name: &str) -> Result<bool> {
        Repo::has(self, name)
    }

    fn header(&self, name: &str) -> Result<Option<Header>> {
        if self.cached(name)?.is_some() { Ok(None) } else { Repo::header(self, name) }
    }

    fn missing(&self, name: &str) -> Error {
        match self.cut_off() {
            Some(_) => self.missing_in_cache(name),
            None => Error::mismatch(self.place(name), "a file", "no such file"),
        }
    }

    fn place(&self, name: &str) -> String {
        format!("{self}: {name}")
    }
}
