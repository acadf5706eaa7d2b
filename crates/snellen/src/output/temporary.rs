//! What outputs are called while they are written, so that what a kill left of them can be told and removed.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use tempfile::Builder;

/// What stands before the characters that are drawn.
const MARK: &str = ".partial-";

/// How many of these there are.
const DRAWN: usize = 6;

/// Longer names are left out of temporary ones, in bytes: a file system has place for 255.
const LONGEST: usize = 200;

/// Temporary names of `target`: `.<its name>.partial-XXXXXX`.
pub(super) fn builder(target: &Path) -> TemporaryName {
    TemporaryName(prefix(target))
}

/// See [`builder`].
pub(super) struct TemporaryName(OsString);

impl TemporaryName {
    pub(super) fn tempfile_in(&self, folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
        Builder::new().prefix(&self.0).rand_bytes(DRAWN).tempfile_in(folder)
    }

    pub(super) fn tempdir_in(&self, folder: &Path) -> std::io::Result<tempfile::TempDir> {
        Builder::new().prefix(&self.0).rand_bytes(DRAWN).tempdir_in(folder)
    }
}

fn prefix(target: &Path) -> OsString {
    let mut prefix = OsString::new();
    if let Some(name) = target.file_name().filter(|name| name.len() <= LONGEST) {
        prefix.push(".");
        prefix.push(name);
    }
    prefix.push(MARK);
    prefix
}

/// A new folder `.<name of target>.partial-XXXXXX` in `folder`, gone when dropped.
pub(crate) fn in_folder(folder: &Path, target: &Path) -> std::io::Result<tempfile::TempDir> {
    builder(target).tempdir_in(folder)
}

/// Removes what stands beside `target` under its temporary names. Nothing depends on it, so what can't be removed stays.
///
/// Only who has a [`Claim`](super::Claim) on it may do so: to another they may be what is being written.
pub(super) fn sweep_beside(target: &Path) {
    let prefix = prefix(target);
    // Of a long name they do not say whose they are.
    if prefix == MARK {
        return;
    }
    let Ok(entries) = fs::read_dir(super::durable::parent(target)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let drawn = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        if drawn.is_some_and(|drawn| drawn.len() == DRAWN && drawn.iter().all(u8::is_ascii_alphanumeric)) {
            let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let _ = if folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        }
    }
}

/// Removes files that were being written in `folder`, however deep, when their writer ended.
///
/// Only who has a claim on the folder may do so.
pub(crate) fn sweep(folder: &Path) -> crate::Result<()> {
    for entry in fs::read_dir(folder).map_err(crate::Error::io(folder))? {
        let entry = entry.map_err(crate::Error::io(folder))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(crate::Error::io(folder))?);
        if kind.is_dir() {
            sweep(&path)?;
        } else if is_temporary(&entry.file_name().to_string_lossy()) {
            fs::remove_file(&path).map_err(crate::Error::io(&path))?;
        }
    }
    Ok(())
}

fn is_temporary(name: &str) -> bool {
    let drawn = name.rsplit_once(MARK).map(|(_, drawn)| drawn);
    name.starts_with(MARK) || (name.starts_with('.') && drawn.is_some_and(|drawn| drawn.len() == DRAWN))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{is_temporary, sweep_beside};
    use std::fs;

    #[test]
    fn only_what_was_being_written_is_swept() {
        let home = tempfile::tempdir().unwrap();
        let left =
            [".out.partial-a1B2c3", "out", ".out.partial-b.partial-a1B2c3", ".out.partial-long", "out.partial-a1B2c3"];
        left.iter().for_each(|name| fs::write(home.path().join(name), "").unwrap());
        fs::create_dir_all(home.path().join(".out.partial-Folder/below")).unwrap();
        sweep_beside(&home.path().join("out"));
        let mut names: Vec<_> =
            home.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, [".out.partial-b.partial-a1B2c3", ".out.partial-long", "out", "out.partial-a1B2c3"]);
        let temporary = [".partial-x", ".partial-a1B2c3", ".run.json.partial-a1B2c3"];
        assert!(temporary.into_iter().all(is_temporary));
        assert!(!["run.json", "a.partial-a1B2c3", ".hidden", ".a.partial-"].into_iter().any(is_temporary));
    }
}
