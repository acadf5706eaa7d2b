//! The numeric operations that the towers are written in, each with its backward, and the tape that strings them together.
//!
//! A forward is written once, over [`Tensor`]s and the functions of [`ops`]. Run with [`Tape::off`] it keeps nothing; run with
//! [`Tape::on`] every operation leaves its backward, and [`Tape::backward`] gives the gradient of a scalar with respect to each
//! leaf. Everything is generic over [`Real`]: `f32` is what models run in, `f64` is what gradients are checked in.
//!
//! Work is cut into pieces of a fixed size, never by the number of threads, and partial sums are added in a fixed order: the same
//! input gives the same bytes however many threads there are.

pub mod ops;
mod product;
mod real;
mod reduce;
mod tape;
mod tensor;

pub use ops::Activation;
pub use real::Real;
pub use tape::{Gradients, Tape};
pub use tensor::Tensor;
