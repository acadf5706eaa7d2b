//! Stratified AUROC: how well a unit's activation tells images with a concept from images without, among images with equally
//! many objects.
//!
//! U_s is the Mann-Whitney statistic of stratum s (pairs in which the image with the concept is higher; ties count half), and
//! AUROC = sum_s U_s / sum_s n+_s n-_s over the strata with both classes. The effect 2 AUROC - 1 is Somers' D of the activation
//! on the concept, in [-1, 1]. The p-value is that of a stratified Mann-Whitney test: exact within strata that have fewer
//! than [`EXACT_BELOW`] images of one class, normal with tie correction in the others. The interval is Newcombe's (2006, method 5) on
//! strata, widened where the data vary more than it supposes.

use crate::measure::auroc_interval::Spread;
use crate::measure::design::by_stratum;
use crate::measure::rank_test::{Classes, RankTest};
use crate::measure::ranks::Ranks;
use crate::measure::{Confidence, Design, Matrix};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// A stratum with fewer images than this of one class has its exact permutation distribution.
pub const EXACT_BELOW: usize = 10;
/// Units of a block: as many as share a cache line of the matrix.
const BLOCK: usize = 16;

/// One unit against one concept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Auroc {
    /// In [0, 1]; 1/2 says nothing.
    pub auroc: f64,
    /// Interval of the AUROC, in [0, 1].
    pub lo: f64,
    /// Its upper end.
    pub hi: f64,
    /// Two-sided, in [0, 1].
    pub p: f64,
}

impl Auroc {
    /// 2 AUROC - 1, in [-1, 1]: positive where the concept raises the activation.
    pub fn effect(&self) -> f64 {
        effect(self.auroc)
    }
}

/// 2 AUROC - 1: Somers' D.
pub fn effect(auroc: f64) -> f64 {
    2.0 * auroc - 1.0
}

/// Why a unit has no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// The same value on every image.
    Constant,
    /// NaN or infinite.
    NonFinite {
        /// The first image where it is.
        row: usize,
    },
}

impl Flag {
    /// What is wrong with `values`, one per image, if anything.
    pub fn of(values: &[f32]) -> Option<Self> {
        if let Some(row) = values.iter().position(|value| !value.is_finite()) {
            return Some(Self::NonFinite { row });
        }
        let same = |pair: &[f32]| pair[0].partial_cmp(&pair[1]) == Some(Ordering::Equal);
        values.windows(2).all(same).then_some(Self::Constant)
    }
}

/// The AUROC of one unit's `values` for the images where `present`, compared within `strata`; `None` where no stratum has both
/// classes.
///
/// `exact_below` is [`EXACT_BELOW`] in every number of the report; 0 makes the test all normal.
///
/// # Errors
/// When lengths disagree or a value is not finite.
pub fn auroc(
    values: &[f32],
    present: &[bool],
    strata: &[usize],
    exact_below: usize,
    confidence: Confidence,
) -> Result<Option<Auroc>> {
    for (place, length) in [("concept", present.len()), ("strata", strata.len())] {
        if length != values.len() {
            return Err(Error::mismatch(format!("auroc: {place}"), format!("{} images", values.len()), length));
        }
    }
    if let Some(row) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::mismatch(format!("auroc: image {row}"), "a finite activation", values[row]));
    }
    let images: Vec<usize> = (0..values.len()).collect();
    let plan = Plan::new(strata, &images, &[present], exact_below);
    let mut ranks = plan.ranks();
    plan.rank(values, &mut ranks);
    Ok(plan.auroc(0, &ranks).and_then(|auroc| {
        let [lo, hi] = plan.interval(0, &ranks, confidence)?;
        Some(Auroc { auroc, lo, hi, p: plan.p(0, &mut ranks)? })
    }))
}

/// The AUROC alone of every unit of `matrix` for every concept of `design`, `[unit, concept]`: a rank for each image and a sum
/// for each concept. `None` for units that are constant or not finite, and where no stratum has both classes.
///
/// # Errors
/// When the two have different images.
pub fn aurocs(matrix: &Matrix, design: &Design) -> Result<Vec<Option<f64>>> {
    if matrix.images() != design.images() {
        let expected = format!("{} images, as the labels have", design.images());
        return Err(Error::mismatch("activations", expected, matrix.images()));
    }
    let labels: Vec<&[bool]> = (0..design.concepts().len()).map(|c| design.present(c)).collect();
    let images: Vec<usize> = (0..design.images()).collect();
    let plan = Plan::new(design.strata(), &images, &labels, 0);
    let mut found = vec![None; matrix.units() * labels.len()];
    found.par_chunks_mut(BLOCK * labels.len()).enumerate().for_each(|(block, found)| {
        let first = block * BLOCK;
        let (mut columns, mut ranks) = (Vec::new(), plan.ranks());
        matrix.columns(first..first + found.len() / labels.len(), &mut columns);
        for (values, found) in columns.chunks(matrix.images()).zip(found.chunks_mut(labels.len())) {
            if Flag::of(values).is_none() {
                plan.rank(values, &mut ranks);
                found.iter_mut().enumerate().for_each(|(c, found)| *found = plan.auroc(c, &ranks));
            }
        }
    });
    Ok(found)
}

/// What all units share: the images in strata, and each concept's share of them.
pub(in crate::measure) struct Plan {
    /// Images, stratum after stratum.
    order: Vec<u32>,
    /// Where each stratum begins in `order`, and where the last ends.
    bounds: Vec<usize>,
    /// `None` where no stratum has both classes.
    concepts: Vec<Option<Columns>>,
}

/// The part of a plan that belongs to one concept.
struct Columns {
    /// Whether each place in `order` holds the concept.
    held: Vec<bool>,
    /// Places in `order` that hold the concept, in strata with both classes.
    positives: Vec<u32>,
    /// Twice the least rank sum: sum of n+ (n+ + 1).
    least: u64,
    /// sum n+ n-.
    pairs: usize,
    spread: Spread,
    test: RankTest,
}

impl Plan {
    /// Of the `images` alone, indices into `strata` and into each of `labels`.
    pub(in crate::measure) fn new(strata: &[usize], images: &[usize], labels: &[&[bool]], exact_below: usize) -> Self {
        let groups = by_stratum(strata, images.iter().copied());
        let mut bounds = vec![0];
        bounds.extend(groups.iter().scan(0, |end, group| {
            *end += group.len();
            Some(*end)
        }));
        let order: Vec<u32> = groups.iter().flatten().map(|&image| image as u32).collect();
        let concepts = labels.iter().map(|present| Columns::new(&order, &bounds, present, exact_below)).collect();
        Self { order, bounds, concepts }
    }

    /// Room for the ranks of one unit after another.
    pub(in crate::measure) fn ranks(&self) -> Ranks {
        Ranks::new(self.bounds.len() - 1)
    }

    /// Ranks a unit, given its finite `values` on all images.
    pub(in crate::measure) fn rank(&self, values: &[f32], ranks: &mut Ranks) {
        ranks.assign(values, &self.order, &self.bounds);
    }

    /// In [0, 1].
    pub(in crate::measure) fn auroc(&self, concept: usize, ranks: &Ranks) -> Option<f64> {
        Some(self.concepts[concept].as_ref()?.auroc(ranks))
    }

    /// Two-sided.
    pub(in crate::measure) fn p(&self, concept: usize, ranks: &mut Ranks) -> Option<f64> {
        let columns = self.concepts[concept].as_ref()?;
        Some(columns.test.p(columns.doubled_u(ranks), ranks))
    }

    /// The interval of the AUROC, in [0, 1].
    pub(in crate::measure) fn interval(
        &self,
        concept: usize,
        ranks: &Ranks,
        confidence: Confidence,
    ) -> Option<[f64; 2]> {
        let columns = self.concepts[concept].as_ref()?;
        Some(columns.spread.interval(columns.auroc(ranks), &columns.held, ranks, confidence))
    }
}

impl Columns {
    fn new(order: &[u32], bounds: &[usize], present: &[bool], exact_below: usize) -> Option<Self> {
        let mut positives = Vec::new();
        let mut strata = Vec::new();
        for (stratum, window) in bounds.windows(2).enumerate() {
            let before = positives.len();
            positives.extend((window[0]..window[1]).filter(|&k| present[order[k] as usize]).map(|k| k as u32));
            let held = positives.len() - before;
            let classes = Classes { stratum, positives: held, negatives: window[1] - window[0] - held };
            if classes.pairs() > 0 { strata.push(classes) } else { positives.truncate(before) }
        }
        if strata.is_empty() {
            return None;
        }
        Some(Self {
            held: order.iter().map(|&image| present[image as usize]).collect(),
            positives,
            least: strata.iter().map(|classes| (classes.positives * (classes.positives + 1)) as u64).sum(),
            pairs: strata.iter().map(Classes::pairs).sum(),
            spread: Spread::new(&strata, bounds),
            test: RankTest::new(strata, exact_below),
        })
    }

    fn auroc(&self, ranks: &Ranks) -> f64 {
        self.doubled_u(ranks) as f64 / (2 * self.pairs) as f64
    }

    fn doubled_u(&self, ranks: &Ranks) -> usize {
        let sum: u64 = self.positives.iter().map(|&place| u64::from(ranks.doubled[place as usize])).sum();
        (sum - self.least) as usize
    }
}
