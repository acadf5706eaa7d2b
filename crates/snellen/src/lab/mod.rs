//! Small CLIPs trained from scratch on generated scenes: models whose every training picture is known.
//!
//! A [`Recipe`] says what is trained on what, [`train()`] does it with a seed and leaves a folder in the Hugging Face CLIP layout that
//! [`Model::load`](crate::model::Model::load) reads like any other, with the recipe and the training log beside the weights.

pub(crate) mod adamw;
mod batch;
pub mod bias;
pub mod calibrate;
pub(crate) mod init;
pub mod phantom;
mod recipe;
mod state;
pub(crate) mod step;
pub mod superposed;
mod surgery;
mod train;
mod vocabulary;
pub mod ward;

pub use recipe::{Recipe, RecipeModel, RecipeScenes, RecipeTraining};
pub use surgery::{Operation, operate};
pub use train::{Evaluation, Event, Origin, TrainConfig, train};
