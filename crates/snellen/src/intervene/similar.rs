//! Random sets of units that are like a given one: what an effect is held against.
//!
//! For each unit of the set another of the same site is drawn that is alike in three things over the tokens that are edited: the root
//! mean square of its activation and of the change that the edit makes of it, each within a factor of 2, and how often it fires (is above
//! 0), within .15. An edit moves what follows the more the more it changes, whatever the unit is for: sets that change less would make
//! any unit look like a cause. Units that have none like them are left out of the set: of those nothing is said.

use crate::random;
use crate::{Error, Result};
use rand::{Rng, RngExt};
use std::collections::BTreeSet;

/// The largest factor between root mean squares, as a power of 2.
const FACTOR: f64 = 1.0;
/// The largest difference of frequencies.
const FREQUENCY: f64 = 0.15;
/// The fewest units like one that is kept.
const FEWEST: usize = 3;
/// Tries for each set that is wanted.
const TRIES: usize = 50;
/// Units that are tried before all that are free are listed.
const PROBES: usize = 8;
/// Tries by which it is told whether sets can be had.
const TRIED: usize = 40;

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

/// Units that each unit of a set could be exchanged for.
#[derive(Clone, Debug)]
pub struct Similar {
    /// The units of the set that have enough others like them, in its order.
    pub kept: Vec<usize>,
    /// Those that have not: what they do can't be told from what their size does.
    pub dropped: Vec<usize>,
    /// Of each that is kept.
    candidates: Vec<Vec<usize>>,
}

impl Similar {
    /// Of `set`, whose units and those `excluded` nothing is exchanged for.
    ///
    /// A unit is kept where it has at least 3 others like it; and while sets of the kept can't be drawn in at least one of four tries, or
    /// would be more than half of all units that they are drawn of, those that have the fewest are dropped.
    pub fn of(profiles: &[Profile], set: &[usize], excluded: &BTreeSet<usize>) -> Self {
        let own: BTreeSet<usize> = set.iter().copied().collect();
        let free = |unit: &usize| !own.contains(unit) && !excluded.contains(unit);
        let like = |unit: &usize| -> Vec<usize> {
            (0..profiles.len()).filter(free).filter(|other| profiles[*unit].is_like(&profiles[*other])).collect()
        };
        let all = set.iter().map(|unit| (*unit, like(unit)));
        let (enough, few): (Vec<_>, Vec<_>) = all.partition(|(_, like)| like.len() >= FEWEST);
        let mut dropped: Vec<usize> = few.into_iter().map(|(unit, _)| unit).collect();
        let (kept, candidates) = enough.into_iter().unzip();
        let mut similar = Self { kept, dropped: Vec::new(), candidates };
        while !similar.kept.is_empty() {
            let count = similar.too_many();
            if count == 0 {
                break;
            }
            dropped.extend(similar.drop(count));
        }
        Self { dropped, ..similar }
    }

    /// How many units have to go before random sets can be had: what is above half of the pool, else a twentieth and at least one where
    /// draws fail.
    fn too_many(&self) -> usize {
        let pool: BTreeSet<usize> = self.candidates.iter().flatten().copied().collect();
        let above = self.kept.len().saturating_sub(pool.len() / 2);
        if above > 0 {
            return above;
        }
        let order = self.order(self.kept.len());
        let rng = &mut random::stream(0, "matched sets, tried", self.kept.len() as u64);
        let drawn = (0..TRIED).filter(|_| self.draw(&order, rng).is_some()).count();
        if 4 * drawn >= TRIED { 0 } else { (self.kept.len() / 20).max(1) }
    }

    /// Drops the `count` units that have the fewest others like them.
    fn drop(&mut self, count: usize) -> Vec<usize> {
        let gone: BTreeSet<usize> = self.order(self.kept.len()).into_iter().take(count).collect();
        let all = std::mem::take(&mut self.kept).into_iter().zip(std::mem::take(&mut self.candidates));
        let mut dropped = Vec::new();
        for (k, (unit, candidates)) in all.enumerate() {
            if gone.contains(&k) {
                dropped.push(unit);
            } else {
                self.kept.push(unit);
                self.candidates.push(candidates);
            }
        }
        dropped
    }

    /// The first `size` units, those with the fewest to choose from first.
    fn order(&self, size: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..size).collect();
        order.sort_by_key(|k| self.candidates[*k].len());
        order
    }

    /// One set.
    fn draw(&self, order: &[usize], rng: &mut impl Rng) -> Option<BTreeSet<usize>> {
        let mut drawn = BTreeSet::new();
        for k in order {
            let own = &self.candidates[*k];
            let probed = (0..PROBES).map(|_| own[rng.random_range(0..own.len())]).find(|unit| !drawn.contains(unit));
            let unit = if let Some(unit) = probed {
                unit
            } else {
                // Most are taken: one of those that are not.
                let left: Vec<usize> = own.iter().copied().filter(|unit| !drawn.contains(unit)).collect();
                *left.get(rng.random_range(0..left.len().max(1)))?
            };
            drawn.insert(unit);
        }
        Some(drawn)
    }

    /// `draws` different sets of units like the first `size` that are kept, unit for unit.
    ///
    /// # Errors
    /// When there are not so many.
    pub fn sets(&self, size: usize, draws: usize, seed: u64) -> Result<Vec<Vec<usize>>> {
        let rng = &mut random::stream(seed, "matched sets", size as u64);
        let order = self.order(size.min(self.kept.len()));
        let mut sets = BTreeSet::new();
        for _ in 0..draws.saturating_mul(TRIES) {
            if sets.len() == draws || order.is_empty() {
                break;
            }
            sets.extend(self.draw(&order, rng));
        }
        if sets.len() < draws || order.is_empty() {
            let expected = format!("{draws} different random sets of {size} units like these, to compare with");
            let got = format!("{}, by norm, change and firing", sets.len());
            return Err(Error::mismatch("matched sets", expected, got));
        }
        Ok(sets.into_iter().map(|set| set.into_iter().collect()).collect())
    }
}
