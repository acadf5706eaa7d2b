//! How far a long piece of work has come, and whether to go on.

/// Told of progress, and asked whether to stop. `()` listens to nothing and never stops.
pub trait Progress {
    /// `done` of `total` items are done; called first with what was done before, 0 unless earlier work is gone on with.
    fn advance(&self, done: usize, total: usize);

    /// Whether to stop; asked between batches.
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Progress for () {
    fn advance(&self, _: usize, _: usize) {}
}
