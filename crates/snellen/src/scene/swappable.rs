//! Which two combinations can exchange a value: what swap twins are drawn from.

use super::{Combination, Combinations, World};
use crate::{Error, Result};
use rand::{Rng, RngExt};

/// Of up to so many combinations all choices of two are listed; of more, two are drawn until they will do.
const LISTED: usize = 1024;

/// How often two are drawn.
const TRIES: usize = 1 << 16;

/// Two combinations for each twin: they differ in every value, and with those of one factor exchanged they are allowed too.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Swappable {
    factor: usize,
    scenes: Combinations,
    twins: Combinations,
    /// Indices of two combinations of `scenes`: all choices, or one that is known to be there.
    choices: Vec<[u32; 2]>,
}

/// What twins of `world` that exchange `factor` can be made of.
pub(super) fn swappable(
    world: &World,
    factor: usize,
    scenes: &Combinations,
    twins: &Combinations,
) -> Result<Swappable> {
    world.check()?;
    if world.room() < 2 {
        return Err(Error::mismatch("world: places", "two or more, for swap twins", world.room()));
    }
    if !scenes.factors().contains(&factor) {
        return Err(Error::mismatch("swap twins: factor", "one that captions say", factor));
    }
    let mut found = Swappable { factor, scenes: scenes.clone(), twins: twins.clone(), choices: Vec::new() };
    let count = scenes.as_slice().len();
    if count <= LISTED {
        let both = (0..count as u32).flat_map(|a| (0..count as u32).map(move |b| [a, b]));
        found.choices = both.filter(|both| found.allows(*both)).collect();
    } else {
        found.choices.extend(found.search(&mut crate::random::stream(0, "swappable", 0)));
    }
    Ok(found)
}

impl Swappable {
    /// The factor whose values are exchanged.
    pub fn factor(&self) -> usize {
        self.factor
    }

    /// What the objects of scenes are drawn from.
    pub fn combinations(&self) -> &Combinations {
        &self.scenes
    }

    /// Whether there are no two.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Two combinations, every choice equally likely.
    ///
    /// # Panics
    /// If there are no two.
    pub fn draw(&self, rng: &mut impl Rng) -> [&Combination; 2] {
        let known = self.scenes.as_slice();
        let listed = known.len() <= LISTED;
        let drawn = if listed { None } else { self.search(rng) };
        drawn.unwrap_or_else(|| self.choices[rng.random_range(0..self.choices.len())]).map(|at| &known[at as usize])
    }

    fn search(&self, rng: &mut impl Rng) -> Option<[u32; 2]> {
        let count = self.scenes.as_slice().len() as u32;
        let mut one = || rng.random_range(0..count);
        (0..TRIES).map(|_| [one(), one()]).find(|both| self.allows(*both))
    }

    fn allows(&self, both: [u32; 2]) -> bool {
        let [a, b] = both.map(|at| &self.scenes.as_slice()[at as usize]);
        let at = self.scenes.factors().iter().position(|f| *f == self.factor);
        let with = |a: &Combination, b: &Combination| {
            let mut swapped = a.clone();
            at.into_iter().for_each(|at| swapped[at] = b[at]);
            swapped
        };
        a.iter().zip(b).all(|(a, b)| a != b) && self.twins.contains(&with(a, b)) && self.twins.contains(&with(b, a))
    }
}
