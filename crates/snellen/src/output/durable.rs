//! That what was written outlasts a power cut: a file's contents, and that it stands in its folder, are two things to be made sure
//! of.

use crate::{Error, Result};
use rayon::prelude::*;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// With more files than these, the file system is asked to make durable all that it holds.
const MANY: usize = 16;

/// The folder that `path` stands in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes durable what stands in `folder`, as far as names go.
pub(crate) fn folder(folder: &Path) -> Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    // Some file systems have no such thing, and some folders may be written and not read.
    let impossible = [ErrorKind::InvalidInput, ErrorKind::Unsupported, ErrorKind::PermissionDenied];
    match File::open(folder).and_then(|file| file.sync_all()) {
        Err(error) if impossible.contains(&error.kind()) => Ok(()),
        result => result.map_err(Error::io(folder)),
    }
}

/// Makes durable all that is in `root`, however deep, and `root` itself.
pub(crate) fn tree(root: &Path) -> Result<()> {
    let (folders, of) = below(root)?;
    if !files(root, &of)? {
        folders.par_iter().try_for_each(|path| folder(path))?;
    }
    Ok(())
}

/// Makes durable what is in `files`, all of the file system of `root`; whether also the folders there.
pub(crate) fn files(root: &Path, files: &[PathBuf]) -> Result<bool> {
    // One by one they would take longer than what they hold took to make.
    if files.len() > MANY && whole_file_system(root)? {
        return Ok(true);
    }
    let sync = |path: &PathBuf| File::open(path).and_then(|file| file.sync_all()).map_err(Error::io(path));
    files.par_iter().try_for_each(sync).map(|()| false)
}

/// Makes durable all of the file system that `root` is on; whether it can be asked for that.
fn whole_file_system(root: &Path) -> Result<bool> {
    #[cfg(target_os = "linux")]
    {
        let file = File::open(root).map_err(Error::io(root))?;
        match rustix::fs::syncfs(&file) {
            Err(rustix::io::Errno::NOSYS) => Ok(false),
            result => result.map(|()| true).map_err(|errno| Error::io(root)(errno.into())),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = root;
        Ok(false)
    }
}

/// The folders and the files in `root`, `root` itself among them.
fn below(root: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut folders, mut files) = (vec![root.to_owned()], Vec::new());
    let mut next = 0;
    while let Some(at) = folders.get(next).cloned() {
        next += 1;
        for entry in fs::read_dir(&at).map_err(Error::io(&at))? {
            let entry = entry.map_err(Error::io(&at))?;
            let kind = entry.file_type().map_err(Error::io(entry.path()))?;
            let list = if kind.is_dir() { &mut folders } else { &mut files };
            list.push(entry.path());
        }
    }
    Ok((folders, files))
}
