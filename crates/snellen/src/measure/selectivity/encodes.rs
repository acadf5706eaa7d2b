//! Which units encode which concepts: chosen on one half of the images, reported on the other.
//!
//! The first half gives every (unit, concept) cell of a site a p-value, adjusted over all of them; the second gives its effect
//! and interval, which the choice has not seen. Both are had of the concept alone, and beyond the other concepts that the unit needs
//! (`partial.rs`). A unit encodes a concept when beyond the others its q is small on the first half and its effect large on the
//! second, with one sign on both. The same is done with labels permuted within strata: how many units would be said to encode
//! something if none did.

use crate::measure::auroc::{EXACT_BELOW, Flag, Plan, effect};
use crate::measure::fdr::benjamini_hochberg;
use crate::measure::information::Information;
use crate::measure::lift::{Lift, Lifts};
use crate::measure::partial::{Fit, PartialPlan};
use crate::measure::ranks::Ranks;
use crate::measure::{Confidence, Design, Matrix};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;

/// Units of a block: as many as share a cache line of the matrix.
const BLOCK: usize = 16;

/// What counts as encoding.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// The adjusted p that the choosing half may not exceed, in (0, 1].
    pub q: f64,
    /// The absolute effect that the held-out half must reach, in [0, 1].
    pub min_effect: f64,
    /// Of the intervals.
    pub confidence: Confidence,
    /// Of the halves and of the null.
    pub seed: u64,
}

impl Criterion {
    /// As exams have it: q of at most .05, an effect of .3, intervals of 95 %.
    pub fn standard(seed: u64) -> Result<Self> {
        Ok(Self { q: 0.05, min_effect: 0.3, confidence: Confidence::new(0.95)?, seed })
    }
}

/// One unit against one concept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitConcept {
    /// The column of the matrix.
    pub unit: u32,
    /// Index into [`Design::concepts`].
    pub concept: u32,
    /// From the half that chooses; `None` for flagged units, and where none of its strata has both classes.
    pub chosen: Option<Chosen>,
    /// From the half held out; `None` likewise.
    pub held_out: Option<HeldOut>,
    /// Beyond the other concepts that the unit needs; `None` likewise, and where these determine the concept.
    pub partial: Option<Partial>,
    /// Whether the unit encodes the concept.
    pub encodes: bool,
    /// Among the images that the unit likes best, of both halves; `None` for flagged units, and where chance has no choice.
    pub lift: Option<Lift>,
    /// The normalised mutual information, of both halves; `None` likewise.
    pub mi: Option<f64>,
}

/// What the choosing half says of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// Two-sided p of the stratified rank test.
    pub p: f64,
    /// p adjusted over the cells of the site.
    pub q: f64,
}

/// What the held-out half says of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldOut {
    /// In [0, 1].
    pub auroc: f64,
    /// 2 AUROC - 1, in [-1, 1].
    pub effect: f64,
    /// Interval of the effect.
    pub effect_lo: f64,
    /// Its upper end.
    pub effect_hi: f64,
}

/// What a concept moves a unit by beyond the other concepts that the unit needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Partial {
    /// Two-sided, from the choosing half.
    pub p: f64,
    /// p adjusted over the cells of the site.
    pub q: f64,
    /// From the half held out, on the scale of the effect: of a concept that the unit needs alone it is the effect.
    pub effect: f64,
    /// Interval of the effect.
    pub effect_lo: f64,
    /// Its upper end.
    pub effect_hi: f64,
}

/// How many units of a site encode what, beside how many would by chance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Columns of the matrix.
    pub units: usize,
    /// Units without a score, and why.
    pub flagged: Vec<(usize, Flag)>,
    /// With the true labels.
    pub encoding: Counts,
    /// With labels permuted within strata.
    pub null: Counts,
}

/// Numbers of units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Per concept, units that encode it.
    pub per_concept: Vec<usize>,
    /// Units that encode at least one concept.
    pub any: usize,
}

/// Every unit of a site against every concept.
#[derive(Clone, Debug, PartialEq)]
pub struct Encodings {
    /// `[unit, concept]`, all of them.
    pub cells: Vec<UnitConcept>,
    /// Their counts.
    pub summary: Summary,
}

/// A cell with the true labels, before it is adjusted. What is missing is no number.
#[derive(Clone, Copy)]
struct Scored {
    p: f64,
    auroc: f64,
    interval: [f64; 2],
    beyond: Beyond,
    lift: Option<Lift>,
    mi: Option<f64>,
}

/// What is known of a cell beyond the other concepts.
#[derive(Clone, Copy)]
struct Beyond {
    p: f64,
    chosen: f64,
    effect: f64,
    interval: [f64; 2],
}

/// A cell with permuted labels: what decides.
#[derive(Clone, Copy)]
struct ByChance {
    p: f64,
    chosen: f32,
    effect: f32,
}

const NO: f64 = f64::NAN;

impl Beyond {
    const NONE: Self = Self { p: NO, chosen: NO, effect: NO, interval: [NO; 2] };
}

impl Scored {
    const NONE: Self = Self { p: NO, auroc: NO, interval: [NO; 2], beyond: Beyond::NONE, lift: None, mi: None };
}

impl ByChance {
    const NONE: Self = Self { p: NO, chosen: f32::NAN, effect: f32::NAN };
}

/// What `of` is, where it is a number.
fn some(of: f64) -> Option<f64> {
    (!of.is_nan()).then_some(of)
}

/// Both halves, ready for one unit after another.
struct Halves {
    plans: [Plan; 2],
    /// With the true labels and with permuted ones, of either half.
    partial: [[PartialPlan; 2]; 2],
    concepts: usize,
    /// Of intervals; none are made where there is none.
    confidence: Option<Confidence>,
}

/// What tables hold of a cell beside what decides: lift and information.
struct Described<'a> {
    lifts: Lifts<'a>,
    information: Information<'a>,
}

/// Which units of `matrix` encode which concepts of `design`. The same bytes at any number of threads.
///
/// # Errors
/// When there are no images or the two have different ones, or the criterion is out of range.
pub fn encodes(matrix: &Matrix, design: &Design, criterion: &Criterion) -> Result<Encodings> {
    encodes_in_blocks([Ok(matrix)], design, criterion)
}

/// As [`encodes`], of a site whose matrix is cut into `blocks` of neighbouring units, so that only one of them needs to be in
/// memory: the same bytes however it is cut.
///
/// # Errors
/// As [`encodes`], and the first error among the blocks.
pub fn encodes_in_blocks<M: Borrow<Matrix>>(
    blocks: impl IntoIterator<Item = Result<M>>,
    design: &Design,
    criterion: &Criterion,
) -> Result<Encodings> {
    let mut scoring = Scoring::new(design, criterion, true)?;
    for block in blocks {
        scoring.add(block?.borrow())?;
    }
    scoring.finish()
}

/// The units of a site so far, before anything is adjusted over all of them.
pub(crate) struct Scoring<'a> {
    design: &'a Design,
    criterion: &'a Criterion,
    halves: Halves,
    /// `None` where there are to be no tables.
    described: Option<Described<'a>>,
    /// `[unit, concept]`.
    scored: Vec<Scored>,
    /// `[unit, concept]`.
    by_chance: Vec<ByChance>,
    flagged: Vec<(usize, Flag)>,
    units: usize,
}

impl<'a> Scoring<'a> {
    /// Of no units yet. Without `tables` cells have neither intervals nor lift nor information, which take as long as what decides.
    ///
    /// # Errors
    /// When the criterion is out of range.
    pub(crate) fn new(design: &'a Design, criterion: &'a Criterion, tables: bool) -> Result<Self> {
        criterion.check()?;
        let described = || Described { lifts: Lifts::new(design), information: Information::new(design) };
        Ok(Self {
            design,
            criterion,
            halves: Halves::new(design, criterion, tables),
            described: tables.then(described),
            scored: Vec::new(),
            by_chance: Vec::new(),
            flagged: Vec::new(),
            units: 0,
        })
    }

    /// Adds the units of `matrix` behind those that were added.
    ///
    /// # Errors
    /// When it has no images, or others than the design.
    pub(crate) fn add(&mut self, matrix: &Matrix) -> Result<()> {
        check_images(matrix, self.design)?;
        let first = self.scored.len();
        self.scored.resize(first + matrix.units() * self.halves.concepts, Scored::NONE);
        self.by_chance.resize(self.scored.len(), ByChance::NONE);
        let (scored, by_chance) = (&mut self.scored[first..], &mut self.by_chance[first..]);
        let odd = score(matrix, &self.halves, self.described.as_ref(), scored, by_chance);
        self.flagged.extend(odd.into_iter().map(|(unit, flag)| (self.units + unit, flag)));
        self.units += matrix.units();
        Ok(())
    }

    /// All cells, adjusted.
    ///
    /// # Errors
    /// When a p is none.
    pub(crate) fn finish(self) -> Result<Encodings> {
        let Self { criterion, scored, by_chance, flagged, units, halves: Halves { concepts, .. }, .. } = self;
        let adjusted = |p: &mut dyn Iterator<Item = f64>| benjamini_hochberg(&p.map(some).collect::<Vec<_>>());
        let q = adjusted(&mut scored.iter().map(|cell| cell.p))?;
        let partial_q = adjusted(&mut scored.iter().map(|cell| cell.beyond.p))?;
        let null_q = adjusted(&mut by_chance.iter().map(|cell| cell.p))?;
        let null = |index: usize| {
            let ByChance { chosen, effect, .. } = by_chance[index];
            criterion.met([f64::from(chosen), f64::from(effect)], null_q[index])
        };
        let null = Counts::of((0..scored.len()).map(null), concepts);
        drop(by_chance);
        let cell = |index: usize| {
            let Scored { p, auroc, interval, beyond, lift, mi } = scored[index];
            let [effect_lo, effect_hi] = interval.map(effect);
            let partial = some(beyond.p).zip(some(beyond.effect)).zip(partial_q[index]);
            UnitConcept {
                unit: (index / concepts) as u32,
                concept: (index % concepts) as u32,
                chosen: some(p).zip(q[index]).map(|(p, q)| Chosen { p, q }),
                held_out: some(auroc).map(|auroc| HeldOut { auroc, effect: effect(auroc), effect_lo, effect_hi }),
                partial: partial.map(|((p, effect), q)| {
                    let [effect_lo, effect_hi] = beyond.interval;
                    Partial { p, q, effect, effect_lo, effect_hi }
                }),
                encodes: criterion.met([beyond.chosen, beyond.effect], partial_q[index]),
                lift,
                mi,
            }
        };
        let cells: Vec<UnitConcept> = (0..units * concepts).into_par_iter().map(cell).collect();
        let encoding = Counts::of(cells.iter().map(|cell| cell.encodes), concepts);
        Ok(Encodings { cells, summary: Summary { units, flagged, encoding, null } })
    }
}

fn check_images(matrix: &Matrix, design: &Design) -> Result<()> {
    if matrix.images() != design.images() {
        let expected = format!("{} images, as the labels have", design.images());
        return Err(Error::mismatch("activations", expected, matrix.images()));
    }
    if design.images() == 0 {
        return Err(Error::mismatch("activations", "at least one image", "none"));
    }
    Ok(())
}

/// Fills `scored` and `by_chance`, `[unit, concept]`, and names the units that have no score.
fn score(
    matrix: &Matrix,
    halves: &Halves,
    described: Option<&Described<'_>>,
    scored: &mut [Scored],
    by_chance: &mut [ByChance],
) -> Vec<(usize, Flag)> {
    let concepts = halves.concepts;
    let block = |(b, (cells, null)): (usize, (&mut [Scored], &mut [ByChance]))| {
        let units = b * BLOCK..(b * BLOCK + cells.len() / concepts);
        let mut columns = Vec::new();
        matrix.columns(units.clone(), &mut columns);
        let mut desk = Desk { ranks: halves.plans.each_ref().map(Plan::ranks), ..Desk::default() };
        let mut flagged = Vec::new();
        let rows = cells.chunks_mut(concepts).zip(null.chunks_mut(concepts));
        for ((unit, values), (cells, null)) in units.zip(columns.chunks(matrix.images())).zip(rows) {
            if let Some(flag) = Flag::of(values) {
                flagged.push((unit, flag));
                continue;
            }
            halves.rank(values, &mut desk);
            halves.score(cells, null, &mut desk);
            let Some(Described { lifts, information }) = described else { continue };
            let of_all = lifts.of(&Lifts::top(values)).into_iter().zip(information.of(values));
            cells.iter_mut().zip(of_all).for_each(|(cell, (lift, mi))| (cell.lift, cell.mi) = (lift, mi));
        }
        flagged
    };
    let blocks = scored.par_chunks_mut(BLOCK * concepts).zip(by_chance.par_chunks_mut(BLOCK * concepts));
    blocks.enumerate().map(block).collect::<Vec<_>>().concat()
}

/// What one unit after another is worked on with.
#[derive(Default)]
struct Desk {
    ranks: [Ranks; 2],
    scores: [Vec<f64>; 2],
    fit: Fit,
}

impl Halves {
    fn new(design: &Design, criterion: &Criterion, intervals: bool) -> Self {
        let concepts = design.concepts().len();
        let permuted = design.permuted(criterion.seed);
        let both = [design, &permuted];
        let labels: Vec<&[bool]> =
            both.into_iter().flat_map(|design| (0..concepts).map(|c| design.present(c))).collect();
        let halves = design.halves(criterion.seed);
        let plan = |images: &Vec<usize>| Plan::new(design.strata(), images, &labels, EXACT_BELOW);
        let partial = |images: &Vec<usize>| both.map(|design| PartialPlan::new(design, images, criterion.confidence));
        Self {
            plans: halves.each_ref().map(plan),
            partial: halves.each_ref().map(partial),
            concepts,
            confidence: intervals.then_some(criterion.confidence),
        }
    }

    /// The interval of the held-out AUROC of `label`, where intervals are made.
    fn interval(&self, label: usize, ranks: &Ranks) -> Option<[f64; 2]> {
        self.plans[1].interval(label, ranks, self.confidence?)
    }

    fn rank(&self, values: &[f32], desk: &mut Desk) {
        for half in 0..2 {
            self.plans[half].rank(values, &mut desk.ranks[half]);
            // The strata of both designs are the same.
            self.partial[half][0].scores(&desk.ranks[half], &mut desk.scores[half]);
        }
    }

    /// Of a unit whose ranks lie on the `desk`.
    fn score(&self, cells: &mut [Scored], null: &mut [ByChance], desk: &mut Desk) {
        let [first, second] = &mut desk.ranks;
        for (c, cell) in cells.iter_mut().enumerate() {
            cell.p = self.plans[0].p(c, first).unwrap_or(NO);
            cell.auroc = self.plans[1].auroc(c, second).unwrap_or(NO);
            cell.interval = self.interval(c, second).unwrap_or([NO; 2]);
        }
        for (c, beyond) in self.beyond(0, desk).into_iter().enumerate() {
            cells[c].beyond = beyond;
        }
        for (null, Beyond { p, chosen, effect, .. }) in null.iter_mut().zip(self.beyond(1, desk)) {
            *null = ByChance { p, chosen: chosen as f32, effect: effect as f32 };
        }
    }

    /// Of every concept, with the true labels (`set` 0) or the permuted ones, beyond the others that the unit needs.
    fn beyond(&self, set: usize, desk: &mut Desk) -> Vec<Beyond> {
        let Desk { ranks: [first, second], scores, fit } = desk;
        let label = |c: usize| set * self.concepts + c;
        let partial = [&self.partial[0][set], &self.partial[1][set]];
        let needed = partial[0].needed(&scores[0], |c| self.plans[0].p(label(c), first), fit);
        let fits = if needed.is_empty() {
            Vec::new()
        } else {
            let [chosen, held_out] = [0, 1].map(|half| partial[half].coefficients(&scores[half], &needed, fit));
            chosen.into_iter().zip(held_out).collect()
        };
        let alone = |c: usize, first: &mut Ranks| {
            let p = self.plans[0].p(label(c), first)?;
            let chosen = effect(self.plans[0].auroc(label(c), first)?);
            let held_out = effect(self.plans[1].auroc(label(c), second)?);
            let interval = if set == 0 { self.interval(c, second) } else { None };
            Some(Beyond { p, chosen, effect: held_out, interval: interval.unwrap_or([NO; 2]).map(effect) })
        };
        let of = |c: usize| {
            if needed.iter().all(|other| *other == c) {
                return alone(c, first);
            }
            let (chosen, held_out) = (fits[c].0?, fits[c].1?);
            let interval = if self.confidence.is_some() { partial[1].interval(&held_out) } else { [NO; 2] };
            Some(Beyond { p: chosen.p(), chosen: chosen.estimate, effect: held_out.estimate, interval })
        };
        (0..self.concepts).map(of).map(|of| of.unwrap_or(Beyond::NONE)).collect()
    }
}

impl Criterion {
    fn check(&self) -> Result<()> {
        if !(self.q > 0.0 && self.q <= 1.0) {
            return Err(Error::mismatch("criterion: q", "a number above 0, at most 1", self.q));
        }
        if !(0.0..=1.0).contains(&self.min_effect) {
            return Err(Error::mismatch("criterion: min_effect", "a number from 0 to 1", self.min_effect));
        }
        Ok(())
    }

    /// Whether the effects on both halves and the adjusted p are those of an encoded concept.
    fn met(&self, [chosen, held_out]: [f64; 2], q: Option<f64>) -> bool {
        q.is_some_and(|q| q <= self.q) && held_out.abs() >= self.min_effect && held_out * chosen > 0.0
    }
}

impl Counts {
    fn of(encodes: impl Iterator<Item = bool>, concepts: usize) -> Self {
        let mut counts = Self { per_concept: vec![0; concepts], any: 0 };
        let mut any = false;
        for (index, encodes) in encodes.enumerate() {
            let concept = index % concepts;
            any = encodes || (any && concept > 0);
            counts.per_concept[concept] += usize::from(encodes);
            counts.any += usize::from(any && concept + 1 == concepts);
        }
        counts
    }
}
