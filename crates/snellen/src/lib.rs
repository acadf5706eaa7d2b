//! Snellen gives vision-language encoders an eye exam: it shows a CLIP-like model scenes whose every object is known, reads its
//! activations, and says what it sees and what it binds, with intervals and nulls.
//!
//! The data goes one way: [`scene`] makes pictures, labels and captions, [`model`] (on the operations of [`engine`]) turns them
//! into activations and embeddings, [`record`] carries activations to disk and back, [`measure`] turns matrices and labels into
//! statistics and never sees a model, [`exam`] asks the questions and [`report`] holds the answers. [`lab`] trains small models on
//! scenes and asks the exam's questions while it does. [`bench`](mod@bench) holds what is
//! timed when the engine is measured. [`torch`] reads files of PyTorch as data.
//!
//! Drawing the two scenes that a model must tell apart to bind colour and shape:
//!
//! ```
//! use snellen::scene::caption::{Wording, caption};
//! use snellen::scene::generate::swap_twins;
//! use snellen::scene::{Canvas, Combinations, World, render};
//!
//! let world = World::toy();
//! let (all, color) = (Combinations::all(&world), world.factor("color").unwrap_or_default());
//! let twins = swap_twins(&world, color, &all, &all, 1, 7)?;
//! let canvas = Canvas::plain(64, 64);
//! assert_ne!(render(&twins[0].scene, &world, &canvas), render(&twins[0].twin, &world, &canvas));
//! let words = |text: String| -> Vec<String> {
//!     let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
//!     words.sort();
//!     words
//! };
//! let said = |scene| caption(scene, &world, &Wording::plain(2));
//! assert_ne!(said(&twins[0].scene), said(&twins[0].twin));
//! assert_eq!(words(said(&twins[0].scene)), words(said(&twins[0].twin)));
//! # Ok::<(), snellen::Error>(())
//! ```

pub mod bench;
pub mod engine;
pub mod error;
pub mod exam;
pub mod intervene;
pub mod lab;
pub mod measure;
mod memory;
pub mod model;
pub mod output;
mod panics;
pub mod random;
pub mod readers;
pub mod record;
pub mod report;
pub mod scene;
pub mod study;
pub mod tensors;
pub mod torch;

pub use error::{Error, Result};
