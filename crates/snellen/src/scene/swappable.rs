//! Which two combinations can exchange a value: what swap twins are drawn from.

use super::{Combination, Combinations, World};
use crate::{Error, Result};
use rand::{Rng, RngExt};

/// Of up to so many combinations all choices of two are listed; of more, two are drawn until they will do.
const LISTED: usize = 1024;

/// How often two are drawn.
const TRIES: usize = 1 << 16;

/// In which values the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// In what is exchanged and in all that may not repeat in a scene; in what may repeat only where everything else may, too.
    Design,
    /// In those of two factors, and in no others.
    Pair([usize; 2]),
}

/// Two combinations for each twin: they differ where they have to and nowhere else, and with the values of one factor exchanged they
/// are allowed too.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Swappable {
    factor: usize,
    /// Of each factor that is combined: whether the two differ in it.
    differ: Vec<bool>,
    /// And how many values it has.
    sizes: Vec<usize>,
    scenes: Combinations,
    twins: Combinations,
    /// Indices of two combinations of `scenes`: all choices, or one that is known to be there.
    choices: Vec<[u32; 2]>,
}

/// What twins of `world` that exchange `factor` can be made of.
pub(super) fn swappable(
    world: &World,
    factor: usize,
    rule: Rule,
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
    if let Rule::Pair([a, b]) = rule
        && (a == b || !scenes.factors().contains(&b))
    {
        return Err(Error::mismatch("swap twins: factors", "two that captions say", format!("{a} and {b}")));
    }
    let sizes = scenes.factors().iter().map(|f| world.factors[*f].values.len()).collect();
    let others = || scenes.factors().iter().filter(|f| **f != factor);
    // Where all may repeat, what else than the exchanged values would tell the two apart?
    let all = others().all(|f| world.factors[*f].repeats);
    let differs = |f: &usize| match rule {
        Rule::Design => all || *f == factor || !world.factors[*f].repeats,
        Rule::Pair(pair) => pair.contains(f),
    };
    let differ = scenes.factors().iter().map(differs).collect();
    let (scenes, twins) = (scenes.clone(), twins.clone());
    let mut found = Swappable { factor, differ, sizes, scenes, twins, choices: Vec::new() };
    let count = found.scenes.as_slice().len();
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
        let count = self.scenes.as_slice().len();
        (0..TRIES).find_map(|_| {
            let a = rng.random_range(0..count);
            let b = self.scenes.position(&self.redrawn(a, rng))?;
            Some([a as u32, b as u32]).filter(|both| self.allows(*both))
        })
    }

    /// Combination `a` with other values where they are to differ, or the same by chance.
    fn redrawn(&self, a: usize, rng: &mut impl Rng) -> Combination {
        let mut values = self.scenes.as_slice()[a].clone();
        for ((value, differs), size) in values.iter_mut().zip(&self.differ).zip(&self.sizes) {
            if *differs {
                *value = rng.random_range(0..*size as u32);
            }
        }
        values
    }

    fn allows(&self, both: [u32; 2]) -> bool {
        let [a, b] = both.map(|at| &self.scenes.as_slice()[at as usize]);
        let at = self.scenes.factors().iter().position(|f| *f == self.factor);
        let with = |a: &Combination, b: &Combination| {
            let mut swapped = a.clone();
            at.into_iter().for_each(|at| swapped[at] = b[at]);
            swapped
        };
        let mut values = a.iter().zip(b).zip(&self.differ);
        values.all(|((a, b), differs)| (a != b) == *differs)
            && self.twins.contains(&with(a, b))
            && self.twins.contains(&with(b, a))
    }
}
