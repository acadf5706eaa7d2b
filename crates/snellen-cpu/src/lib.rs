//! Matrix products, attention and row operations of vision transformers, near the limit of the processor.
//!
//! [`product`] multiplies by an operand that was packed once ([`Packed`]), in f32 or with both operands rounded to bf16, and finishes
//! the sums on their way to memory: bias, activation, gain, residual stream ([`Finish`]). Everything is compiled for several sets of
//! instructions ([`Level`]), of which the best is chosen when the program runs. Sums are f32 in any case.
//!
//! Work is cut into pieces, but every value is made by the same operations in the same order: the same input gives the same
//! bytes however many threads there are and whatever other rows are beside a row.
//!
//! [`resample`] is how pictures are resized before a model sees them, in integers: the same bytes on every level.
//!
//! All `unsafe` of this workspace is here: calls of functions compiled for instructions whose presence was asserted, and
//! pointers into matrices whose extents were.

#![allow(unsafe_code)]
// A function is compiled for the instructions of its caller only where it is inlined into it.
#![allow(clippy::inline_always)]

mod activation;
#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
mod block;
#[cfg(test)]
mod emulated;
mod format;
mod left;
mod level;
mod packed;
mod peak;
mod product;
mod real;
pub mod resample;
pub mod rows;
#[cfg(any(target_arch = "x86_64", test))]
mod tiles;
mod view;
mod words;

pub use activation::Activation;
pub use attention::{Heads, attention};
pub use block::Finish;
pub use format::Precision;
pub use level::Level;
pub use packed::Packed;
pub use peak::peak;
pub use product::{Job, Threads, product, products};
pub use real::{Dense, Kernels, Real};
pub use view::View;
