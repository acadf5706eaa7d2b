//! Models: configuration, weights, preprocessing and tokenizer as their files say, and the hooked forward of both towers.
//!
//! [`Model::load`] reads a folder in the Hugging Face CLIP layout. Every activation has a [`Site`]; a [`Hook`] is called at the
//! sites it wants and may change what it is shown: the forward goes on with the changed values.

mod block;
pub mod checkpoint;
pub mod config;
mod encode;
mod files;
mod flops;
mod headers;
pub mod hook;
pub mod hub;
pub(crate) mod initial;
mod layout;
mod load;
mod openai;
pub mod parity;
pub mod picture;
mod pixels;
mod positions;
mod prefixes;
pub mod preprocess;
mod resample;
mod rest;
mod resume;
pub mod site;
mod source;
mod subfolder;
mod text;
pub mod tokenizer;
mod towers;
mod transform;
mod untrained;
mod vision;

pub use block::Inside;
pub use config::{LeftAlone, ModelConfig, TextConfig, TowerConfig, VisionConfig, VisionPooling};
pub use files::Files;
pub use hook::{ActivationMut, Hook, SiteGradients};
pub use layout::{Layout, Qkv, TimmNames};
pub use load::{LoadConfig, Model};
pub use picture::Decoded;
pub use pixels::{Pixels, PixelsRef};
pub use preprocess::{Backend, Orientation, Preprocessing};
pub use site::{BlockPoint, Point, Site, TokenAxis, Tower};
pub use tokenizer::Tokenizer;
pub use towers::Towers;
pub use transform::Transform;
pub use untrained::{Untrained, UntrainedKind};
