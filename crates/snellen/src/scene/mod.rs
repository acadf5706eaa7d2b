//! Scenes whose every object is known: what is drawn, where, in which colour, and how it is said in words.
//!
//! [`World`] is the vocabulary, factors with their values, and [`Combinations`] say which values come together; the functions of
//! [`generate`] make [`Scene`]s from them
//! with a seed (a [`Series`] one by one), [`render()`] draws them on a [`Canvas`], [`mask`] says exactly which pixels belong to which object, [`caption`]
//! says them in words, [`labels`] and [`folder`] carry them to disk and back.

pub mod caption;
mod check;
mod combinations;
mod concept;
mod drawing;
mod file;
pub mod foils;
pub mod folder;
mod free;
pub mod generate;
pub mod labels;
pub mod labels_csv;
mod latin;
mod name;
mod object;
pub mod paraphrase;
pub mod relation;
mod series;
mod swappable;
mod world;

pub use combinations::{Combination, Combinations};
pub use concept::{Concept, Factor};
pub use drawing::{Background, Canvas, Figure, Look, MAX_SIDE, Outline, Texture, mask, render};
#[cfg(feature = "lab")]
pub(crate) use file::toml_error;
pub use file::{MAX_WORLD_BYTES, NamedWorld, WORLDS};
pub use name::MAX_NAME;
pub use object::{Object, Scene};
pub use series::{MARGIN, SceneKind, Series};
pub use world::{Free, Said, World, WorldFactor, WorldValue};
