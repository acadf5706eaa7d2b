//! Whether a concept is over-represented among the images that a unit likes best.
//!
//! ```text
//! lift = log2(q / E0)
//! ```
//!
//! q is the share of the top k images that show the concept. Where labels are permuted within strata, the number of them in the k_s
//! top images of stratum s is hypergeometric: so E0 = sum_s k_s n+_s / n_s / k is exact, as is the variance
//! sum_s k_s (n+_s / n_s) (1 - n+_s / n_s) (n_s - k_s) / (n_s - 1) behind z, and neither needs a single permutation. A unit that likes
//! images with many objects has no lift for that reason.

use crate::measure::Design;
use std::collections::BTreeMap;

/// Images that count as top.
pub const TOP: usize = 30;

/// How a concept is represented among the top images of a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lift {
    /// log2 of the share over the expected share; `None` where none of the top images shows the concept.
    pub lift: Option<f64>,
    /// The number of top images with the concept less what is expected, over its deviation.
    pub z: f64,
}

/// The strata of a design, counted once for all units.
pub struct Lifts<'a> {
    design: &'a Design,
    /// Of each image, the place of its stratum.
    strata: Vec<usize>,
    /// Images per stratum.
    sizes: Vec<usize>,
    /// `[concept][stratum]`: how many of them show it.
    with: Vec<Vec<usize>>,
}

impl<'a> Lifts<'a> {
    /// Of `design`.
    pub fn new(design: &'a Design) -> Self {
        let mut places = BTreeMap::new();
        for stratum in design.strata() {
            let next = places.len();
            places.entry(*stratum).or_insert(next);
        }
        let strata: Vec<usize> = design.strata().iter().map(|stratum| places[stratum]).collect();
        let count = |holds: &dyn Fn(usize) -> bool| {
            let mut counts = vec![0; places.len()];
            strata.iter().enumerate().filter(|(i, _)| holds(*i)).for_each(|(_, s)| counts[*s] += 1);
            counts
        };
        let sizes = count(&|_| true);
        let with = (0..design.concepts().len()).map(|c| count(&|i| design.present(c)[i])).collect();
        Self { design, strata, sizes, with }
    }

    /// The [`TOP`] images with the largest values, ties in the order of the images.
    pub fn top(values: &[f32]) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..values.len()).collect();
        let order = |a: &usize, b: &usize| (values[*b] + 0.0).total_cmp(&(values[*a] + 0.0)).then(a.cmp(b));
        if rows.len() > TOP {
            rows.select_nth_unstable_by(TOP - 1, order);
            rows.truncate(TOP);
        }
        rows.sort_unstable_by(order);
        rows
    }

    /// Of each concept among the images `top`; `None` where chance has no choice: no image of their strata shows it, or all do.
    pub fn of(&self, top: &[usize]) -> Vec<Option<Lift>> {
        let mut taken = vec![0; self.sizes.len()];
        top.iter().for_each(|row| taken[self.strata[*row]] += 1);
        let concept = |c: usize| {
            let (mut expected, mut variance) = (0.0, 0.0);
            for ((k, n), with) in taken.iter().zip(&self.sizes).zip(&self.with[c]) {
                let (k, n, share) = (f64::from(*k), *n as f64, *with as f64 / *n as f64);
                expected += k * share;
                variance += if n > 1.0 { k * share * (1.0 - share) * (n - k) / (n - 1.0) } else { 0.0 };
            }
            let shown = top.iter().filter(|row| self.design.present(c)[**row]).count() as f64;
            (variance > 0.0).then(|| Lift {
                lift: (shown > 0.0).then(|| (shown / expected).log2()),
                z: (shown - expected) / variance.sqrt(),
            })
        };
        (0..self.with.len()).map(concept).collect()
    }
}
