//! Snellen gives vision-language encoders an eye exam.

pub mod error;
pub mod random;
pub mod scene;

pub use error::{Error, Result};
