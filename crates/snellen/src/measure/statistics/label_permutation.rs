//! Whether two tables of pairs go together, tested by exchanging the labels of what the pairs are made of.
//!
//! Of n features there are n (n - 1) / 2 pairs, but only n things that could have been otherwise: two pairs that share a feature
//! are not independent, and a p-value that takes them to be is too small (Mantel 1967, Cancer Research 27:209). So one table
//! keeps its labels, the other's are permuted, and
//!
//! T(pi) = sum over pairs i < j of x_ij y_pi(i)pi(j)
//!
//! is compared with T(identity). The means and deviations of both tables are the same under every permutation, so T orders
//! permutations as Pearson's r does. p is twice the smaller of P(T >= T(identity)) and P(T <= T(identity)), at most 1; the
//! identity is one of the permutations.
//!
//! All permutations are visited in depth-first order: choosing where feature i goes adds its terms with the features before it,
//! so that permutations which begin alike share the sums of their beginning. What the last four features add with all before them
//! depends on where each of them goes, not on where the others do: it is summed once for the 24 ways to end. Several tables x
//! are tested against one y at once.

use crate::random;
use rand::seq::SliceRandom;
use rayon::prelude::*;

/// More permutations than these are drawn, not visited: 12!.
const MOST: u64 = 479_001_600;
/// How many are drawn where there are too many: pieces, and permutations in each.
const DRAWN: [u64; 2] = [200, 1000];
/// Values of T closer than this, times the product of the tables' deviations, are equal: what differs is rounding.
const TIE: f64 = 1e-9;
/// Features at the end whose terms with all others are summed once for every place that each may take.
const LAST: usize = 4;
/// Tables that are tested at once.
pub const TABLES: usize = 4;

/// A number for each pair of distinct features.
#[derive(Clone, Debug, PartialEq)]
pub struct PairTable {
    features: usize,
    /// `[feature, feature]`, symmetric, 0 on the diagonal.
    values: Vec<f64>,
}

impl PairTable {
    /// `value(i, j)` for all i < j of `features`.
    pub fn new(features: usize, mut value: impl FnMut(usize, usize) -> f64) -> Self {
        let mut values = vec![0.0; features * features];
        for i in 0..features {
            for j in i + 1..features {
                values[i * features + j] = value(i, j);
                values[j * features + i] = values[i * features + j];
            }
        }
        Self { features, values }
    }

    /// Less the mean over pairs, which no permutation changes; and the root of the sum of squares of that.
    fn centered(&self) -> (Self, f64) {
        let n = self.features;
        let mean = self.values.iter().sum::<f64>() / (n * n.saturating_sub(1)).max(1) as f64;
        let table = Self::new(n, |i, j| self.values[i * n + j] - mean);
        let norm = (table.values.iter().map(|x| x * x).sum::<f64>() / 2.0).sqrt();
        (table, norm)
    }
}

/// What permuting the labels says of one table x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelPermutation {
    /// Two-sided, as the module says.
    pub p: f64,
    /// How many permutations it is made of.
    pub permutations: u64,
    /// Of `p`, where permutations were drawn; `None` where all were visited.
    pub standard_error: Option<f64>,
}

/// Tests each of `x` against `y` under every permutation that keeps features within their `groups` (one number per feature).
///
/// Above 12! permutations (of 13 features in one group, say) 200,000 are drawn from `seed` instead.
///
/// # Panics
/// If the tables or `groups` are of different numbers of features.
pub fn label_permutation(
    x: &[PairTable; TABLES],
    y: &PairTable,
    groups: &[usize],
    seed: u64,
) -> [LabelPermutation; TABLES] {
    let n = y.features;
    assert!(x.iter().all(|x| x.features == n) && groups.len() == n, "tables of the same features");
    let (y, norm) = y.centered();
    let x = x.each_ref().map(PairTable::centered);
    let mut search = Search { n, x: vec![[0.0; TABLES]; n * n], y: y.values, groups, bounds: [[0.0; TABLES]; 2] };
    for (cell, terms) in search.x.iter_mut().enumerate() {
        *terms = x.each_ref().map(|(table, _)| table.values[cell]);
    }
    let identity: Vec<usize> = (0..n).collect();
    let observed = search.statistic(&identity);
    for (k, (_, of_x)) in x.iter().enumerate() {
        let tie = TIE * norm * of_x;
        (search.bounds[0][k], search.bounds[1][k]) = (observed[k] - tie, observed[k] + tie);
    }
    match permutations(groups).filter(|number| *number <= MOST) {
        Some(number) => {
            let tails = search.all();
            tails.0.map(|[above, below]| {
                let p = (2.0 * above.min(below) as f64 / number as f64).min(1.0);
                LabelPermutation { p, permutations: number, standard_error: None }
            })
        }
        None => search.drawn(seed),
    }
}

/// How many permutations keep features within their groups; `None` above [`u64::MAX`].
fn permutations(groups: &[usize]) -> Option<u64> {
    let later = |i: usize| groups[i..].iter().filter(|group| **group == groups[i]).count() as u64;
    (0..groups.len()).try_fold(1_u64, |product, i| product.checked_mul(later(i)))
}

/// Per table, how many permutations lie at or above the observed statistic, and at or below.
#[derive(Clone, Copy, Default)]
struct Tails([[u64; 2]; TABLES]);

impl Tails {
    fn plus(mut self, other: Self) -> Self {
        self.0.as_flattened_mut().iter_mut().zip(other.0.as_flattened()).for_each(|(mine, theirs)| *mine += theirs);
        self
    }
}

struct Search<'a> {
    n: usize,
    /// `[feature, feature]`, the tables side by side.
    x: Vec<[f64; TABLES]>,
    y: Vec<f64>,
    groups: &'a [usize],
    /// At or above the first is as large as what was observed, at or below the second as small.
    bounds: [[f64; TABLES]; 2],
}

impl Search<'_> {
    /// T of a whole permutation.
    fn statistic(&self, labels: &[usize]) -> [f64; TABLES] {
        (0..self.n).fold([0.0; TABLES], |sums, i| self.place(sums, &labels[..=i]))
    }

    /// `sums` and the terms of the last of `labels` with those before it.
    #[inline]
    fn place(&self, mut sums: [f64; TABLES], labels: &[usize]) -> [f64; TABLES] {
        let Some((last, before)) = labels.split_last() else { return sums };
        let x = &self.x[before.len() * self.n..][..before.len()];
        let y = &self.y[last * self.n..][..self.n];
        for (x, label) in x.iter().zip(before) {
            let y = y[*label];
            sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x * y);
        }
        sums
    }

    fn count(&self, tails: &mut Tails, sums: [f64; TABLES]) {
        for (k, sum) in sums.into_iter().enumerate() {
            tails.0[k][0] += u64::from(sum >= self.bounds[0][k]);
            tails.0[k][1] += u64::from(sum <= self.bounds[1][k]);
        }
    }

    /// All permutations; the first two choices are shared out among threads.
    fn all(&self) -> Tails {
        let mut beginnings = vec![Vec::new()];
        for _ in 0..self.n.min(2) {
            beginnings = beginnings.iter().flat_map(|labels| self.longer(labels)).collect();
        }
        let count = |labels: &Vec<usize>| {
            let sums = (0..labels.len()).fold([0.0; TABLES], |sums, i| self.place(sums, &labels[..=i]));
            let mut order: Vec<usize> =
                labels.iter().copied().chain((0..self.n).filter(|label| !labels.contains(label))).collect();
            let mut tails = Tails::default();
            self.descend(&mut order, labels.len(), sums, &mut tails);
            tails
        };
        beginnings.par_iter().map(count).reduce(Tails::default, Tails::plus)
    }

    /// `labels` with every label that may come next.
    fn longer(&self, labels: &[usize]) -> Vec<Vec<usize>> {
        let fits = |label: &usize| !labels.contains(label) && self.groups[*label] == self.groups[labels.len()];
        (0..self.n).filter(fits).map(|label| [labels, &[label]].concat()).collect()
    }

    /// Counts every permutation that begins with the first `depth` of `order`; leaves `order` as it was.
    fn descend(&self, order: &mut [usize], depth: usize, sums: [f64; TABLES], tails: &mut Tails) {
        if self.n - depth <= LAST {
            let ends = Ends::new(self, order, depth);
            return ends.descend(&mut [0; LAST], 0, sums, tails);
        }
        for next in depth..self.n {
            if self.groups[order[next]] != self.groups[depth] {
                continue;
            }
            order.swap(depth, next);
            let sums = self.place(sums, &order[..=depth]);
            self.descend(order, depth + 1, sums, tails);
            order.swap(depth, next);
        }
    }
}

/// The last features of a permutation whose beginning is fixed.
struct Ends<'a> {
    search: &'a Search<'a>,
    /// How many features are fixed.
    depth: usize,
    /// The labels that are left.
    labels: [usize; LAST],
    /// Terms with the fixed features, `[feature, label]`; those that groups forbid are never used.
    sums: [[[f64; TABLES]; LAST]; LAST],
}

impl<'a> Ends<'a> {
    fn new(search: &'a Search<'a>, order: &[usize], depth: usize) -> Self {
        let (fixed, left) = order.split_at(depth);
        let mut ends = Self { search, depth, labels: [0; LAST], sums: [[[0.0; TABLES]; LAST]; LAST] };
        ends.labels[..left.len()].copy_from_slice(left);
        for i in 0..left.len() {
            let x = &search.x[(depth + i) * search.n..][..depth];
            for (sums, label) in ends.sums[i].iter_mut().zip(left) {
                let y = &search.y[label * search.n..][..search.n];
                for (x, fixed) in x.iter().zip(fixed) {
                    let y = y[*fixed];
                    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x * y);
                }
            }
        }
        ends
    }

    /// Counts every way to go on from the first `i` of `chosen`, places of labels that are left.
    fn descend(&self, chosen: &mut [usize; LAST], i: usize, sums: [f64; TABLES], tails: &mut Tails) {
        let Search { n, groups, .. } = *self.search;
        if self.depth + i == n {
            return self.search.count(tails, sums);
        }
        for next in 0..n - self.depth {
            let label = self.labels[next];
            if chosen[..i].contains(&next) || groups[label] != groups[self.depth + i] {
                continue;
            }
            let mut sums = sums;
            sums.iter_mut().zip(self.sums[i][next]).for_each(|(sum, term)| *sum += term);
            let x = &self.search.x[(self.depth + i) * n + self.depth..][..i];
            let y = &self.search.y[label * n..][..n];
            for (x, before) in x.iter().zip(chosen.iter()) {
                let y = y[self.labels[*before]];
                sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x * y);
            }
            chosen[i] = next;
            self.descend(chosen, i + 1, sums, tails);
        }
    }
}

impl Search<'_> {
    /// Permutations drawn from `seed`; the observed one counts as one of them.
    fn drawn(&self, seed: u64) -> [LabelPermutation; TABLES] {
        let [pieces, each] = DRAWN;
        let piece = |piece: u64| {
            let mut rng = random::stream(seed, "feature labels permuted", piece);
            let mut tails = Tails::default();
            for _ in 0..each {
                let mut labels: Vec<usize> = (0..self.n).collect();
                let groups: std::collections::BTreeSet<usize> = self.groups.iter().copied().collect();
                for group in groups {
                    let places: Vec<usize> = (0..self.n).filter(|i| self.groups[*i] == group).collect();
                    let mut shuffled = places.clone();
                    shuffled.shuffle(&mut rng);
                    places.iter().zip(shuffled).for_each(|(place, label)| labels[*place] = label);
                }
                self.count(&mut tails, self.statistic(&labels));
            }
            tails
        };
        let tails = (0..pieces).into_par_iter().map(piece).reduce(Tails::default, Tails::plus);
        let number = pieces * each + 1;
        tails.0.map(|[above, below]| {
            let tail = (above.min(below) + 1) as f64 / number as f64;
            let error = 2.0 * (tail * (1.0 - tail) / number as f64).sqrt();
            LabelPermutation { p: (2.0 * tail).min(1.0), permutations: number, standard_error: Some(error) }
        })
    }
}
