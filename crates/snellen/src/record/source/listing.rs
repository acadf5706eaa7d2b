//! What lies in a folder and in the folders in it.
//!
//! Hidden files and folders (`.x`, and folders like `__MACOSX`) are passed over, as imagefolder does; each hidden folder counts
//! once. Links to files are followed. Links to folders are followed after all real folders, each folder is read once, and none
//! that the listed folder itself is in, so that no circle of links is endless.

use super::format;
use super::passed::Passed;
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Picture,
    /// A picture that can not be read, and why.
    Unread(&'static str),
    Tar,
    Parquet,
    Other,
    Hidden,
    /// Neither file nor folder, or a link that is not followed.
    Special(&'static str),
}

/// Files in the order of their paths' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// Paths relative to the folder, parts separated by `/`.
    pub files: Vec<(String, Kind)>,
}

impl Listing {
    /// Lists `folder`, however deep.
    ///
    /// # Errors
    /// When a folder cannot be read, or the name of a picture, tar or Parquet file is not Unicode.
    pub fn of(folder: &Path) -> Result<Self> {
        let root = fs::canonicalize(folder).map_err(Error::io(folder))?;
        let mut files = Vec::new();
        let mut seen = BTreeSet::from([root.clone()]);
        let (mut real, mut linked) = (vec![(folder.to_owned(), String::new())], Vec::new());
        while let Some((path, prefix)) = real.pop().or_else(|| linked.pop()) {
            let mut entries = Vec::new();
            for entry in fs::read_dir(&path).map_err(Error::io(&path))? {
                entries.push(entry.map_err(Error::io(&path))?.path());
            }
            // The last is popped first.
            entries.sort_unstable_by(|a, b| b.cmp(a));
            for entry in entries {
                let (name, kind, folder) = classify(&entry, &prefix)?;
                let Some(link) = folder else {
                    files.push((name, kind));
                    continue;
                };
                let place = fs::canonicalize(&entry).map_err(Error::io(&entry))?;
                if root.starts_with(&place) || !seen.insert(place) {
                    files.push((name, Kind::Special("links to folders that are read already or lie around this one")));
                } else if link {
                    linked.push((entry, format!("{name}/")));
                } else {
                    real.push((entry, format!("{name}/")));
                }
            }
        }
        files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(Self { files })
    }

    /// The paths of files of `kind`.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.files.iter().filter(move |file| file.1 == kind).map(|file| file.0.as_str())
    }

    /// The paths of pictures, those that can not be read among them.
    pub fn pictures(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter(|file| matches!(file.1, Kind::Picture | Kind::Unread(_))).map(|file| file.0.as_str())
    }

    /// What is passed over where the files that `used` speaks of are read; `pictures` is what pictures among it are called.
    pub fn passed(&self, pictures: &str, used: impl Fn(&str, Kind) -> bool) -> Passed {
        let mut passed = Passed::default();
        for (name, kind) in self.files.iter().filter(|(name, kind)| !used(name, *kind)) {
            match kind {
                Kind::Hidden => passed.add("hidden files or folders", name),
                Kind::Special(what) => passed.add(*what, name),
                Kind::Picture | Kind::Unread(_) => passed.add(pictures, name),
                Kind::Tar => passed.add("tar files", name),
                Kind::Parquet => passed.add("Parquet files", name),
                Kind::Other => passed.file(name),
            }
        }
        passed
    }
}

/// The relative name and kind of what is at `path`; of a folder to go into, whether it is a link.
fn classify(path: &Path, prefix: &str) -> Result<(String, Kind, Option<bool>)> {
    let base = path.file_name().unwrap_or_default();
    let text = base.to_string_lossy();
    let name = format!("{prefix}{text}");
    let own = path.symlink_metadata().map_err(Error::io(path))?.file_type();
    let kind = by_name(&text);
    let target = if own.is_symlink() { fs::metadata(path) } else { path.symlink_metadata() };
    let Ok(target) = target else {
        // A picture that is not there is a row that is missing.
        let kind = if kind == Kind::Picture { Kind::Unread("a link that leads nowhere") } else { kind };
        let nothing = Kind::Special("links that lead nowhere");
        return Ok((name, if matches!(kind, Kind::Unread(_) | Kind::Hidden) { kind } else { nothing }, None));
    };
    if target.is_dir() {
        let hidden = text.starts_with('.') || text.starts_with("__");
        if hidden {
            return Ok((name + "/", Kind::Hidden, None));
        }
        unicode(path, base)?;
        return Ok((name, Kind::Other, Some(own.is_symlink())));
    }
    if kind == Kind::Hidden {
        return Ok((name, kind, None));
    }
    if !target.is_file() {
        return Ok((name, Kind::Special("things that are neither files nor folders"), None));
    }
    if kind != Kind::Other {
        unicode(path, base)?;
    }
    Ok((name, kind, None))
}

fn by_name(name: &str) -> Kind {
    match format::picture(name) {
        _ if name.starts_with('.') => Kind::Hidden,
        Some(true) => Kind::Picture,
        Some(false) => Kind::Unread("a picture of a format that is not read"),
        None if format::tar_stem(name).is_some() => Kind::Tar,
        None if format::parquet_stem(name).is_some() => Kind::Parquet,
        None => Kind::Other,
    }
}

fn unicode(path: &Path, base: &std::ffi::OsStr) -> Result<()> {
    if base.to_str().is_none() {
        return Err(Error::mismatch(path.display(), "a file name in Unicode", "other bytes"));
    }
    Ok(())
}

/// Where `name`, relative to `folder`, is.
pub(super) fn within(folder: &Path, name: &str) -> PathBuf {
    name.split('/').fold(folder.to_owned(), |path, part| path.join(part))
}
