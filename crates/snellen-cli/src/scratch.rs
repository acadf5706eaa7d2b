//! Folders for files that are needed while the program runs. What a kill leaves of them the next run removes.

use snellen::output::Claim;
use snellen::{Error, Result};
use std::path::{Path, PathBuf};

/// What their names begin with, among the system's temporary files.
const PREFIX: &str = "snellen-scratch-";

/// How many of this process there may be at once.
const MOST: usize = 1_000;

/// A folder of this process; gone when dropped.
pub struct Scratch {
    folder: PathBuf,
    /// Given up when the folder is gone.
    _claim: Claim,
}

impl Scratch {
    pub fn new() -> Result<Self> {
        let home = std::env::temp_dir();
        sweep(&home);
        let mut last = None;
        for k in 0..MOST {
            let folder = home.join(format!("{PREFIX}{}-{k}", std::process::id()));
            // Where a process elsewhere has the same number, or another one of ours.
            let claim = match Claim::on(&folder) {
                Ok(claim) => claim,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            return match std::fs::create_dir(&folder) {
                Ok(()) => Ok(Self { folder, _claim: claim }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => Err(Error::io(&folder)(error)),
            };
        }
        Err(last.unwrap_or_else(|| Error::Exists { path: home }))
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Removes folders of processes that ended: they have no claim on them any more.
fn sweep(home: &Path) {
    for entry in std::fs::read_dir(home).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let folder = ours && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if folder && let Ok(_claim) = Claim::on(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Scratch;
    use std::fs;

    #[test]
    fn what_a_kill_left_goes_and_what_is_in_use_stays() {
        let left = std::env::temp_dir().join("snellen-scratch-0-left");
        fs::create_dir_all(left.join("toy")).unwrap();
        let one = Scratch::new().unwrap();
        fs::write(one.path().join("file"), "").unwrap();
        let other = Scratch::new().unwrap();
        assert!(!left.exists() && one.path().join("file").exists() && one.path() != other.path());
        let paths = [one.path().to_owned(), other.path().to_owned()];
        drop((one, other));
        assert!(paths.iter().all(|path| !path.exists()));
    }
}
