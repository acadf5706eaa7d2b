//! The exam: what a model recognises and what it binds, on scenes made for the question.

pub mod composition;
pub mod recognition;
mod scores;
