//! What a unit stands for: which concepts it encodes, which terms explain it, where in a picture it is active.

pub mod co_encoding;
pub mod encodes;
pub mod factorial;
pub mod information;
pub mod lift;
pub mod partial;
pub mod spatial;
pub mod terms;
