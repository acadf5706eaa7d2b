//! Snellen gives vision-language encoders an eye exam.

pub mod engine;
pub mod error;
pub mod measure;
pub mod model;
pub mod output;
pub mod random;
pub mod scene;

pub use error::{Error, Result};
