//! Every integration test of the kernels, at every level that this processor can run.
// What has to be equal is equal to the last bit.
#![allow(clippy::expect_used, clippy::float_cmp, missing_docs)]

mod attention;
mod limits;
mod pictures;
mod products;
mod rows;

use snellen_cpu::{Level, Precision};

/// The levels that can be run here; the others cannot be tested here.
pub fn levels() -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(|level| level.is_supported())
}

/// Drawn cases of each law, fewer than are usual because each goes through all levels; `PROPTEST_CASES` says otherwise.
pub fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(48, |n| n.parse().expect("a number in PROPTEST_CASES"))
}

/// Values between -1 and 1 that look drawn.
pub fn values(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// Every level that can be run here, in both precisions.
pub fn formats() -> impl Iterator<Item = (Level, Precision)> {
    levels().flat_map(|level| [(level, Precision::F32), (level, Precision::Bf16)])
}
