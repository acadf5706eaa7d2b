//! The exam: what a model recognises, what it binds, and which units stand for what, on scenes made for the question.

mod answers;
mod blocks;
mod cards;
mod confusions;
mod controls;
mod examine;
mod examinee;
mod findings;
mod given;
mod maps;
pub mod question;
pub mod questions;
mod scores;
mod second;
mod sentences;
mod sitting;
mod spatial;
mod training;
mod units;
mod verdict;
mod wording;

pub use examine::{ExamConfig, Stages, examine};
pub use examinee::Examinee;
pub use maps::unit_maps;
pub use question::{QUESTIONS, Question};
pub use second::Second;
pub use sitting::Sitting;
pub use training::Training;
pub use units::{Acts, Measured, measure_given, measure_run};
pub use verdict::Shows;
