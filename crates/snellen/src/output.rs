//! Outputs that appear whole or not at all: written beside their place, then renamed into it.

use crate::{Error, Result};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the names of files begin with while they are written.
pub(crate) const TEMPORARY: &str = ".partial-";

/// Writes `bytes` to `path`, replacing what is there in one step.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(parent).map_err(Error::io(parent))?;
    file.write_all(bytes).map_err(Error::io(path))?;
    file.as_file().sync_all().map_err(Error::io(path))?;
    file.persist(path).map_err(|e| Error::io(path)(e.error))?;
    make_readable(path)
}

/// A folder under construction: removed when dropped, renamed into place by [`StagedDir::publish`].
pub struct StagedDir {
    partial: tempfile::TempDir,
    target: PathBuf,
}

impl StagedDir {
    /// Begins the folder that is to appear at `target`, which must not exist; missing parents are made.
    pub fn begin(target: &Path) -> Result<Self> {
        if target.symlink_metadata().is_ok() {
            return Err(Error::Exists { path: target.to_owned() });
        }
        let parent = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        let name = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let partial = tempfile::Builder::new()
            .prefix(&format!(".{name}.partial-"))
            .tempdir_in(parent)
            .map_err(Error::io(parent))?;
        Ok(Self { partial, target: target.to_owned() })
    }

    /// Where to write meanwhile.
    pub fn path(&self) -> &Path {
        self.partial.path()
    }

    /// Lets the folder appear.
    pub fn publish(self) -> Result<PathBuf> {
        if self.target.symlink_metadata().is_ok() {
            return Err(Error::Exists { path: self.target });
        }
        make_readable(self.partial.path())?;
        std::fs::rename(self.partial.path(), &self.target).map_err(Error::io(&self.target))?;
        // What was renamed away is no longer there to be removed.
        let _ = self.partial.keep();
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
