//! The study arXiv 2508.16652 ("Do VLMs Have Bad Eyes?"), reproduced, and examined.
//!
//! Kept apart from the measures: the definitions here are the study's, under its own names, for comparison with what it printed.
//! [`from_embeddings`] does what can be done from image embeddings alone; [`from_model`] is the whole chain from pictures. Both give
//! a [`Study`], which [`Study::write`] turns into files.
//!
//! ```text
//! pictures -> model -> hook_mlp_out -> top images -> entropy -> low-entropy units -> sums of ratios of pairs --+
//!                  +-> image_embeds -> distance and misclassification of pairs -------------------------------+-> link
//! ```
//!
//! What the study's numbers do not show is computed beside them: [`shows`], [`link`], [`additive`].

pub mod additive;
mod assemble;
mod chain;
pub mod checks;
mod embedding_pair;
pub mod embeddings;
pub mod feature;
mod findings;
pub mod link;
mod measured;
mod page;
pub mod plane;
mod plot;
pub mod profile;
pub mod published;
mod result;
pub mod separability;
pub mod shows;
mod tables;
pub mod units;

pub use assemble::from_embeddings;
pub use chain::{UnitPictures, from_model, study_scenes};
pub use embedding_pair::EmbeddingPair;
pub use embeddings::Embeddings;
pub use feature::{FEATURES, Truth};
pub use result::{Study, StudyConfig};

/// The study's number.
pub const ARXIV: &str = "2508.16652";

/// The `schema` that is written.
pub const SCHEMA: u32 = 1;
