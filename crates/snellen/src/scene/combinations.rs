//! Which values may come together in one object: the combinations seen in training, and those held out.

use super::World;
use crate::{Error, Result, random};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

/// The most combinations of what captions say.
pub(super) const MAX_COMBINATIONS: usize = 1 << 20;

/// How many choices are tried until no more objects are looked for that share no value.
const MAX_TRIES: usize = 1 << 16;

/// One value of each of some factors, in their order.
pub type Combination = Vec<u32>;

/// A set of combinations of values of some factors, from which a generator draws its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combinations {
    /// Indices of the factors.
    factors: Vec<usize>,
    /// Per factor, whether two objects of a scene may share a value.
    repeats: Vec<bool>,
    /// Sorted, distinct.
    drawn: Vec<Combination>,
    /// The rest of the world's combinations, sorted.
    left: Vec<Combination>,
}

impl Combinations {
    /// Every combination of the factors of `world` that captions say.
    ///
    /// # Panics
    /// If there are more than [`World::check`] lets pass.
    #[must_use]
    pub fn all(world: &World) -> Self {
        Self::filter(world, |_| true)
    }

    /// Those that `allowed` says yes to, given values in the order of [`World::said`].
    pub fn filter(world: &World, mut allowed: impl FnMut(&[u32]) -> bool) -> Self {
        let factors = world.said();
        let sizes: Vec<usize> = factors.iter().map(|f| world.factors[*f].values.len()).collect();
        let count = sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        let count = count.filter(|count| *count <= MAX_COMBINATIONS);
        assert!(count.is_some(), "expected at most {MAX_COMBINATIONS} combinations, got {sizes:?} values");
        let of = |mut number: usize| -> Combination {
            let mut values = vec![0; sizes.len()];
            for (value, size) in values.iter_mut().zip(&sizes).rev() {
                *value = (number % size) as u32;
                number /= size;
            }
            values
        };
        let (drawn, left) = (0..count.unwrap_or_default()).map(of).partition(|values| allowed(values));
        let repeats = factors.iter().map(|f| world.factors[*f].repeats).collect();
        Self { factors, repeats, drawn, left }
    }

    /// All but `held_out` combinations of `world`, chosen by `seed`; [`complement`](Self::complement) gives those held out.
    ///
    /// Every value stays in some combination, so that each is still learnt, and held-out combinations spread evenly: numbers per
    /// value of the first factor differ by at most one where the others allow it.
    ///
    /// # Errors
    /// When so many cannot be held out; the search is greedy and may give up a few short of the most that could be.
    pub fn holding_out(world: &World, held_out: usize, seed: u64) -> Result<Self> {
        let mut rng = random::stream(seed, "held-out pairs", 0);
        let all = Self::all(world);
        let mut kept = vec![true; all.drawn.len()];
        let sizes: Vec<usize> = all.factors.iter().map(|f| world.factors[*f].values.len()).collect();
        let mut left: Vec<Vec<usize>> = sizes.iter().map(|size| vec![all.drawn.len() / size; *size]).collect();
        let mut gone: Vec<Vec<usize>> = sizes.iter().map(|size| vec![0; *size]).collect();
        for done in 0..held_out {
            let removable = |at: &usize| {
                let each = all.drawn[*at].iter().zip(&left);
                kept[*at] && each.into_iter().all(|(value, left)| left[*value as usize] > 1)
            };
            let rank = |at: usize| -> Vec<usize> {
                all.drawn[at].iter().zip(&gone).map(|(value, gone)| gone[*value as usize]).collect()
            };
            let free = (0..kept.len()).filter(removable);
            let first = free.map(|at| (rank(at), rng.next_u64(), at)).min();
            let Some((_, _, at)) = first else {
                let values = sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ");
                let expected = format!("few enough to leave every one of {values} values a combination (here {done})");
                return Err(Error::mismatch("held-out combinations", expected, held_out));
            };
            kept[at] = false;
            for (f, value) in all.drawn[at].iter().enumerate() {
                left[f][*value as usize] -= 1;
                gone[f][*value as usize] += 1;
            }
        }
        let mut kept = kept.into_iter();
        Ok(Self::filter(world, |_| kept.next().unwrap_or(true)))
    }

    /// The combinations of the world that are not in this set.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self { drawn: self.left.clone(), left: self.drawn.clone(), ..self.clone() }
    }

    /// The factors that are combined, by index.
    #[must_use]
    pub fn factors(&self) -> &[usize] {
        &self.factors
    }

    /// Whether it holds `values`.
    #[must_use]
    pub fn contains(&self, values: &[u32]) -> bool {
        self.position(values).is_some()
    }

    /// Which of its combinations `values` are.
    pub(super) fn position(&self, values: &[u32]) -> Option<usize> {
        self.drawn.binary_search_by(|own| own.as_slice().cmp(values)).ok()
    }

    /// The combinations, sorted.
    #[must_use]
    pub fn as_slice(&self) -> &[Combination] {
        &self.drawn
    }

    /// One combination, each equally likely.
    ///
    /// # Errors
    /// When there is none.
    pub fn draw(&self, rng: &mut impl Rng) -> Result<&Combination> {
        match self.drawn.as_slice() {
            [] => Err(Error::mismatch("combinations", "at least one", "none")),
            some => Ok(&some[rng.random_range(0..some.len())]),
        }
    }

    /// As many as `count` combinations in which no value comes twice that may not; fewer where no more are found.
    ///
    /// With all combinations in the set every such choice is equally likely.
    pub fn draw_distinct(&self, count: usize, rng: &mut impl Rng) -> Vec<Combination> {
        match self.repeats[..] {
            [false, false] => self.matched(count, rng),
            _ if self.repeats.iter().all(|repeats| *repeats) => {
                (0..count).filter_map(|_| self.draw(rng).ok().cloned()).collect()
            }
            _ => self.searched(count, rng),
        }
    }

    /// Of two factors: a largest matching, found at random.
    fn matched(&self, count: usize, rng: &mut impl Rng) -> Vec<Combination> {
        let mut first: Vec<(u32, Vec<usize>)> = self
            .drawn
            .chunk_by(|a, b| a[0] == b[0])
            .map(|pairs| (pairs[0][0], pairs.iter().map(|pair| pair[1] as usize).collect()))
            .collect();
        first.shuffle(rng);
        for (_, second) in &mut first {
            second.shuffle(rng);
        }
        let choices: Vec<_> = first.iter().map(|(_, second)| second.as_slice()).collect();
        let mut owner = vec![None; self.drawn.iter().map(|pair| pair[1] as usize + 1).max().unwrap_or(0)];
        let mut matched = 0;
        for k in 0..first.len() {
            if matched < count && claim(k, &choices, &mut owner, &mut vec![false; first.len()]) {
                matched += 1;
            }
        }
        let owned =
            owner.iter().enumerate().filter_map(|(second, k)| k.map(|k: usize| vec![first[k].0, second as u32]));
        let mut chosen: Vec<Combination> = owned.collect();
        chosen.sort_unstable();
        chosen.shuffle(rng);
        chosen
    }

    /// Of any factors: in random order, going back where it ends.
    fn searched(&self, count: usize, rng: &mut impl Rng) -> Vec<Combination> {
        let mut order: Vec<&Combination> = self.drawn.iter().collect();
        order.shuffle(rng);
        let clash = |a: &Combination, b: &Combination| {
            a.iter().zip(b).zip(&self.repeats).any(|((a, b), repeats)| a == b && !repeats)
        };
        let (mut chosen, mut best, mut next, mut tries): (Vec<usize>, Vec<usize>, usize, usize) = Default::default();
        while chosen.len() < count && tries < MAX_TRIES {
            tries += 1;
            match (next..order.len()).find(|at| chosen.iter().all(|own| !clash(order[*own], order[*at]))) {
                Some(at) => {
                    chosen.push(at);
                    next = at + 1;
                    if chosen.len() > best.len() {
                        best.clone_from(&chosen);
                    }
                }
                None => match chosen.pop() {
                    Some(last) => next = last + 1,
                    None => break,
                },
            }
        }
        best.into_iter().map(|at| order[at].clone()).collect()
    }
}

/// Gives `k` one of its choices, moving the owners of others where needed (Kuhn's augmenting path).
fn claim(k: usize, choices: &[&[usize]], owner: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    if std::mem::replace(&mut tried[k], true) {
        return false;
    }
    choices[k].iter().any(|&choice| {
        let free = owner[choice].is_none_or(|other| claim(other, choices, owner, tried));
        if free {
            owner[choice] = Some(k);
        }
        free
    })
}
