//! How rates are said in sentences.

use crate::report::Rate;

/// Whether the interval lies above what guessing gives.
pub(super) fn above(rate: &Rate) -> bool {
    rate.accuracy.lo > rate.chance
}

/// How far from chance to certainty an accuracy may lie and still be called that of guessing.
pub(super) const EQUIVALENT: f64 = 0.1;

/// Whether the interval leaves no room for more than guessing: its upper end lies within [`EQUIVALENT`] of the way to certainty.
pub(super) fn guesses(rate: &Rate) -> bool {
    rate.accuracy.hi <= rate.chance + EQUIVALENT * (1.0 - rate.chance)
}

/// What would tell: as many answers, of the kind that there were, as make the interval half as wide as [`EQUIVALENT`] is.
pub(super) fn would_tell(rate: &Rate) -> String {
    let accuracy = &rate.accuracy;
    if accuracy.repeats() {
        return "more pictures of the same combinations would not tell".to_owned();
    }
    let half = (accuracy.hi - accuracy.lo) / 2.0;
    let wanted = EQUIVALENT * (1.0 - rate.chance) / 2.0;
    format!("about {} would tell", (accuracy.n as f64 * (half / wanted).powi(2).max(1.0)).ceil() as usize)
}

/// `83.3 % [78.1, 87.5]`.
pub(super) fn percent(rate: &Rate) -> String {
    let [estimate, lo, hi] = [rate.accuracy.estimate, rate.accuracy.lo, rate.accuracy.hi].map(|share| 100.0 * share);
    format!("{estimate:.1} % [{lo:.1}, {hi:.1}]")
}

/// The word for a factor in prose.
pub(super) fn word(factor: &str) -> &str {
    if factor == "color" { "colour" } else { factor }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
