//! `activations.zarr`: what it looks like, how it is filled and how it is read back.
//!
//! [`layout`] fixes shape, chunks and codecs of an array from its shape alone. [`StoreWriter`] fills them row by row, [`pending`] holds the
//! rows of shards that are not full yet, and [`reader`] gives back what was written, and nothing else.

mod guard;
pub mod layout;
pub mod pending;
pub mod reader;
mod writer;

pub use layout::Layout;
pub use reader::ActivationStore;
pub use writer::StoreWriter;
