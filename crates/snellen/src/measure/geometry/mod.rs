//! How the concepts of a site lie to one another: directions, probes, dimension, interference.

pub mod additive;
pub(super) mod dimension;
pub(super) mod directions;
pub(super) mod factorisation;
pub(super) mod gram;
pub(super) mod half;
pub(super) mod interference;
pub mod overlap;
pub(super) mod probes;
pub mod superposition;
