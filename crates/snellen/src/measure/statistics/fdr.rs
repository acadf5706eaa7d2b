//! False discoveries among many tests.
//!
//! Benjamini & Hochberg 1995 (JRSS B 57:289-300): with p_(1) <= ... <= p_(m), the adjusted q_(i) = min over j >= i of
//! min(1, m p_(j) / j). Rejecting where q <= Q keeps the expected share of false discoveries at or below Q for independent and
//! for positively dependent tests.

use crate::{Error, Result};

/// The adjusted p-values of one family of tests, in their order; missing tests stay missing and do not count.
///
/// # Errors
/// When some p is not in [0, 1].
pub fn benjamini_hochberg(p: &[Option<f64>]) -> Result<Vec<Option<f64>>> {
    let mut order = Vec::with_capacity(p.len());
    for (test, &p) in p.iter().enumerate() {
        let Some(p) = p else { continue };
        if !(0.0..=1.0).contains(&p) {
            return Err(Error::mismatch(format!("p-value {test}"), "a number from 0 to 1", p));
        }
        order.push((p, test));
    }
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let tests = order.len() as f64;
    let mut adjusted = vec![None; p.len()];
    let mut least = 1.0_f64;
    for (i, &(p, test)) in order.iter().enumerate().rev() {
        least = least.min(p * tests / (i + 1) as f64);
        adjusted[test] = Some(least);
    }
    Ok(adjusted)
}
