//! How far a long piece of work has come, whether to go on, and when to keep what there is.

use crate::Result;

/// Told of progress, and asked whether to stop. `()` listens to nothing and never stops.
pub trait Progress {
    /// `done` of `total` items are done; called first with what was done before, 0 unless earlier work is gone on with.
    fn advance(&self, done: usize, total: usize);

    /// Whether to stop; asked between batches.
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
