//! What may go away when tried again, and how long to wait for that.

use super::{Hub, Patience};
use crate::progress::Progress;
use crate::{Error, Result};
use std::time::Duration;

/// The longest pause between two attempts, whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How often a pause asks whether to stop.
const SLICE: Duration = Duration::from_millis(50);

/// Why an attempt failed.
pub(super) enum Fault {
    /// Connections break and servers are overloaded: another attempt may do.
    Passing {
        /// What to say if it does not.
        error: Error,
        /// The pause that the server asked for.
        wait: Option<Duration>,
    },
    /// As good as nothing came, however long it was waited for: it counts as nothing.
    Slow(Error),
    /// Another attempt would do no better.
    Final(Error),
}

impl Fault {
    pub(super) fn passing(error: Error) -> Self {
        Self::Passing { error, wait: None }
    }

    pub(super) fn slow(error: Error) -> Self {
        Self::Slow(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Attempts in a row that brought nothing.
pub(super) struct Attempts<'a> {
    hub: &'a Hub,
    progress: &'a dyn Progress,
    patience: Patience,
    failed: u32,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(hub: &'a Hub, progress: &'a dyn Progress, patience: Patience) -> Self {
        Self { hub, progress, patience, failed: 0 }
    }

    /// Waits before the next attempt, or says why there is none. One that brought something begins the count anew.
    pub(super) fn after(&mut self, fault: Fault, brought_something: bool) -> Result<()> {
        let (error, asked, brought_something) = match fault {
            Fault::Final(error) => return Err(error),
            Fault::Slow(error) => (error, Duration::ZERO, false),
            Fault::Passing { error, wait } => (error, wait.unwrap_or_default(), brought_something),
        };
        self.failed = if brought_something { 0 } else { self.failed + 1 };
        if self.failed >= self.patience.attempts {
            return Err(error);
        }
        let pause = self.patience.pause.saturating_mul(1 << self.failed.saturating_sub(1).min(16));
        wait(self.hub, self.progress, pause.max(asked).min(LONGEST_PAUSE))
    }

    /// Tries until `attempt` succeeds or fails for good.
    pub(super) fn run<T>(mut self, mut attempt: impl FnMut() -> Result<T, Fault>) -> Result<T> {
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(fault) => self.after(fault, false)?,
            }
        }
    }
}

/// Sleeps, unless asked to stop.
pub(super) fn wait(hub: &Hub, progress: &dyn Progress, mut pause: Duration) -> Result<()> {
    loop {
        if progress.is_cancelled() {
            return Err(interrupted(hub));
        }
        let slice = pause.min(SLICE);
        if slice.is_zero() {
            return Ok(());
        }
        std::thread::sleep(slice);
        pause -= slice;
    }
}

/// What is said when asked to stop.
pub(super) fn interrupted(hub: &Hub) -> Error {
    let kept = format!("what was downloaded is kept in {}; the same command goes on from there", hub.cache.display());
    Error::Interrupted { kept }
}
