//! Splits that hold combinations out evenly: those of a Latin square, for every value the same number.

use super::{Combinations, World};
use crate::{Error, Result, random};
use rand::seq::SliceRandom;

/// The fewest splits.
const FEWEST: usize = 5;

impl Combinations {
    /// At least 5 splits of the combinations of two factors of `world`, those with `pair` of values held out: each gives what training
    /// may show, its [`complement`](Self::complement) what it must not.
    ///
    /// Of factors with m <= n values, a Latin rectangle drawn by `seed` has one of n symbols in each of its m x n cells, none
    /// twice in a row or column. A split holds out the cells of one symbol, so each value of the smaller factor once and each of the
    /// larger at most once; all n of a rectangle hold out every combination once. Where n is below 5 there are more
    /// rectangles. Over all splits a value is held out as often as any other of its factor. Whatever values further
    /// factors have, a combination is held out by its values of these two.
    ///
    /// # Errors
    /// When a factor is none that captions say, both are one, or one has a single value.
    pub fn latin_splits(world: &World, pair: [usize; 2], seed: u64) -> Result<Vec<Self>> {
        let said = world.said();
        if let Some(f) = pair.iter().find(|f| !said.contains(f)) {
            return Err(Error::mismatch("Latin splits: factors", "two that captions say", f));
        }
        let sizes = pair.map(|f| world.factors[f].values.len());
        if pair[0] == pair[1] || sizes.contains(&1) {
            let got = format!("{pair:?} with {sizes:?} values");
            return Err(Error::mismatch(
                "Latin splits: factors",
                "two different ones, with two values or more each",
                got,
            ));
        }
        let at = pair.map(|f| said.iter().position(|own| *own == f).unwrap_or_default());
        let symbols = sizes[0].max(sizes[1]);
        let mut splits = Vec::new();
        for rectangle in 0..FEWEST.div_ceil(symbols) as u64 {
            let mut rng = random::stream(seed, "Latin splits", rectangle);
            let [rows, columns] = sizes.map(|size| {
                let mut order: Vec<usize> = (0..symbols).collect();
                order.shuffle(&mut rng);
                order.truncate(size);
                order
            });
            for symbol in 0..symbols {
                let held_out = |values: &[u32]| {
                    (rows[values[at[0]] as usize] + columns[values[at[1]] as usize]) % symbols == symbol
                };
                splits.push(Self::filter(world, |values| !held_out(values)));
            }
        }
        Ok(splits)
    }
}
