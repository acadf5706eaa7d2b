//! Which units encode which concepts: chosen on one half of the images, reported on the other.
//!
//! The first half gives every (unit, concept) cell of a site a p-value, adjusted over all of them; the second gives its effect
//! and interval, which the choice has not seen. A unit encodes a concept when its q is small on the first half and its effect
//! large on the second, with one sign on both. The same is done with labels permuted within strata: how many units would be
//! said to encode something if none did.

use super::auroc::{EXACT_BELOW, Flag, Plan, effect};
use super::fdr::benjamini_hochberg;
use super::information::information;
use super::lift::{Lift, Lifts};
use super::ranks::Ranks;
use super::{Confidence, Design, Matrix};
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

/// How many units of a site encode what, beside how many would by chance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

/// A cell before it is adjusted: p and effect where chosen; AUROC where held out, and with the true labels its interval.
#[derive(Clone, Copy, Default)]
struct Scored {
    p: Option<f64>,
    chosen_effect: f64,
    auroc: Option<f64>,
    interval: Option<[f64; 2]>,
    lift: Option<Lift>,
    mi: Option<f64>,
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
    criterion.check()?;
    let concepts = design.concepts().len();
    let permuted = design.permuted(criterion.seed);
    let labels: Vec<&[bool]> =
        [design, &permuted].into_iter().flat_map(|design| (0..concepts).map(|c| design.present(c))).collect();
    let [first, second] = design.halves(criterion.seed);
    let plan = |images: &[usize]| Plan::new(design.strata(), images, &labels, EXACT_BELOW);
    let plans = [plan(&first), plan(&second)];
    let cell = |label: usize, [first, second]: &mut [Ranks; 2]| Scored {
        p: plans[0].p(label, first),
        chosen_effect: plans[0].auroc(label, first).map_or(0.0, effect),
        auroc: plans[1].auroc(label, second),
        interval: if label < concepts { plans[1].interval(label, second, criterion.confidence) } else { None },
        ..Scored::default()
    };
    let lifts = Lifts::new(design);
    let (mut scored, mut flagged, mut units) = (Vec::new(), Vec::new(), 0);
    for block in blocks {
        let block = block?;
        let matrix = block.borrow();
        check_images(matrix, design)?;
        let first = scored.len();
        scored.resize(first + matrix.units() * labels.len(), Scored::default());
        let odd = score(matrix, &plans, cell, (design, &lifts), &mut scored[first..], labels.len());
        flagged.extend(odd.into_iter().map(|(unit, flag)| (units + unit, flag)));
        units += matrix.units();
    }

    let family = |null: usize| -> Result<Vec<Option<f64>>> {
        let p: Vec<_> = scored
            .chunks(labels.len())
            .flat_map(|row| row[null * concepts..][..concepts].iter().map(|s| s.p))
            .collect();
        benjamini_hochberg(&p)
    };
    let [q, null_q] = [family(0)?, family(1)?];
    let cell = |index: usize| {
        let [unit, concept] = [index / concepts, index % concepts];
        let scored = scored[unit * labels.len() + concept];
        let held_out = scored.auroc.zip(scored.interval);
        let held_out = held_out.map(|(auroc, interval)| {
            let [effect_lo, effect_hi] = interval.map(effect);
            HeldOut { auroc, effect: effect(auroc), effect_lo, effect_hi }
        });
        UnitConcept {
            unit: unit as u32,
            concept: concept as u32,
            chosen: scored.p.zip(q[index]).map(|(p, q)| Chosen { p, q }),
            held_out,
            encodes: criterion.met(scored, q[index]),
            lift: scored.lift,
            mi: scored.mi,
        }
    };
    let cells: Vec<UnitConcept> = (0..units * concepts).into_par_iter().map(cell).collect();
    let encoding = Counts::of(cells.iter().map(|cell| cell.encodes), concepts);
    let by_chance = |index: usize| {
        let scored = scored[index / concepts * labels.len() + concepts + index % concepts];
        criterion.met(scored, null_q[index])
    };
    let null = Counts::of((0..cells.len()).map(by_chance), concepts);
    Ok(Encodings { cells, summary: Summary { units, flagged, encoding, null } })
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

/// Fills `scored`, `[unit, label]`, and names the units that have no score.
fn score(
    matrix: &Matrix,
    plans: &[Plan; 2],
    cell: impl Fn(usize, &mut [Ranks; 2]) -> Scored + Sync + Copy,
    (design, lifts): (&Design, &Lifts<'_>),
    scored: &mut [Scored],
    labels: usize,
) -> Vec<(usize, Flag)> {
    let block = |(b, cells): (usize, &mut [Scored])| {
        let units = b * BLOCK..(b * BLOCK + cells.len() / labels);
        let mut columns = Vec::new();
        matrix.columns(units.clone(), &mut columns);
        let mut ranks = plans.each_ref().map(Plan::ranks);
        let mut flagged = Vec::new();
        for ((unit, values), cells) in units.zip(columns.chunks(matrix.images())).zip(cells.chunks_mut(labels)) {
            if let Some(flag) = Flag::of(values) {
                flagged.push((unit, flag));
                continue;
            }
            plans.iter().zip(&mut ranks).for_each(|(plan, ranks)| plan.rank(values, ranks));
            cells.iter_mut().enumerate().for_each(|(label, scored)| *scored = cell(label, &mut ranks));
            let of_all = lifts.of(&Lifts::top(values)).into_iter().zip(information(values, design));
            cells.iter_mut().zip(of_all).for_each(|(cell, (lift, mi))| (cell.lift, cell.mi) = (lift, mi));
        }
        flagged
    };
    scored.par_chunks_mut(BLOCK * labels).enumerate().map(block).collect::<Vec<_>>().concat()
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

    fn met(&self, scored: Scored, q: Option<f64>) -> bool {
        let held_out = scored.auroc.map_or(0.0, effect);
        q.is_some_and(|q| q <= self.q) && held_out.abs() >= self.min_effect && held_out * scored.chosen_effect > 0.0
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
