//! Outputs that appear whole or not at all: written beside their place, made durable, then renamed into it, by one process at a
//! time.

mod claim;
pub(crate) mod durable;
pub(crate) mod fault;
mod temporary;

pub use claim::Claim;
pub(crate) use temporary::{in_folder, sweep};

use crate::{Error, Result};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Where what is to appear at `out`, and is gone on with when it ended early, stands until it is whole: `<out>.partial`.
pub fn unfinished(out: &Path) -> PathBuf {
    let mut name = OsString::from(out.file_name().unwrap_or_default());
    name.push(".partial");
    out.with_file_name(name)
}

/// Writes `bytes` to `path`, replacing what is there in one step. Once it returns, no power cut takes them back.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_part(path, bytes)?;
    durable::folder(durable::parent(path))
}

/// The same of a file in a folder that is made durable as a whole in the end: until then a power cut may take it back, all of it.
pub(crate) fn write_part(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut staged = StagedFile::begin(path)?;
    fault::write_all(path, staged.file.as_file_mut(), bytes)?;
    staged.publish()
}

/// The same of a file that is written anew whenever its folder is gone on with: until the folder is durable a power cut may leave any part
/// of it.
pub(crate) fn write_again(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut staged = StagedFile::begin(path)?;
    fault::write_all(path, staged.file.as_file_mut(), bytes)?;
    staged.place()
}

/// A file that is written beside its place, and not yet durable; gone when dropped, put in its place by [`place_all`].
pub(crate) struct Written {
    at: tempfile::TempPath,
    path: PathBuf,
}

/// Writes the file that is to appear at `path` beside it.
pub(crate) fn write_beside(path: &Path, bytes: &[u8]) -> Result<Written> {
    let mut staged = StagedFile::begin(path)?;
    fault::write_all(path, staged.file.as_file_mut(), bytes)?;
    make_readable(staged.file.path())?;
    Ok(Written { at: staged.file.into_temp_path(), path: staged.path })
}

/// Makes durable what was `written` in `root`, all of it at once, and puts each in its place, in order.
pub(crate) fn place_all(root: &Path, written: Vec<Written>) -> Result<()> {
    let files: Vec<PathBuf> = written.iter().map(|file| file.at.to_path_buf()).collect();
    durable::files(root, &files)?;
    for Written { at, path } in written {
        at.persist(&path).map_err(|e| Error::io(&path)(e.error))?;
        fault::point(&path)?;
    }
    Ok(())
}

/// A file under construction, of which no power cut leaves a part: gone when dropped, renamed into place by [`StagedFile::publish`].
pub(crate) struct StagedFile {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl StagedFile {
    /// Begins the file that is to appear at `path`.
    pub(crate) fn begin(path: &Path) -> Result<Self> {
        let parent = durable::parent(path);
        let file = temporary::builder(path).tempfile_in(parent).map_err(Error::io(parent))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// What to write to.
    pub(crate) fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Puts it in its place, where it replaces what is there.
    pub(crate) fn publish(self) -> Result<()> {
        self.file.as_file().sync_all().map_err(Error::io(&self.path))?;
        self.place()
    }

    fn place(self) -> Result<()> {
        let Self { file, path } = self;
        make_readable(file.path())?;
        file.persist(&path).map_err(|e| Error::io(&path)(e.error))?;
        fault::point(&path)
    }
}

/// A folder under construction: removed when dropped, renamed into place by [`StagedDir::publish`].
pub struct StagedDir {
    partial: tempfile::TempDir,
    target: PathBuf,
    /// Given up last, when nothing is left.
    _claim: Option<Claim>,
}

impl StagedDir {
    /// Begins the folder that is to appear at `target`, which must not exist; missing parents are made. What earlier processes
    /// left of theirs is removed.
    ///
    /// # Errors
    /// When it exists, another process has a [`Claim`] on it, or the system refuses.
    pub fn begin(target: &Path) -> Result<Self> {
        let claim = Claim::on(target)?;
        Ok(Self { _claim: Some(claim), ..Self::claimed(target)? })
    }

    /// The same where a claim on `target` is held already.
    pub(crate) fn claimed(target: &Path) -> Result<Self> {
        if target.symlink_metadata().is_ok() {
            return Err(Error::Exists { path: target.to_owned() });
        }
        let parent = durable::parent(target);
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        let partial = temporary::builder(target).tempdir_in(parent).map_err(Error::io(parent))?;
        Ok(Self { partial, target: target.to_owned(), _claim: None })
    }

    /// Where to write meanwhile.
    pub fn path(&self) -> &Path {
        self.partial.path()
    }

    /// Lets the folder appear, when all that is in it is durable.
    pub fn publish(self) -> Result<PathBuf> {
        make_readable(self.partial.path())?;
        durable::tree(self.partial.path())?;
        fault::point(&self.target)?;
        if self.target.symlink_metadata().is_ok() {
            return Err(Error::Exists { path: self.target });
        }
        std::fs::rename(self.partial.path(), &self.target).map_err(Error::io(&self.target))?;
        // What was renamed away is no longer there to be removed.
        let _ = self.partial.keep();
        fault::point(&self.target)?;
        durable::folder(durable::parent(&self.target))?;
        Ok(self.target)
    }
}

/// Temporary files are private to their owner; outputs are as readable as files usually are.
fn make_readable(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(Error::io(path))?;
    }
    Ok(())
}
