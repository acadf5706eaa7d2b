//! Whether a server sends fast enough to be waited for: one that drips a byte now and then never falls silent and never ends.

use std::time::{Duration, Instant};

/// The fewest bytes a second, on average of the longest wait for the next ones.
const LEAST: u64 = 1 << 10;

/// How fast bytes came lately.
pub(super) struct Pace {
    stall: Duration,
    since: Instant,
    done: u64,
}

impl Pace {
    /// From now on, when `done` bytes are here.
    pub(super) fn new(stall: Duration, done: u64) -> Self {
        Self { stall, since: Instant::now(), done }
    }

    /// Whether it is too slow, now that `done` bytes are here.
    pub(super) fn is_slow(&mut self, done: u64) -> bool {
        let passed = self.since.elapsed();
        if passed < self.stall {
            return false;
        }
        let came = done.saturating_sub(self.done);
        (self.since, self.done) = (Instant::now(), done);
        u128::from(came) * 1000 < u128::from(LEAST) * passed.as_millis()
    }
}
