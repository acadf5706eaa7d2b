//! Which shapes may come in which colours: the combinations seen in training, and those held out.

use super::{Shape, World};
use crate::{Error, Result, random};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

/// A set of combinations of a shape and a colour, from which a generator draws its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs {
    /// Sorted, distinct.
    drawn: Vec<(Shape, usize)>,
    /// The rest of the world's pairs, sorted.
    left: Vec<(Shape, usize)>,
}

impl Pairs {
    /// Every combination of `world`.
    #[must_use]
    pub fn all(world: &World) -> Self {
        Self::filter(world, |_, _| true)
    }

    /// The combinations of `world` that `allowed` says yes to, given a shape and an index into [`World::colors`].
    pub fn filter(world: &World, mut allowed: impl FnMut(Shape, usize) -> bool) -> Self {
        let mut shapes = world.shapes.clone();
        shapes.sort_unstable();
        let every = shapes.iter().flat_map(|&shape| (0..world.colors.len()).map(move |color| (shape, color)));
        let (drawn, left) = every.partition(|&(shape, color)| allowed(shape, color));
        Self { drawn, left }
    }

    /// All but `held_out` combinations of `world`, chosen by `seed`; [`Pairs::complement`] gives those held out.
    ///
    /// Every shape and every colour stays in some combination, so that each is still learnt, and held-out combinations
    /// spread evenly: numbers per shape differ by at most one where the colours allow it.
    ///
    /// # Errors
    /// When so many cannot be held out; the search is greedy and may give up a few short of the most that could be.
    pub fn holding_out(world: &World, held_out: usize, seed: u64) -> Result<Self> {
        let [shapes, colors] = [world.shapes.len(), world.colors.len()];
        let mut rng = random::stream(seed, "held-out pairs", 0);
        let mut kept = vec![vec![true; colors]; shapes];
        for done in 0..held_out {
            let removable = |s: usize, c: usize| {
                let others = |cells: &mut dyn Iterator<Item = bool>| cells.filter(|&cell| cell).count() > 1;
                kept[s][c] && others(&mut kept[s].iter().copied()) && others(&mut kept.iter().map(|row| row[c]))
            };
            let gone = |s: usize, c: usize| {
                let row = kept[s].iter().filter(|&&cell| !cell).count();
                (row, kept.iter().filter(|row| !row[c]).count())
            };
            let free = (0..shapes).flat_map(|s| (0..colors).map(move |c| (s, c))).filter(|&(s, c)| removable(s, c));
            let mut ranked: Vec<_> = free.map(|(s, c)| (gone(s, c), rng.next_u64(), s, c)).collect();
            ranked.sort_unstable();
            let Some(&(_, _, s, c)) = ranked.first() else {
                let expected = format!(
                    "few enough to leave every one of {shapes} shapes and {colors} colours a combination (here {done})"
                );
                return Err(Error::mismatch("held-out combinations", expected, held_out));
            };
            kept[s][c] = false;
        }
        let row = |shape: Shape| world.shapes.iter().position(|&other| other == shape);
        Ok(Self::filter(world, |shape, color| row(shape).is_some_and(|s| kept[s][color])))
    }

    /// The combinations of the world that are not in this set.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self { drawn: self.left.clone(), left: self.drawn.clone() }
    }

    /// Whether `shape` may come in `color`, an index into [`World::colors`].
    #[must_use]
    pub fn contains(&self, shape: Shape, color: usize) -> bool {
        self.drawn.binary_search(&(shape, color)).is_ok()
    }

    /// The combinations, sorted by shape and then colour.
    #[must_use]
    pub fn as_slice(&self) -> &[(Shape, usize)] {
        &self.drawn
    }

    /// One combination, each equally likely.
    ///
    /// # Errors
    /// When there is none.
    pub fn draw(&self, rng: &mut impl Rng) -> Result<(Shape, usize)> {
        match self.drawn.as_slice() {
            [] => Err(Error::mismatch("combinations of shape and colour", "at least one", "none")),
            some => Ok(some[rng.random_range(0..some.len())]),
        }
    }

    /// As many as `count` combinations in which no shape and no colour comes twice; fewer where no more exist.
    ///
    /// With all combinations in the set every such choice is equally likely.
    pub fn draw_distinct(&self, count: usize, rng: &mut impl Rng) -> Vec<(Shape, usize)> {
        let mut shapes: Vec<(Shape, Vec<usize>)> = self
            .drawn
            .chunk_by(|a, b| a.0 == b.0)
            .map(|pairs| (pairs[0].0, pairs.iter().map(|pair| pair.1).collect()))
            .collect();
        shapes.shuffle(rng);
        for (_, colors) in &mut shapes {
            colors.shuffle(rng);
        }
        let choices: Vec<_> = shapes.iter().map(|(_, colors)| colors.as_slice()).collect();
        let mut owner = vec![None; self.drawn.iter().map(|pair| pair.1 + 1).max().unwrap_or(0)];
        let mut matched = 0;
        for shape in 0..shapes.len() {
            if matched < count && claim(shape, &choices, &mut owner, &mut vec![false; shapes.len()]) {
                matched += 1;
            }
        }
        let mut chosen: Vec<_> =
            owner.iter().enumerate().filter_map(|(color, shape)| shape.map(|s: usize| (shapes[s].0, color))).collect();
        chosen.sort_unstable();
        chosen.shuffle(rng);
        chosen
    }
}

/// Gives `shape` one of its colours, moving the owners of others where needed (Kuhn's augmenting path).
fn claim(shape: usize, choices: &[&[usize]], owner: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    if std::mem::replace(&mut tried[shape], true) {
        return false;
    }
    choices[shape].iter().any(|&color| {
        let free = owner[color].is_none_or(|other| claim(other, choices, owner, tried));
        if free {
            owner[color] = Some(shape);
        }
        free
    })
}
