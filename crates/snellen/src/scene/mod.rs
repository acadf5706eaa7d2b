//! Scenes whose every object is known: what is drawn, where, in which colour, and how it is said in words.
//!
//! [`World`] is the vocabulary, the functions of [`generate`] make [`Scene`]s from it with a seed, [`render`] draws them,
//! [`mask`] says exactly which pixels belong to which object, [`caption`] says them in words, [`labels`] and [`folder`] carry them to
//! disk and back.

mod factor;
mod object;

pub use factor::{Concept, Factor};
pub use object::{Color, Object, Position, Scene, Shape, World};
