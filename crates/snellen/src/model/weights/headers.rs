//! A model's files without their weights: what the headers of safetensors files say is all that listing a model's sites takes.
//!
//! Of a file of the Hub that is not in its cache the header alone is fetched, into a file as long as the whole, whose rest has no
//! place on the disk and is never read.

use crate::model::files::Files;
use crate::{Error, Result};
use std::cell::OnceCell;
use std::fs::File;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use tempfile::TempDir;

/// The beginning of a safetensors file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// At least the header and what stands before it, unless it is too long to be one.
    pub bytes: Vec<u8>,
    /// How long the file is, in bytes.
    pub length: u64,
}

/// Files whose weights can not be read. They are gone when this is dropped.
pub(in crate::model) struct Headers<'a> {
    files: &'a dyn Files,
    folder: OnceCell<TempDir>,
}

impl<'a> Headers<'a> {
    pub(in crate::model) fn of(files: &'a dyn Files) -> Self {
        Self { files, folder: OnceCell::new() }
    }

    /// A file of that header.
    fn file_of(&self, name: &str, header: &Header) -> Result<PathBuf> {
        let folder = if let Some(folder) = self.folder.get() {
            folder
        } else {
            let new = tempfile::tempdir().map_err(Error::io(std::env::temp_dir()))?;
            self.folder.get_or_init(|| new)
        };
        // So that messages say what it is of.
        let place = self.files.place(name).replace(": ", "/");
        let inside = Path::new(&place).components().filter(|part| matches!(part, Component::Normal(_)));
        let path = folder.path().join(inside.collect::<PathBuf>());
        let parent = crate::output::durable::parent(&path);
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        let mut file = File::create(&path).map_err(Error::io(&path))?;
        file.write_all(&header.bytes).map_err(Error::io(&path))?;
        file.set_len(header.length).map_err(Error::io(&path))?;
        Ok(path)
    }
}

impl Files for Headers<'_> {
    fn file(&self, name: &str) -> Result<Option<PathBuf>> {
        let header = if name.ends_with(".safetensors") { self.files.header(name)? } else { None };
        match header {
            Some(header) => self.file_of(name, &header).map(Some),
            None => self.files.file(name),
        }
    }

    fn has(&self, name: &str) -> Result<bool> {
        self.files.has(name)
    }

    fn missing(&self, name: &str) -> Error {
        self.files.missing(name)
    }

    fn place(&self, name: &str) -> String {
        self.files.place(name)
    }
}
