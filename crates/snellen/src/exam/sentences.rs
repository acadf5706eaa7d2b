//! How rates are said in sentences.

use crate::report::Rate;

/// Whether the interval lies above what guessing gives.
pub(super) fn above(rate: &Rate) -> bool {
    rate.accuracy.lo > rate.chance
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
