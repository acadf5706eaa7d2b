//! The operations, one idea a file, each beside its backward.

mod attention;
mod contrastive;
mod elementwise;
mod linear;
mod norm;
mod rotary;
mod tokens;

pub use attention::{attention, hide, mix, scores, softmax};
pub use contrastive::contrastive_loss;
pub use elementwise::{activate, add, multiply, scale};
pub use linear::{Affine, Pending, linear, linears};
pub use norm::{layer_norm, unit_rows};
pub use rotary::{Angles, rotate};
pub use tokens::{embed, insert, mean_tokens, patches, repeat, select};
