//! What the activations say: statistics of matrices `[image, unit]` against labels.
//!
//! Nothing here knows a model. A unit is a column of numbers, be it a neuron, a latent of a dictionary or somebody else's
//! activations, and all of them go through the same code. One file per statistic; its formula and its source stand at its
//! head. Rooms: `statistics` of numbers, whatever they mean; `selectivity`, what a unit stands for; `geometry`, how the concepts of a
//! site lie to one another; `tables`, the files; [`stream`], what is measured batch by batch.

pub mod design;
mod geometry;
mod matrix;
mod selectivity;
mod statistics;
pub mod stream;
mod tables;

pub use design::Design;
pub use geometry::{additive, overlap, superposition};
pub use matrix::Matrix;
pub use selectivity::{co_encoding, encodes, factorial, information, lift, partial, spatial, terms};
pub use statistics::interval::Interval;
pub use statistics::normal::Confidence;
pub use statistics::{auroc, correlation, fdr, label_permutation, least_squares, normal, proportion, spread};
pub(crate) use tables::columns;
pub use tables::{concepts_table, control, mark, pairs_table, sites_table, unit_concepts_table, units_table, writer};

use geometry::{dimension, directions, factorisation, gram, half, interference, probes};
use statistics::{auroc_interval, permutation, rank_test, ranks};
