//! The exam: what a model recognises, what it binds, and which units stand for what, on scenes made for the question.

mod answers;
mod cache;
mod classes;
mod config;
mod confusions;
mod controls;
mod examine;
mod examinee;
mod findings;
mod illustrated;
mod interaction;
mod measured;
mod partial;
mod patches;
mod pictures;
pub mod question;
pub mod questions;
mod scores;
mod sentences;
mod sitting;
mod spatial;
mod training;
mod verdict;
mod wording;
mod words;

pub use cache::Cache;
pub use config::ExamConfig;
pub use examine::{examine, verdict};
pub use examinee::Examinee;
pub use pictures::Pictures;
pub use question::{QUESTIONS, Question, questions};
pub use sitting::Sitting;
pub use training::{Training, default_world};
pub use verdict::Shows;
pub use wording::readable;
