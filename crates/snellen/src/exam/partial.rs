//! The folder of an exam that is not finished: `<out>.partial` beside the folder that is to appear.
//!
//! It holds `plan.json`, all that the numbers depend on; `exam/`, which in the end is renamed to the exam's folder; and `parts/`, what
//! each part of the exam gave once it was done (a question, the verdict, an untrained model, causes). Whatever ends an exam leaves it in a state to go
//! on from: parts appear whole or not at all, and the recording in `exam/` goes on by itself. Who works in it has a [`Claim`] on the
//! exam's folder.

use crate::output::{self, Claim, StagedDir, durable, fault, in_folder, sweep, write_file};
use crate::record::{Unfinished, plan};
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const EXAM: &str = "exam";
const PARTS: &str = "parts";

/// The recording of the images, in the exam's folder.
pub(super) const RUN: &str = "run";

/// The largest file that is read back, in bytes.
const MAX_BYTES: u64 = 1 << 28;

/// Where an exam is made, until its folder appears.
pub(super) enum Partial {
    /// In a temporary folder, of which nothing stays.
    Discarded(StagedDir),
    /// In one that is gone on with.
    Kept(Kept),
}

/// An unfinished exam that can be gone on with.
pub(super) struct Kept {
    out: PathBuf,
    folder: PathBuf,
    /// Whether it goes on with an earlier one.
    resumed: bool,
    _claim: Claim,
}

/// What there is to do.
pub(super) enum Begun {
    /// An exam to be held.
    Open(Partial),
    /// It was finished, and is where it has to be.
    Done,
}

impl Partial {
    /// Begins the exam of `plan` that is to appear at `out`, or goes on with it.
    ///
    /// # Errors
    /// When there is something at `out`, an unfinished exam where none may be or none where one has to be, or one of another plan.
    pub(super) fn begin(out: &Path, plan: impl FnOnce() -> Result<Value>, unfinished: Unfinished) -> Result<Begun> {
        if unfinished == Unfinished::Discard {
            return StagedDir::begin(out).map(|staged| Begun::Open(Self::Discarded(staged)));
        }
        let own = &plan()?;
        let claim = Claim::on(out)?;
        let folder = output::unfinished(out);
        let (there, resume) = (is_there(&folder), unfinished == Unfinished::Resume);
        if is_there(out) {
            // Ended after it had appeared.
            if !(resume && there) || folder.join(EXAM).exists() {
                return Err(Error::Exists { path: out.to_owned() });
            }
            if is_there(&folder.join(plan::FILE)) {
                plan::check(&folder, own)?;
            }
            remove(&folder)?;
            return Ok(Begun::Done);
        }
        let refused = |expected: &str, got: &str| Err(Error::mismatch(folder.display(), expected, got));
        match (there, resume) {
            (true, false) => {
                return refused("no unfinished exam: go on with it (exam --resume), or remove it to start anew", "one");
            }
            (false, true) => return refused("an unfinished exam to go on with", "none"),
            (true, true) if !folder.symlink_metadata().is_ok_and(|it| it.is_dir()) => {
                return refused("the folder of an unfinished exam", "a file or a link");
            }
            _ => {}
        }
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        durable::folder(durable::parent(&folder))?;
        // What is refused is left as it is, a killed process' temporary files too.
        let planned = is_there(&folder.join(plan::FILE));
        if planned {
            plan::check(&folder, own)?;
        }
        sweep(&folder)?;
        if !planned && fs::read_dir(&folder).map_err(Error::io(&folder))?.next().is_some() {
            // One that ended before its plan was there has nothing else.
            return refused(&format!("an unfinished exam, with {}", plan::FILE), "none");
        }
        if !planned {
            plan::write(&folder, own)?;
        }
        let this = Kept { out: out.to_owned(), folder, resumed: there, _claim: claim };
        for folder in [this.folder.join(EXAM), this.folder.join(PARTS)] {
            fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
            unclaim(&folder)?;
        }
        Ok(Begun::Open(Self::Kept(this)))
    }

    /// The exam's folder while it is made.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::Discarded(staged) => staged.path().to_owned(),
            Self::Kept(kept) => kept.folder.join(EXAM),
        }
    }

    /// A folder for what does not stay.
    pub(super) fn scratch(&self) -> Result<TempDir> {
        let folder = match self {
            Self::Discarded(staged) => staged.path(),
            Self::Kept(kept) => &kept.folder,
        };
        in_folder(folder, Path::new("scratch")).map_err(Error::io(folder))
    }

    /// What the part called `name` gave, where that was kept; else makes it, and keeps it.
    ///
    /// # Errors
    /// What `make` gives; when it can't be kept.
    pub(super) fn part<T>(&self, name: &str, make: impl FnOnce() -> Result<T>) -> Result<T>
    where
        T: Serialize + DeserializeOwned + PartialEq,
    {
        let Self::Kept(kept) = self else { return make() };
        let file = kept.folder.join(PARTS).join(format!("{name}.json"));
        let small = fs::metadata(&file).is_ok_and(|file| file.len() <= MAX_BYTES);
        let bytes = small.then(|| fs::read(&file).ok()).flatten().unwrap_or_default();
        // A line with the hash of what follows, and of whose it is: what is damaged, or another's, is made anew.
        let whole = bytes.split_at_checked(HASH).filter(|(hash, json)| *hash == line(name, json).as_bytes());
        if let Some(known) = whole.and_then(|(_, json)| serde_json::from_slice(json).ok()) {
            return Ok(known);
        }
        let made = make()?;
        let json = serde_json::to_vec(&made).map_err(|source| Error::malformed(file.display(), source))?;
        // What would not come back as it is, with a number that is not finite say, is made anew.
        if serde_json::from_slice::<T>(&json).is_ok_and(|back| back == made) {
            write_file(&file, &[line(name, &json).as_bytes(), &json].concat())?;
        }
        Ok(made)
    }

    /// How a recording in the exam's folder that is to appear at `run` is begun: gone on with where there is some of it.
    pub(super) fn recording(&self, run: &Path) -> Unfinished {
        match self {
            Self::Discarded(_) => Unfinished::Discard,
            Self::Kept(_) if is_there(run) || is_there(&output::unfinished(run)) => Unfinished::Resume,
            Self::Kept(_) => Unfinished::Keep,
        }
    }

    /// Lets the exam's folder appear.
    pub(super) fn publish(self) -> Result<()> {
        let kept = match self {
            Self::Discarded(staged) => return staged.publish().map(drop),
            Self::Kept(kept) => kept,
        };
        let exam = kept.folder.join(EXAM);
        durable::tree(&exam)?;
        fault::point(&kept.out)?;
        if is_there(&kept.out) {
            return Err(Error::Exists { path: kept.out });
        }
        fs::rename(&exam, &kept.out).map_err(Error::io(&kept.out))?;
        fault::point(&kept.out)?;
        durable::folder(durable::parent(&kept.out))?;
        remove(&kept.folder)
    }

    /// What is said of an exam that ended by `error`; removes one that was refused before it had anything, or of which nothing is to stay.
    pub(super) fn abandon(self, error: Error) -> Error {
        // What a recording in it says of itself is said of the whole.
        let error = match error {
            Error::Unfinished { source, .. } => *source,
            error => error,
        };
        let Self::Kept(kept) = self else {
            return match error {
                Error::Interrupted { .. } => Error::Interrupted { kept: "nothing was kept".to_owned() },
                error => error,
            };
        };
        let holds = |name: &str| fs::read_dir(kept.folder.join(name)).is_ok_and(|mut files| files.next().is_some());
        // What is refused is so again, but for a picture that can be mended while the others are recorded. What was there stays.
        let refused = error.is_bad_input() && !output::unfinished(&kept.folder.join(EXAM).join(RUN)).exists();
        if !kept.resumed && (refused || !(holds(PARTS) || holds(EXAM))) {
            // That it ended is what has to be said, not that tidying up failed.
            let _ = fs::remove_dir_all(&kept.folder);
            return error;
        }
        let folder = kept.folder.display();
        let kept = format!("what it found so far is in {folder}; go on with --resume");
        match error {
            Error::Interrupted { .. } => Error::Interrupted { kept },
            error => Error::Unfinished { source: Box::new(error), kept },
        }
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Bytes of the line that a part's file begins with.
const HASH: usize = 65;

/// That line, of the part called `name`.
fn line(name: &str, json: &[u8]) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(json);
    format!("{}\n", hash.finalize().to_hex())
}

/// Removes claims of a process that was killed, in `folder` and the folders in it. Who has a claim on the exam is alone there.
fn unclaim(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let ends_in = |end: &str| path.extension().is_some_and(|found| found == end);
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden && ends_in("claim") && path.is_file() {
            fs::remove_file(&path).map_err(Error::io(&path))?;
        } else if path.is_dir() && !path.is_symlink() && !ends_in("zarr") {
            unclaim(&path)?;
        }
    }
    Ok(())
}

/// Removes what an exam that is finished leaves, its plan last.
fn remove(folder: &Path) -> Result<()> {
    let parts = folder.join(PARTS);
    if parts.exists() {
        fs::remove_dir_all(&parts).map_err(Error::io(&parts))?;
    }
    fault::point(folder)?;
    let plan = folder.join(plan::FILE);
    if plan.exists() {
        fs::remove_file(&plan).map_err(Error::io(&plan))?;
    }
    fault::point(folder)?;
    fs::remove_dir_all(folder).map_err(Error::io(folder))
}
