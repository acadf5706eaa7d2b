//! The folder of a recording that is not finished: `<out>.partial` beside the run folder that is to appear.
//!
//! It holds `plan.json`, `journal`, with edits `edits.json`, and `run/`, which in the end is renamed to the run folder. Whatever ends a recording - the
//! user, a full disk, a power cut - leaves it in a state to go on from: what stands in it under its name is whole, except
//! for the journal and rows that wait, whose ends may be torn. Who works in it has a [`Claim`](crate::output::Claim) on the run
//! folder.

use super::journal::Journal;
use super::plan::{self, Plan};
use super::run;
use super::{ACTIVATIONS, Layout, StoreWriter};
use crate::output::{self, durable, fault, sweep};
use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The run folder while it is made.
const RUN: &str = "run";

/// The journal's name.
const JOURNAL: &str = "journal";

/// Which edits changed something so far.
const EDITS: &str = "edits.json";

/// What becomes of a recording that ends early, and whether an earlier one is gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// It is removed.
    Discard,
    /// It is kept, to go on with; if there is one already, nothing is done.
    Keep,
    /// The one that is there is gone on with, and kept if it ends early again.
    Resume,
}

/// An unfinished recording.
pub(super) struct Partial {
    out: PathBuf,
    folder: PathBuf,
    unfinished: Unfinished,
    /// What its rows are: `images` or `texts`.
    things: &'static str,
    /// Whether it goes on with an earlier one.
    resumed: bool,
}

impl Partial {
    /// Begins the recording of `plan` that is to appear at `out`, or goes on with it; `None` if it is finished there, and nothing of
    /// it is left to tidy up.
    ///
    /// # Errors
    /// When there is something at `out`, an unfinished recording where none may be or none where one has to be, or one of
    /// another plan.
    pub fn begin(out: &Path, plan: &Plan, unfinished: Unfinished) -> Result<Option<Self>> {
        let folder = output::unfinished(out);
        let resumed = folder.symlink_metadata().is_ok();
        if out.symlink_metadata().is_ok() {
            // Ended after the run had appeared.
            let done = unfinished == Unfinished::Resume && out.join(run::FILE).is_file();
            if done && !folder.join(RUN).exists() {
                if folder.join(plan::FILE).is_file() {
                    plan.check(&folder)?;
                }
                remove(&folder)?;
                return Ok(None);
            }
            return Err(Error::Exists { path: out.to_owned() });
        }
        let things = if plan.texts.is_some() { "texts" } else { "images" };
        let this = Self { out: out.to_owned(), folder, unfinished, things, resumed };
        let folder = &this.folder;
        if resumed && unfinished != Unfinished::Resume {
            let expected = "no unfinished recording: go on with it by --resume, or remove it to start anew";
            return Err(Error::mismatch(folder.display(), expected, "one"));
        }
        if !resumed && unfinished == Unfinished::Resume {
            return Err(Error::mismatch(folder.display(), "an unfinished recording to go on with", "none"));
        }
        if resumed && folder.join(plan::FILE).symlink_metadata().is_ok() {
            plan.check(folder)?;
            sweep(folder)?;
            return Ok(Some(this));
        }
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        durable::folder(durable::parent(folder))?;
        sweep(folder)?;
        // Ended before its plan was there: then nothing else is.
        if fs::read_dir(folder).map_err(Error::io(folder))?.next().is_some() {
            return Err(Error::mismatch(
                folder.display(),
                format!("an unfinished recording, with {}", plan::FILE),
                "none",
            ));
        }
        plan.write(folder)?;
        Ok(Some(this))
    }

    /// The run folder while it is made.
    pub fn run(&self) -> PathBuf {
        self.folder.join(RUN)
    }

    /// Where it is kept which edits changed something.
    pub fn edits(&self) -> PathBuf {
        self.folder.join(EDITS)
    }

    /// The journal and the store, begun or as far as they were whole.
    pub fn open(&self, layouts: Vec<Layout>) -> Result<(Journal, StoreWriter)> {
        let journal = Journal::open(&self.folder.join(JOURNAL))?;
        let run = self.run();
        fs::create_dir_all(&run).map_err(Error::io(&run))?;
        let activations = run.join(ACTIVATIONS);
        let store = if self.resumed {
            StoreWriter::resume(&activations, layouts)?
        } else {
            StoreWriter::create(&activations, layouts)?
        };
        Ok((journal, store))
    }

    /// Lets the run folder appear.
    pub fn publish(self) -> Result<()> {
        durable::tree(&self.run())?;
        fault::point(&self.out)?;
        if self.out.symlink_metadata().is_ok() {
            return Err(Error::Exists { path: self.out });
        }
        fs::rename(self.run(), &self.out).map_err(Error::io(&self.out))?;
        fault::point(&self.out)?;
        durable::folder(durable::parent(&self.out))?;
        remove(&self.folder)
    }

    /// Removes a recording that can't become a run, whatever was to be kept, which is what `error` says.
    pub fn refuse(self, error: Error) -> Error {
        // That it is refused is what has to be said, not that tidying up failed.
        let _ = fs::remove_dir_all(&self.folder);
        error
    }

    /// What is said of a recording that ended by `error` when `kept` of `count` images were on disk; removes what is not to be
    /// kept: everything, or a recording that was refused before it had anything.
    pub fn abandon(self, error: Error, kept: usize, count: usize) -> Error {
        let refused = self.unfinished == Unfinished::Keep && error.is_bad_input() && kept == 0;
        if self.unfinished == Unfinished::Discard || refused {
            // That it ended is what has to be said, not that tidying up failed.
            let _ = fs::remove_dir_all(&self.folder);
            return match error {
                Error::Interrupted { .. } => Error::Interrupted { kept: "nothing was kept".to_owned() },
                error => error,
            };
        }
        let folder = self.folder.display();
        let kept = format!("{kept} of {count} {} are in {folder}; go on with --resume", self.things);
        match error {
            Error::Interrupted { .. } => Error::Interrupted { kept },
            error => Error::Unfinished { source: Box::new(error), kept },
        }
    }
}

/// Removes what a recording that is finished leaves, its plan last.
fn remove(folder: &Path) -> Result<()> {
    let gone = |result: std::io::Result<()>, path: &Path| match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::io(path)),
    };
    for name in [JOURNAL, plan::FILE] {
        let path = folder.join(name);
        fault::point(&path)?;
        gone(fs::remove_file(&path), &path)?;
    }
    fault::point(folder)?;
    gone(fs::remove_dir_all(folder), folder)
}
