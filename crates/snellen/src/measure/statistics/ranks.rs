//! The values of one unit, ranked within each stratum: one sort that serves every concept.

use crate::measure::permutation::{Subsets, tied};

/// Ranks of one unit, in the order of the plan: stratum after stratum.
#[derive(Default)]
pub(in crate::measure) struct Ranks {
    /// Twice the midrank of each value in its stratum, 2 to 2n: midranks are halves, and doubled they stay whole.
    pub doubled: Vec<u32>,
    /// The places of each stratum, smallest value first.
    pub sorted: Vec<u32>,
    /// Per stratum.
    pub strata: Vec<StratumRanks>,
    keys: Vec<u64>,
}

/// How the values of one stratum tie.
#[derive(Default)]
pub(in crate::measure) struct StratumRanks {
    /// Sizes of the groups of equal values, smallest value first.
    pub groups: Vec<u32>,
    /// Sum over groups of t^3 - t: 0 without ties.
    pub ties: f64,
    subsets: Subsets,
    /// The largest subset in `subsets`; 0 where they are not computed yet.
    largest: usize,
}

impl Ranks {
    pub(in crate::measure) fn new(strata: usize) -> Self {
        let strata = std::iter::repeat_with(StratumRanks::default).take(strata).collect();
        Self { doubled: Vec::new(), sorted: Vec::new(), strata, keys: Vec::new() }
    }

    /// Ranks `values[order[k]]` within the strata `order[bounds[s]..bounds[s + 1]]`.
    pub(in crate::measure) fn assign(&mut self, values: &[f32], order: &[u32], bounds: &[usize]) {
        self.doubled.resize(order.len(), 0);
        self.sorted.clear();
        for (stratum, window) in self.strata.iter_mut().zip(bounds.windows(2)) {
            self.keys.clear();
            let places = window[0]..window[1];
            self.keys.extend(places.map(|k| u64::from(ascending(values[order[k] as usize])) << 32 | k as u64));
            self.keys.sort_unstable();
            self.sorted.extend(self.keys.iter().map(|&key| key as u32));
            stratum.groups.clear();
            (stratum.ties, stratum.largest) = (0.0, 0);
            let mut before = 0;
            for group in self.keys.chunk_by(|a, b| a >> 32 == b >> 32) {
                let t = group.len() as u32;
                group.iter().for_each(|&key| self.doubled[key as u32 as usize] = 2 * before + t + 1);
                stratum.groups.push(t);
                let t = f64::from(t);
                stratum.ties += t * t * t - t;
                before += group.len() as u32;
            }
        }
    }
}

impl StratumRanks {
    /// The permutation distribution of the doubled U of every subset of up to `largest` images, computed once per unit.
    pub(in crate::measure) fn subsets(&mut self, largest: usize) -> &Subsets {
        if self.largest < largest {
            tied(&self.groups, largest, &mut self.subsets);
            self.largest = largest;
        }
        &self.subsets
    }
}

/// The bits of a finite `value`, so that they sort like the values, and both zeros are one.
pub(in crate::measure) fn ascending(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// The value whose [`ascending`] bits these are.
pub(in crate::measure) fn of_ascending(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}
