//! The exam: what a model recognises, what it binds, and which units stand for what, on scenes made for the question.

mod blocks;
mod cards;
pub mod composition;
mod confusions;
mod findings;
mod given;
mod maps;
pub mod recognition;
mod scores;
mod second;
mod sitting;
mod spatial;
mod stop;
mod summary;
mod units;
mod wording;

pub use maps::unit_maps;
pub use second::Second;
pub use sitting::{ExamConfig, Stages, examine};
pub use units::{Acts, Measured, measure_given, measure_run};
