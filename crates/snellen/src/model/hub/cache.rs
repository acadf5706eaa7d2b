//! The cache's folder of one repository, laid out as `huggingface_hub` lays it out.
//!
//! ```text
//! models--owner--name/
//!   blobs/ETAG                      contents
//!   blobs/ETAG.incomplete           what came so far
//!   refs/main                       the commit that the revision meant last
//!   snapshots/COMMIT/config.json    -> ../../blobs/ETAG
//!   .no_exist/COMMIT/other.json     the commit has no such file
//! .locks/models--owner--name/ETAG.lock
//! ```

use super::client::ANSWER_LIMIT;
use super::retry::wait;
use super::{Hub, HubId};
use crate::model::weights::hub_id::{is_commit, is_file_name};
use crate::output::write_file;
use crate::progress::Progress;
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a lock that another holds is tried.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of `refs/...` that are read; a commit has 40.
const REF_LIMIT: u64 = 256;

/// `models--owner--name` and its locks.
pub(super) struct Folder {
    path: PathBuf,
    locks: PathBuf,
}

impl Folder {
    pub(super) fn new(hub: &Hub, id: &HubId) -> Self {
        let name = format!("models--{}", id.repo().replace('/', "--"));
        Self { path: hub.cache.join(&name), locks: hub.cache.join(".locks").join(name) }
    }

    /// Where the commit's file of this name is or will be.
    pub(super) fn pointer(&self, commit: &str, name: &str) -> PathBuf {
        self.path.join("snapshots").join(commit).join(name)
    }

    /// The file itself, if it is here.
    pub(super) fn file(&self, commit: &str, name: &str) -> Option<PathBuf> {
        Some(self.pointer(commit, name)).filter(|path| path.is_file())
    }

    /// Whether anything of the commit is here.
    pub(super) fn has(&self, commit: &str) -> bool {
        self.path.join("snapshots").join(commit).is_dir()
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.path.join("blobs").join(etag)
    }

    pub(super) fn partial(&self, etag: &str) -> PathBuf {
        self.path.join("blobs").join(format!("{etag}.incomplete"))
    }

    /// The commit that the revision meant last, if that was noted.
    pub(super) fn commit_of(&self, id: &HubId) -> Result<Option<String>> {
        if let Some(commit) = id.pinned() {
            return Ok(self.has(commit).then(|| commit.to_owned()));
        }
        let path = self.path.join("refs").join(id.revision());
        let Some(text) = read_bounded(&path, REF_LIMIT)? else { return Ok(None) };
        let commit = String::from_utf8_lossy(&text).trim().to_owned();
        if is_commit(&commit) {
            return Ok(Some(commit));
        }
        Err(Error::mismatch(path.display(), "a commit, 40 hexadecimal digits; remove the file", format!("{commit:?}")))
    }

    /// Notes what the revision means.
    pub(super) fn note(&self, id: &HubId, commit: &str) -> Result<()> {
        // A cache that others filled and that cannot be written to is as good, so what stands there is not written again.
        if id.revision() == commit || self.commit_of(id).is_ok_and(|known| known.as_deref() == Some(commit)) {
            return Ok(());
        }
        let path = self.path.join("refs").join(id.revision());
        make_parent(&path)?;
        write_file(&path, commit.as_bytes())
    }

    /// Notes that the commit has no file of this name.
    pub(super) fn note_absent(&self, commit: &str, name: &str) -> Result<()> {
        let path = self.absent(commit, name);
        make_parent(&path)?;
        File::create(&path).map_err(Error::io(&path)).map(drop)
    }

    /// Whether it is known, without the Hub, that the commit has no file of this name.
    pub(super) fn lacks(&self, commit: &str, name: &str) -> Result<bool> {
        Ok(self.absent(commit, name).is_file() || self.listing(commit)?.is_some_and(|names| !names.contains(name)))
    }

    fn absent(&self, commit: &str, name: &str) -> PathBuf {
        self.path.join(".no_exist").join(commit).join(name)
    }

    /// The commit's files, which `hf download` notes for whole repositories since `huggingface_hub` 2.
    fn listing(&self, commit: &str) -> Result<Option<BTreeSet<String>>> {
        #[derive(serde::Deserialize)]
        struct Tree {
            format_version: u32,
            files: serde_json::Map<String, serde_json::Value>,
        }
        let path = self.path.join("trees").join(format!("{commit}.json"));
        let Some(text) = read_bounded(&path, ANSWER_LIMIT)? else { return Ok(None) };
        // It is another program's note; one that we do not understand says nothing.
        let tree = serde_json::from_slice::<Tree>(&text).ok().filter(|tree| tree.format_version == 1);
        Ok(tree.map(|tree| tree.files.into_iter().map(|(name, _)| name).collect()))
    }

    /// Waits until no other process or thread fetches this content. Where the file system has no locks there is none: writers
    /// put the same bytes to the same places, and the checksum decides.
    pub(super) fn lock(&self, hub: &Hub, progress: &dyn Progress, etag: &str) -> Result<Option<File>> {
        let path = self.locks.join(format!("{etag}.lock"));
        make_parent(&path)?;
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::io(&path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) => wait(hub, progress, LOCK_PAUSE)?,
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(Error::io(&path)(error)),
            }
        }
    }

    /// Lets the commit's file of this name appear, as a link to its contents, or as a copy where links are refused.
    pub(super) fn point(&self, commit: &str, name: &str, etag: &str) -> Result<PathBuf> {
        place(&self.blob(etag), &relative(name, etag), &self.pointer(commit, name), symlink)
    }
}

/// Makes the folder of `path`.
pub(super) fn make_parent(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(Error::io(folder))
}

/// From `snapshots/COMMIT/name` to the contents.
fn relative(name: &str, etag: &str) -> PathBuf {
    let up = name.split('/').count() + 1;
    std::iter::repeat_n("..", up).chain(["blobs", etag]).collect()
}

/// Puts at `path` a link to `contents`, written as `link`, or a copy; by rename, over whatever is there.
fn place(contents: &Path, link: &Path, path: &Path, make: fn(&Path, &Path) -> std::io::Result<()>) -> Result<PathBuf> {
    make_parent(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let beside = tempfile::Builder::new().prefix(".partial-").tempdir_in(folder).map_err(Error::io(folder))?;
    let new = beside.path().join("new");
    if make(link, &new).is_err() {
        std::fs::copy(contents, &new).map_err(Error::io(path))?;
    }
    std::fs::rename(&new, path).map_err(Error::io(path))?;
    Ok(path.to_owned())
}

#[cfg(unix)]
fn symlink(link: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(link, path)
}

#[cfg(windows)]
fn symlink(link: &Path, path: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(link, path)
}

/// The first `limit` bytes of a file, if there is one.
fn read_bounded(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    if !path.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(limit).read_to_end(&mut bytes).map_err(Error::io(path))?;
    Ok(Some(bytes))
}

/// Whether an ETag can name contents in the cache.
pub(super) fn names_contents(etag: &str) -> bool {
    is_file_name(etag) && etag.len() <= 128 && etag.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn hub_files_are_copied_where_links_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let contents = folder.path().join("contents");
        std::fs::write(&contents, "here").unwrap();
        let path = folder.path().join("deep/er/file");
        let refused = |_: &Path, _: &Path| Err(ErrorKind::PermissionDenied.into());
        place(&contents, Path::new("nowhere"), &path, refused).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "here");
        assert!(!path.is_symlink());
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
