//! What is timed when the engine is measured: the forward of a vision tower, and a step of training.
//!
//! Speed depends on shapes alone, so named models ([`named`]) have random weights, drawn in a second or two. There is no clock
//! here: whoever holds a [`Forward`] or a [`Training`] runs it between two looks at one, and divides by the operations that
//! either says it makes.

mod copies;
mod forward;
mod random;
mod shapes;
#[cfg(feature = "lab")]
mod training;

pub use copies::Copies;
pub use forward::Forward;
pub use random::towers;
pub use shapes::{NAMES, named, small_clip};
#[cfg(feature = "lab")]
pub use training::Training;
