//! Models: configuration, weights, preprocessing and tokenizer as their files say, and the hooked forward of both towers.
//!
//! [`Model::load`] reads a folder in the Hugging Face CLIP layout. Every activation has a [`Site`]; a [`Hook`] is called at the
//! sites it wants and may change what it is shown: the forward goes on with the changed values.

mod block;
pub mod checkpoint;
pub mod clip;
pub mod config;
mod encode;
pub mod hook;
pub mod picture;
pub mod preprocess;
mod resample;
pub mod site;
mod text;
pub mod tokenizer;
mod vision;

pub use clip::{Clip, Model};
pub use config::{ClipConfig, TextConfig, TowerConfig, VisionConfig};
pub use hook::{ActivationMut, Hook};
pub use picture::Decoded;
pub use preprocess::Preprocessing;
pub use site::{BlockPoint, Point, Site, Tower};
pub use tokenizer::Tokenizer;
