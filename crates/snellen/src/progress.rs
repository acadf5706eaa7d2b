//! How far a long piece of work has come, whether to go on, and when to keep what there is.
//!
//! Work of several stages is given [`Stages`], one stage a [`Progress`]: which a caller has to write once, for models that are fetched
//! (a file is a stage, its items are bytes), recordings, measures, exams and training alike. Whether to stop is asked in one place only,
//! [`Progress::is_cancelled`].

use crate::Result;

/// Told of the progress of one stage, and asked whether to stop. `()` listens to nothing and never stops.
pub trait Progress {
    /// `done` of `total` items are done; called first with what was done before, 0 unless earlier work is gone on with. `total` is 0
    /// where it is not known.
    fn advance(&self, done: usize, total: usize);

    /// Whether to stop; asked between batches, and while something is waited for. What is kept then, the error says.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// Asked between batches of work that can be gone on with: calls `keep` when it is time to make durable what was done since the
    /// last time, which a kill would lose. Nothing depends on when or how often, and this crate has no clock to go by.
    ///
    /// # Errors
    /// What `keep` gives.
    fn may_keep(&self, keep: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let _ = keep;
        Ok(())
    }
}

impl Progress for () {
    fn advance(&self, _: usize, _: usize) {}
}

/// Told which stage begins; gives who is told how far it has come. `()` listens to nothing and never stops.
pub trait Stages {
    /// `stage` begins. It ends when what is given is dropped, perhaps without a word, and may lie in another.
    fn begin(&self, stage: &str) -> Box<dyn Progress + '_>;

    /// Something that a user should know although nothing failed.
    fn note(&self, what: &str) {
        let _ = what;
    }
}

impl Stages for () {
    fn begin(&self, _: &str) -> Box<dyn Progress + '_> {
        Box::new(())
    }
}
