//! How the values of one unit lie, in bins of fixed bounds: what is kept of them where they are too many.
//!
//! A bin holds the values that agree in the sign, the exponent and the leading bits of the mantissa: the leading bits of the
//! whole number whose order is that of the floats ([`ascending`]). Of every bin of every stratum that is not empty there is how
//! many images it holds, how many of these hold each concept, and its smallest and largest value. All of it are counts and
//! extremes, so bins of parts, merged in any order, are the bins of the whole.

use crate::measure::rank_test::Classes;
use crate::measure::ranks::ascending;

/// One unit against one concept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// In [0, 1]; 1/2 says nothing.
    pub auroc: f64,
    /// How far `auroc` can be from that of the values themselves; 0 where it is exact.
    pub bound: f64,
    /// The standard deviation of `auroc` when labels are permuted within strata (around 1/2); 0 where values differ in no
    /// stratum. A normal test from it is
    /// that of [`measure::auroc`](crate::measure::auroc::auroc) with `exact_below` 0.
    pub null_sd: f64,
}

/// The bins of one unit that are not empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Bins {
    /// By stratum, then by value.
    bins: Vec<Bin>,
    /// Per slot, the images in its bin and, per concept, those that hold it.
    counts: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Bin {
    stratum: u32,
    /// The smallest value, by its [`ascending`] bits.
    low: u32,
    /// The largest.
    high: u32,
    slot: u32,
}

/// The rows of some images.
pub(super) struct Rows<'a> {
    /// Per stratum, in increasing order, its rows.
    pub strata: Vec<(u32, Vec<u32>)>,
    /// Per row, the concepts that its image holds.
    pub held: Vec<&'a [u32]>,
}

/// What all bins of a measure have in common.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// Trailing bits that a bin leaves open: 0 to 23.
    pub shift: u32,
    /// Number of concepts.
    pub concepts: usize,
}

/// One concept, summed over strata with both classes.
#[derive(Clone, Copy, Default)]
struct Tally {
    doubled_u: u64,
    /// Pairs of unequal values, or values not known to be equal, that share a bin.
    unresolved: u64,
    pairs: u64,
    variance: f64,
}

/// One concept in one stratum, so far.
#[derive(Clone, Copy, Default)]
struct Part {
    positives: u64,
    doubled_u: u64,
    unresolved: u64,
}

impl Bins {
    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.bins.capacity() * size_of::<Bin>() + self.counts.capacity() * size_of::<u32>()
    }

    /// Counts the finite ones of `values`, one for each of `rows`; `keys` is scratch.
    pub(super) fn add(&mut self, values: &[f32], rows: &Rows<'_>, cut: Cut, keys: &mut Vec<u64>) {
        let old = std::mem::take(&mut self.bins);
        let mut merged = Vec::with_capacity(old.len() + old.len() / 8);
        if old.is_empty() && cut.shift == 0 {
            // Most values will have a bin of their own.
            self.counts.reserve(values.len() * cut.stride());
        }
        let mut old = old.into_iter().peekable();
        for (stratum, places) in &rows.strata {
            keys.clear();
            let finite = places.iter().filter(|&&row| values[row as usize].is_finite());
            keys.extend(finite.map(|&row| u64::from(ascending(values[row as usize])) << 32 | u64::from(row)));
            keys.sort_unstable();
            for group in keys.chunk_by(|a, b| a >> 32 >> cut.shift == b >> 32 >> cut.shift) {
                let [low, high] = [group[0], group[group.len() - 1]].map(|key| (key >> 32) as u32);
                let bin = self.enter(Bin { stratum: *stratum, low, high, slot: 0 }, &mut old, &mut merged, cut);
                let counts = &mut self.counts[bin.slot as usize * cut.stride()..][..cut.stride()];
                counts[0] += group.len() as u32;
                for &key in group {
                    rows.held[key as u32 as usize].iter().for_each(|&concept| counts[1 + concept as usize] += 1);
                }
            }
        }
        merged.extend(old);
        merged.shrink_to_fit();
        self.bins = merged;
    }

    /// Adds the counts of `other`.
    pub(super) fn merge(&mut self, other: &Self, cut: Cut) {
        let old = std::mem::take(&mut self.bins);
        let mut merged = Vec::with_capacity(old.len().max(other.bins.len()));
        let mut old = old.into_iter().peekable();
        for bin in &other.bins {
            let slot = self.enter(*bin, &mut old, &mut merged, cut).slot;
            let counts = &mut self.counts[slot as usize * cut.stride()..][..cut.stride()];
            let theirs = &other.counts[bin.slot as usize * cut.stride()..][..cut.stride()];
            counts.iter_mut().zip(theirs).for_each(|(count, theirs)| *count += theirs);
        }
        merged.extend(old);
        merged.shrink_to_fit();
        self.bins = merged;
    }

    /// Moves the bins before `new` from `old` to `merged`, and after them that of `new`, with a slot of its own if there is none
    /// yet. New bins come in their order.
    fn enter(
        &mut self,
        new: Bin,
        old: &mut std::iter::Peekable<std::vec::IntoIter<Bin>>,
        merged: &mut Vec<Bin>,
        cut: Cut,
    ) -> Bin {
        while let Some(bin) = old.next_if(|bin| bin.place(cut) < new.place(cut)) {
            merged.push(bin);
        }
        let bin = match old.next_if(|bin| bin.place(cut) == new.place(cut)) {
            Some(bin) => Bin { low: bin.low.min(new.low), high: bin.high.max(new.high), ..bin },
            None => Bin { slot: self.slot(cut), ..new },
        };
        merged.push(bin);
        bin
    }

    /// A new slot. Room grows by an eighth, for there are many of these.
    fn slot(&mut self, cut: Cut) -> u32 {
        let used = self.counts.len();
        if self.counts.capacity() < used + cut.stride() {
            self.counts.reserve_exact((used / 8).max(16 * cut.stride()));
        }
        self.counts.resize(used + cut.stride(), 0);
        (used / cut.stride()) as u32
    }

    /// Whether all values are one.
    pub(super) fn constant(&self) -> bool {
        let lowest = self.bins.iter().map(|bin| bin.low).min();
        lowest == self.bins.iter().map(|bin| bin.high).max()
    }

    /// Per concept its score, `None` where no stratum has both classes.
    pub(super) fn scores(&self, cut: Cut) -> Vec<Option<Score>> {
        let mut tallies = vec![Tally::default(); cut.concepts];
        for stratum in self.bins.chunk_by(|a, b| a.stratum == b.stratum) {
            self.tally(stratum, cut, &mut tallies);
        }
        tallies.iter().map(|tally| (tally.pairs > 0).then(|| tally.score())).collect()
    }

    fn tally(&self, stratum: &[Bin], cut: Cut, tallies: &mut [Tally]) {
        let mut parts = vec![Part::default(); cut.concepts];
        let (mut below, mut ties) = (0, 0.0);
        for bin in stratum {
            let counts = &self.counts[bin.slot as usize * cut.stride()..][..cut.stride()];
            let images = u64::from(counts[0]);
            for (part, &positives) in parts.iter_mut().zip(&counts[1..]) {
                let positives = u64::from(positives);
                let negatives = images - positives;
                part.doubled_u += positives * (2 * (below - part.positives) + negatives);
                part.unresolved += if bin.low == bin.high { 0 } else { positives * negatives };
                part.positives += positives;
            }
            below += images;
            let t = images as f64;
            ties += t * t * t - t;
        }
        for (tally, part) in tallies.iter_mut().zip(parts) {
            let [positives, negatives] = [part.positives, below - part.positives].map(|count| count as usize);
            let classes = Classes { stratum: 0, positives, negatives };
            if classes.pairs() > 0 {
                tally.doubled_u += part.doubled_u;
                tally.unresolved += part.unresolved;
                tally.pairs += classes.pairs() as u64;
                tally.variance += classes.variance(ties);
            }
        }
    }
}

impl Tally {
    fn score(self) -> Score {
        let doubled_pairs = (2 * self.pairs) as f64;
        Score {
            auroc: self.doubled_u as f64 / doubled_pairs,
            bound: self.unresolved as f64 / doubled_pairs,
            null_sd: self.variance.sqrt() / self.pairs as f64,
        }
    }
}

impl Bin {
    fn place(self, cut: Cut) -> (u32, u32) {
        (self.stratum, self.low >> cut.shift)
    }
}

impl Cut {
    fn stride(self) -> usize {
        self.concepts + 1
    }
}
