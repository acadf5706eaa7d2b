//! Random sets of units that are like a given one: what an effect is held against.
//!
//! For each unit of the set another of the same site is drawn that is alike in three things over the tokens that are edited: the root
//! mean square of its activation and of the change that the edit makes of it, each within a factor of 2, and how often it fires (is above
//! 0), within .15. An edit moves what follows the more the more it changes, whatever the unit is for: sets that change less would make
//! any unit look like a cause.

use crate::random;
use crate::{Error, Result};
use rand::RngExt;
use rand::seq::SliceRandom;
use std::collections::BTreeSet;

/// The largest factor between root mean squares, as a power of 2.
const FACTOR: f64 = 1.0;
/// The largest difference of frequencies.
const FREQUENCY: f64 = 0.15;
/// Tries for each set that is wanted.
const TRIES: usize = 50;

/// What units are compared by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Root mean square of the activation.
    pub norm: f64,
    /// Root mean square of what the edit changes.
    pub change: f64,
    /// Share of the values above 0.
    pub firing: f64,
}

impl Profile {
    /// Whether two units are alike.
    pub fn is_like(&self, other: &Self) -> bool {
        // Two zeros are alike, a zero and a number are not.
        let near = |a: f64, b: f64| (a <= 0.0 && b <= 0.0) || (a.log2() - b.log2()).abs() <= FACTOR;
        near(self.norm, other.norm)
            && near(self.change, other.change)
            && (self.firing - other.firing).abs() <= FREQUENCY
    }
}

/// `draws` different sets of units that are like those of `set`, unit for unit, none of them in it or `excluded`.
///
/// # Errors
/// When there are not so many: with the unit that has the fewest like it.
pub fn matched_sets(
    profiles: &[Profile],
    set: &[usize],
    excluded: &BTreeSet<usize>,
    draws: usize,
    seed: u64,
) -> Result<Vec<Vec<usize>>> {
    let own: BTreeSet<usize> = set.iter().copied().collect();
    let free = |unit: &usize| !own.contains(unit) && !excluded.contains(unit);
    let like = |unit: &usize| -> Vec<usize> {
        (0..profiles.len()).filter(free).filter(|other| profiles[*unit].is_like(&profiles[*other])).collect()
    };
    let candidates: Vec<Vec<usize>> = set.iter().map(like).collect();
    let fewest = candidates.iter().enumerate().min_by_key(|(_, like)| like.len());
    let too_few = |found: usize| {
        let (unit, count) = fewest.as_ref().map_or((0, 0), |(k, like)| (set[*k], like.len()));
        let expected = format!("{draws} random sets of {} units like these, to compare with", set.len());
        let got = format!("{found}: unit {unit} has {count} units like it (norm, change, firing)");
        Error::mismatch("matched sets", expected, got)
    };
    let mut rng = random::stream(seed, "matched sets", set.len() as u64);
    let (mut met, mut sets) = (BTreeSet::new(), Vec::new());
    // Those with the fewest to choose from choose first.
    let mut order: Vec<usize> = (0..set.len()).collect();
    order.sort_by_key(|k| candidates[*k].len());
    for _ in 0..draws.saturating_mul(TRIES) {
        if sets.len() == draws {
            break;
        }
        let mut drawn = BTreeSet::new();
        for k in &order {
            let left: Vec<usize> = candidates[*k].iter().copied().filter(|unit| !drawn.contains(unit)).collect();
            if left.is_empty() {
                break;
            }
            drawn.insert(left[rng.random_range(0..left.len())]);
        }
        if drawn.len() == set.len() && met.insert(drawn.clone()) {
            let mut units: Vec<usize> = drawn.into_iter().collect();
            units.shuffle(&mut rng);
            sets.push(units);
        }
    }
    if sets.len() < draws { Err(too_few(sets.len())) } else { Ok(sets) }
}
