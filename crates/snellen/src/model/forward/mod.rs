//! One forward: two towers of blocks, where it may go on from, what it costs, and what may be done to its weights.

pub(in crate::model) mod block;
mod flops;
pub(in crate::model) mod positions;
pub(in crate::model) mod resume;
pub(in crate::model) mod text;
pub(in crate::model) mod towers;
pub(in crate::model) mod transform;
pub(in crate::model) mod vision;
