//! Models: configuration, weights, preprocessing and tokenizer as their files say, and the hooked forward of both towers.
//!
//! [`Model::load`] reads a folder in the Hugging Face CLIP layout. Every activation has a [`Site`]; a [`Hook`] is called at the
//! sites it wants and may change what it is shown: the forward goes on with the changed values.

pub mod config;
mod encode;
mod forward;
pub mod hook;
#[cfg(feature = "hub")]
pub mod hub;
mod load;
pub mod parity;
pub mod picture;
mod pixels;
pub mod preprocess;
mod resample;
pub mod site;
pub mod tokenizer;
mod weights;

pub use config::{LeftAlone, ModelConfig, TextConfig, TowerConfig, VisionConfig, VisionPooling};
pub use forward::block::Inside;
pub use forward::towers::Towers;
pub use forward::transform::Transform;
pub use hook::{ActivationMut, Hook, SiteGradients};
pub use load::{LoadConfig, Model};
pub use picture::Decoded;
pub use pixels::{Pixels, PixelsRef};
pub use preprocess::{Backend, Orientation, Preprocessing};
pub use site::{BlockPoint, Point, Site, TokenAxis, Tower};
pub use tokenizer::Tokenizer;
pub use weights::checkpoint;
pub use weights::files::Files;
pub use weights::headers::Header;
pub use weights::hub_id::HubId;
pub(crate) use weights::initial;
pub use weights::layout::{Layout, Qkv, TimmNames};
pub use weights::untrained::{Untrained, UntrainedKind};

use forward::{block, positions, resume, text, vision};
use weights::{files, headers, layout, openai, prefixes, source};
