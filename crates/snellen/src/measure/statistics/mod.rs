//! Statistics of numbers, whatever they are of: tests, intervals, nulls.

pub mod auroc;
pub(super) mod auroc_interval;
pub mod correlation;
pub mod fdr;
pub(super) mod interval;
pub mod label_permutation;
pub mod least_squares;
pub mod normal;
pub(super) mod permutation;
pub mod proportion;
pub(super) mod rank_test;
pub(super) mod ranks;
pub mod spread;
