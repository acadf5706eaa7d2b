//! The numeric operations that the towers are written in, each with its backward, and the tape that strings them together.
//!
//! A forward is written once, over [`Tensor`]s and the functions of [`ops`]. Run with [`Tape::off`] it keeps nothing; run with
//! [`Tape::on`] every operation leaves its backward, and [`Tape::backward`] gives the gradient of a scalar with respect to each
//! leaf. Everything is generic over [`Real`]: `f32` is what models run in, `f64` is what gradients are checked in.
//!
//! The loops themselves are those of [`snellen_cpu`], compiled for several [`Level`]s of instructions. A matrix that is multiplied
//! by many times is packed once ([`Weight::pack`]), in f32 or rounded to bf16 ([`Precision`]). What follows a linear map is done
//! while its sums are still in registers, unless somebody looks in between ([`ops::Pending`]).
//!
//! Work is cut into pieces, but a value is always made by the same operations in the same order: the same input gives the same
//! bytes however many threads there are.

mod memory;
pub mod ops;
mod product;
mod tape;
mod tensor;
mod weight;

pub use memory::Memory;
pub use snellen_cpu::{Activation, Level, Precision, Real};
pub use tape::{Gradients, Node, Tape};
pub use tensor::Tensor;
pub use weight::Weight;
