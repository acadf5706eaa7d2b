//! What a user calls a model, and where that is.

use super::subfolder::Subfolder;
use crate::model::HubId;
use crate::model::files::Files;
#[cfg(feature = "hub")]
use crate::model::hub::with as of_hub;
use crate::progress::Stages;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Where a model is.
pub(in crate::model) enum Source {
    Folder(PathBuf),
    /// Weights in the folder of their configuration.
    File {
        folder: PathBuf,
        name: String,
    },
    Hub(HubId),
}

impl Source {
    /// Whatever `model` means: a path if there is something, or if its parent is there; else a name on the Hub.
    pub(in crate::model) fn find(model: &str) -> Result<Self> {
        let path = Path::new(model);
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let local = path.exists() || path.is_absolute() || model.starts_with('.') || parent.is_some_and(Path::is_dir);
        match model.parse() {
            Ok(id) if !local || model.contains('@') && !path.exists() => Ok(Self::Hub(id)),
            _ => Self::of_path(path),
        }
    }

    pub(in crate::model) fn of_path(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        if !path.is_file() {
            let expected = "a folder with config.json and model.safetensors, a file of weights beside its config.json, \
                            or a name on the Hub (owner/name, owner/name@revision)";
            return Err(Error::mismatch(path.display(), expected, "no such folder"));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !matches!(ending(&name), Some("safetensors" | "bin" | "pt" | "pth" | "ckpt")) {
            let expected =
                "a folder with config.json and model.safetensors, or a file of weights (.safetensors, .bin, .pt, .pth)";
            return Err(Error::mismatch(path.display(), expected, format!("`{name}`")));
        }
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(Self::File { folder: folder.unwrap_or(Path::new(".")).to_owned(), name })
    }

    /// Calls `read` with the files, or those of a sub-folder, the name of the weights among them where it isn't the usual one, and the
    /// model's name.
    pub(in crate::model) fn with<T>(
        &self,
        (subfolder, weights): (Option<&str>, Option<&str>),
        stages: &dyn Stages,
        read: impl FnOnce(&dyn Files, Option<&str>, String) -> Result<T>,
    ) -> Result<T> {
        let Some(subfolder) = subfolder else {
            return self.with_all(stages, |files, own, name| read(files, weights.or(own), name));
        };
        self.with_all(stages, |files, own, name| {
            if let Some(own) = own {
                let expected = "a folder or a name on the Hub, where a sub-folder is asked for";
                return Err(Error::mismatch(files.place(own), expected, "a file of weights"));
            }
            let inner = Subfolder::new(files, subfolder)?;
            let name = format!("{name}/{}", inner.name());
            read(&inner, weights, name)
        })
    }

    fn with_all<T>(
        &self,
        stages: &dyn Stages,
        read: impl FnOnce(&dyn Files, Option<&str>, String) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::Folder(folder) => {
                let whole = folder.canonicalize().map_err(Error::io(folder))?;
                let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
                read(&folder.as_path(), None, name)
            }
            Self::File { folder, name } => read(&folder.as_path(), Some(name), name.clone()),
            Self::Hub(id) => of_hub(id, stages, read),
        }
    }
}

/// Without the feature `hub` nothing is fetched.
#[cfg(not(feature = "hub"))]
fn of_hub<T>(id: &HubId, _: &dyn Stages, _: impl FnOnce(&dyn Files, Option<&str>, String) -> Result<T>) -> Result<T> {
    let expected = "a folder or a file of weights, since this program was built without the feature `hub`";
    Err(Error::mismatch(id, expected, "a name on the Hub"))
}

fn ending(name: &str) -> Option<&str> {
    Path::new(name).extension().and_then(|ending| ending.to_str())
}
