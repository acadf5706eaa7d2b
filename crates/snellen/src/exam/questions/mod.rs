//! The questions, a file each.

mod acuity;
mod binding;
mod counting;
mod recognition;

pub use acuity::Acuity;
pub use binding::Binding;
pub use counting::Counting;
pub use recognition::Recognition;
