//! The questions, a file each.

mod binding;
mod recognition;

pub use binding::Binding;
pub use recognition::Recognition;
