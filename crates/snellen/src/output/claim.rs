//! The right to write an output. It is a lock on a file beside it, `.<name>.claim`, which the system takes back from a process that
//! ends, however it ends. Taken first; without it nothing is begun, swept or removed.

use super::{durable, temporary};
use crate::{Error, Result};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// How often a claim is tried whose file is removed meanwhile by those who give it up.
const ATTEMPTS: usize = 100;

/// That no other process writes an output; given up when dropped.
#[must_use]
pub struct Claim {
    path: PathBuf,
    /// Folders that were made for it, the deepest first.
    made: Vec<PathBuf>,
    _file: File,
}

impl Claim {
    /// The claim on the file or folder `target`, which may exist. Missing parents are made; what processes that had the claim left
    /// of `target` under temporary names is removed.
    ///
    /// # Errors
    /// When another process has it, `target` has no name, or the system refuses.
    pub fn on(target: &Path) -> Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(Error::mismatch(target.display(), "a path that ends in a name", "one that does not"));
        };
        let mut beside = OsString::from(".");
        beside.push(name);
        beside.push(".claim");
        let path = target.with_file_name(beside);
        let mut made = Vec::new();
        for attempt in 1..=ATTEMPTS {
            made.extend(make_parents(&path)?);
            let file = match OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path) {
                Ok(file) => file,
                // Whoever made the folder found it empty and removed it.
                Err(error) if error.kind() == ErrorKind::NotFound && attempt < ATTEMPTS => continue,
                Err(error) => return Err(Error::io(durable::parent(target))(error)),
            };
            match file.try_lock() {
                Ok(()) if stands(&file, &path) => {
                    let claim = Self { path, made, _file: file };
                    temporary::sweep_beside(target);
                    return Ok(claim);
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(busy(target)),
                Err(TryLockError::Error(source)) => return Err(Error::io(durable::parent(target))(source)),
            }
        }
        Err(busy(target))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // While it is locked: who opens it now finds that it does not stand there any more. What can't be removed harms nobody.
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
        for folder in &self.made {
            // Only where nothing came of it.
            let _ = fs::remove_dir(folder);
        }
    }
}

fn busy(target: &Path) -> Error {
    Error::mismatch(
        target.display(),
        "an output that no other process is writing",
        "one that another process is writing",
    )
}

/// Makes the folders that `path` is to stand in; those that were not there, the deepest first.
fn make_parents(path: &Path) -> Result<Vec<PathBuf>> {
    let parent = durable::parent(path);
    let missing = parent.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let missing: Vec<_> = missing.map(Path::to_owned).collect();
    let above = missing.last().map_or(parent, |top| durable::parent(top));
    if above.exists() && !above.is_dir() {
        return Err(Error::mismatch(above.display(), "a folder, for what is to stand in it", "a file"));
    }
    fs::create_dir_all(parent).map_err(Error::io(parent))?;
    Ok(missing)
}

/// Whether `file` is what stands at `path`: it may have been removed between opening and locking it.
fn stands(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let there = fs::symlink_metadata(path).map(id);
        file.metadata().map(id).is_ok_and(|own| there.is_ok_and(|there| own == there))
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Claim;
    use std::fs;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn one_at_a_time_whatever_the_spelling() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("new/deep/out");
        let claim = Claim::on(&out).unwrap();
        let again = Claim::on(&home.path().join("new/./deep/out/")).err().unwrap().to_string();
        assert!(again.contains("out/: expected an output that no other process is writing"), "{again}");
        drop(Claim::on(&home.path().join("new/deep/other")).unwrap());
        drop(claim);
        assert_eq!(home.path().read_dir().unwrap().count(), 0, "nothing came of it");
        fs::create_dir_all(out.join("below")).unwrap();
        drop(Claim::on(&out).unwrap());
        assert!(out.join("below").exists());
        assert!(Claim::on(std::path::Path::new("/")).is_err());
        fs::write(home.path().join("file"), "").unwrap();
        for below in ["file/out", "file/new/out"] {
            let error = Claim::on(&home.path().join(below)).err().unwrap();
            assert!(error.is_bad_input() && error.to_string().contains("file: expected a folder"), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_system_refuses_is_said_of_the_folder() {
        let said = Claim::on(std::path::Path::new("/proc/out")).err().unwrap().to_string();
        assert!(said.starts_with("/proc: ") && !said.contains("another process"), "{said}");
    }

    #[test]
    fn never_two_however_many_try() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("out");
        let (held, most, start) = (AtomicUsize::new(0), AtomicUsize::new(0), Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    let mut own = 0;
                    while own < 20 {
                        let Ok(_claim) = Claim::on(&out) else {
                            std::thread::yield_now();
                            continue;
                        };
                        own += 1;
                        most.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        // Long enough for others to try.
                        std::thread::sleep(std::time::Duration::from_micros(200));
                        held.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
    }
}
