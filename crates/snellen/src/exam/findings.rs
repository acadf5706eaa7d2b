//! What the numbers say in sentences: each is written only where its interval supports it.

use super::question::QUESTIONS;
use crate::report::{QuestionCard, Units};

/// The sentences of all questions, in their order.
pub(super) fn of_questions(cards: &[QuestionCard]) -> Vec<String> {
    let of = |card: &QuestionCard| {
        let question = QUESTIONS.iter().find(|question| question.id() == card.id);
        question.map(|question| question.findings(card, cards)).unwrap_or_default()
    };
    cards.iter().flat_map(of).collect()
}

/// The sentences of the unit measures.
pub(super) fn of_units(of: &Units) -> Vec<String> {
    let units: usize = of.sites.iter().map(|s| s.units).sum();
    let encoding: usize = of.sites.iter().map(|s| s.encoding.any).sum();
    let null: usize = of.sites.iter().map(|s| s.null.any).sum();
    vec![
        format!(
            "{encoding} of {units} units at {} sites encode a concept (held-out effect of at least {}); with permuted labels {null} would be said to.",
            of.sites.len(), of.min_effect
        ),
        "Units of a model with random weights tell concepts apart as well, colours above all; this exam has no such control yet, so the count is no evidence of learning. It is correlation, too: no unit was changed, so none is shown to cause what the model answers.".to_owned(),
    ]
}
