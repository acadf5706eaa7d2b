//! What the activations say: statistics of matrices `[image, unit]` against labels.
//!
//! Nothing here knows a model. A unit is a column of numbers, be it a neuron, a latent of a dictionary or somebody else's
//! activations, and all of them go through the same code. One file per statistic; its formula and its source stand at its
//! head.

pub mod auroc;
mod auroc_interval;
pub mod co_encoding;
pub(crate) mod columns;
pub mod concepts_table;
pub mod control;
pub mod correlation;
pub mod design;
mod dimension;
mod directions;
pub mod encodes;
pub mod factorial;
mod factorisation;
pub mod fdr;
mod gram;
mod half;
pub mod information;
mod interference;
mod interval;
pub mod label_permutation;
pub mod least_squares;
pub mod lift;
pub mod mark;
mod matrix;
pub mod normal;
pub mod overlap;
pub mod pairs_table;
pub mod partial;
mod permutation;
mod probes;
pub mod proportion;
mod rank_test;
mod ranks;
pub mod sites_table;
pub mod spatial;
pub mod spread;
pub mod stream;
pub mod superposition;
pub mod table;
pub mod terms;
pub mod units_table;

pub use design::Design;
pub use interval::Interval;
pub use matrix::Matrix;
pub use normal::Confidence;
