//! A model in a folder inside another: `image_encoder` of a pipeline, one of several variants in a repository.

use crate::model::files::Files;
use crate::model::headers::Header;
use crate::{Error, Result};
use std::path::PathBuf;

/// What `diffusers` calls the folder of a pipeline's image processor.
const PROCESSOR: &str = "feature_extractor";

/// The files in one folder of others. What describes the image processor may also lie beside it or above it.
pub(in crate::model) struct Subfolder<'a> {
    files: &'a dyn Files,
    folder: String,
}

impl<'a> Subfolder<'a> {
    /// `folder` is relative, with slashes.
    pub(in crate::model) fn new(files: &'a dyn Files, folder: &str) -> Result<Self> {
        let parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let plain = |part: &&str| *part != ".." && !part.contains(['\\', ':']) && !part.contains(char::is_control);
        if parts.is_empty() || folder.starts_with('/') || !parts.iter().all(plain) {
            let expected = "the name of a folder inside the model's, with slashes";
            return Err(Error::mismatch("subfolder", expected, format!("{folder:?}")));
        }
        Ok(Self { files, folder: parts.join("/") })
    }

    /// The folder, relative to the files around it.
    pub(in crate::model) fn name(&self) -> &str {
        &self.folder
    }

    fn inside(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }
}

impl Files for Subfolder<'_> {
    fn file(&self, name: &str) -> Result<Option<PathBuf>> {
        let own = self.files.file(&self.inside(name))?;
        if own.is_some() || !matches!(name, "preprocessor_config.json" | "processor_config.json") {
            return Ok(own);
        }
        let above = self.folder.rsplit_once('/').map(|(above, _)| format!("{above}/")).unwrap_or_default();
        for around in [format!("{above}{PROCESSOR}/{name}"), format!("{above}{name}")] {
            if let Some(path) = self.files.file(&around)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn has(&self, name: &str) -> Result<bool> {
        Ok(self.files.has(&self.inside(name))? || self.file(name)?.is_some())
    }

    fn header(&self, name: &str) -> Result<Option<Header>> {
        self.files.header(&self.inside(name))
    }

    fn missing(&self, name: &str) -> Error {
        self.files.missing(&self.inside(name))
    }

    fn place(&self, name: &str) -> String {
        self.files.place(&self.inside(name))
    }
}
