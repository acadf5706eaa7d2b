//! How alike two concepts are spread over the units of a site, and whether that depends on its basis.
//!
//! ```text
//! O_fg = sum_u |e_uf e_ug| / (|e_f| |e_g|)
//! ```
//!
//! e_uf being the effect (Somers' D within strata, [`auroc`](crate::measure::auroc)) of concept f on unit u: 1 where both have the same
//! absolute effects everywhere, 0 where no unit knows both. Effects are absolute, so noise alone gives about 2 / pi, and more where
//! labels go together. Two controls say what there is to see:
//!
//! - the same with labels permuted within strata, [`PERMUTATIONS`] times: what noise gives;
//! - the same after a random rotation of the site's units, [`ROTATIONS`] times: what any basis gives. If the units were no special basis,
//!   the overlap would be the same. Effects do not depend on scale, so a unit of a randomly rotated site is sum_k z_k sqrt(lambda_k) u_k, z
//!   a column of a random rotation (Mezzadri 2007, math-ph/0609050) and lambda, u the eigenvalues and -vectors of the inner products of
//!   images: no `[unit, unit]` matrix is needed. Up to [`UNITS`] units the rotation is a whole one; of a wider site that many
//!   independent directions are looked at, which its rotated units nearly are.
//!
//! Permutations are looked at on at most [`UNITS`] units as well, evenly spread. The interval is that of the jackknife with images
//! in [`GROUPS`] groups, on at most [`JACKKNIFE_UNITS`] units.

use crate::measure::Interval;
use crate::measure::auroc::{Flag, Plan, effect};
use crate::measure::design::Design;
use crate::measure::{Confidence, Matrix};
use crate::random;
use faer::Mat;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Times that labels are permuted.
pub const PERMUTATIONS: usize = 100;
/// Times that the site is rotated.
pub const ROTATIONS: usize = 100;
/// Units of each, at most.
pub const UNITS: usize = 128;
/// Groups of images that are left out in turn.
pub const GROUPS: usize = 10;
/// Units that they are left out of, at most.
pub const JACKKNIFE_UNITS: usize = 1024;

/// Units that are ranked by one thread.
const BLOCK: usize = 16;

/// The overlap of two concepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// As it is, and its interval where every group of images can be left out.
    pub overlap: Interval,
    /// The mean with permuted labels.
    pub null: f64,
    /// The mean over rotations, and where 95 % (or what was asked) of them lie.
    pub rotated: Interval,
}

/// What all sites share.
pub(in crate::measure) struct Overlaps {
    seed: u64,
    confidence: Confidence,
    concepts: usize,
    rows: Vec<usize>,
    /// The concepts.
    plan: Plan,
    /// All permutations of them, one after another.
    permuted: Plan,
    /// The concepts on all images but those of a group.
    without: Vec<Plan>,
}

/// Sums of |e_uf e_ug| over units, `[concept, concept]`.
#[derive(Clone)]
struct Sums(Vec<f64>);

impl Sums {
    fn none(concepts: usize) -> Self {
        Self(vec![0.0; concepts * concepts])
    }

    fn add(&mut self, effects: &[f64]) {
        let c = effects.len();
        for (f, row) in self.0.chunks_mut(c).enumerate() {
            row.iter_mut().zip(effects).for_each(|(sum, e)| *sum += (effects[f] * e).abs());
        }
    }

    fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, more)| *sum += more);
    }

    fn overlap(&self, [f, g]: [usize; 2], concepts: usize) -> Option<f64> {
        let at = |f: usize, g: usize| self.0[f * concepts + g];
        let lengths = (at(f, f) * at(g, g)).sqrt();
        (lengths > 0.0).then(|| at(f, g) / lengths)
    }
}

/// The sums of one site so far.
pub(in crate::measure) struct SiteOverlaps<'a> {
    of: &'a Overlaps,
    units: usize,
    seen: usize,
    plain: Sums,
    permuted: Vec<Sums>,
    without: Vec<Sums>,
}

fn effects(
    plan: &Plan,
    labels: std::ops::Range<usize>,
    values: &[f32],
    ranks: &mut crate::measure::ranks::Ranks,
) -> Vec<f64> {
    plan.rank(values, ranks);
    labels.map(|label| plan.auroc(label, ranks).map_or(0.0, effect)).collect()
}

/// Whether `unit` is among `most` that are evenly spread over `units`.
fn chosen(unit: usize, units: usize, most: usize) -> bool {
    units <= most || (unit + 1) * most / units > unit * most / units
}

impl Overlaps {
    /// Of the images `rows`, whose `design` this is.
    pub(in crate::measure) fn of(rows: &[usize], design: &Design, seed: u64, confidence: Confidence) -> Self {
        let concepts = design.concepts().len();
        let images: Vec<usize> = (0..rows.len()).collect();
        let labels = |of: &Design| (0..concepts).map(|c| of.present(c).to_vec()).collect::<Vec<_>>();
        let plan = |images: &[usize], labels: &[Vec<bool>]| {
            let labels: Vec<&[bool]> = labels.iter().map(Vec::as_slice).collect();
            Plan::new(design.strata(), images, &labels, 0)
        };
        let permutation = |p: usize| labels(&design.permuted(random::seed(seed, "overlap: permutation", p as u64)));
        let permuted: Vec<Vec<bool>> = (0..PERMUTATIONS).into_par_iter().flat_map_iter(permutation).collect();
        let groups = design.parts(GROUPS, random::seed(seed, "overlap: groups of images", 0));
        let rest = |group: &Vec<usize>| -> Vec<usize> {
            images.iter().copied().filter(|image| group.binary_search(image).is_err()).collect()
        };
        Self {
            seed,
            confidence,
            concepts,
            rows: rows.to_vec(),
            plan: plan(&images, &labels(design)),
            permuted: plan(&images, &permuted),
            without: groups.iter().map(|group| plan(&rest(group), &labels(design))).collect(),
        }
    }

    /// Of a site with this many units.
    pub(in crate::measure) fn site(&self, units: usize) -> SiteOverlaps<'_> {
        let none = Sums::none(self.concepts);
        SiteOverlaps {
            of: self,
            units,
            seen: 0,
            plain: none.clone(),
            permuted: vec![none.clone(); PERMUTATIONS],
            without: vec![none; GROUPS],
        }
    }

    /// The sums of a rotated site of `units` units, which `scaled` `[image, component]` spans.
    fn rotated(&self, scaled: &Mat<f64>, units: usize, rotation: u64) -> Sums {
        let mut rng = random::stream(self.seed, "overlap: rotation", rotation);
        let components = scaled.ncols();
        let z = if units <= UNITS {
            random::rotation(units, &mut rng).subrows(0, components).to_owned()
        } else {
            Mat::from_fn(components, UNITS, |_, _| random::normal(&mut rng))
        };
        let values = scaled * z;
        let (mut sums, mut ranks) = (Sums::none(self.concepts), self.plan.ranks());
        for column in values.col_iter() {
            let largest = column.iter().fold(0.0, |a: f64, x| a.max(x.abs())).max(f64::MIN_POSITIVE);
            let column: Vec<f32> = column.iter().map(|x| (x / largest) as f32).collect();
            sums.add(&effects(&self.plan, 0..self.concepts, &column, &mut ranks));
        }
        sums
    }
}

impl SiteOverlaps<'_> {
    /// Adds the next units.
    pub(in crate::measure) fn add(&mut self, matrix: &Matrix) {
        let (of, first, concepts) = (self.of, self.seen, self.of.concepts);
        let block = |b: usize| {
            let units = b * BLOCK..((b + 1) * BLOCK).min(matrix.units());
            let none = Sums::none(concepts);
            let mut plain = none.clone();
            let (mut permuted, mut without) = (Vec::new(), Vec::new());
            let mut columns = Vec::new();
            matrix.columns(units.clone(), &mut columns);
            let mut ranks = of.plan.ranks();
            for (unit, column) in units.zip(columns.chunks(matrix.images())) {
                if Flag::of(column).is_some() {
                    continue;
                }
                let values: Vec<f32> = of.rows.iter().map(|row| column[*row]).collect();
                plain.add(&effects(&of.plan, 0..concepts, &values, &mut ranks));
                if chosen(first + unit, self.units, UNITS) {
                    permuted.resize(PERMUTATIONS, none.clone());
                    let all = effects(&of.permuted, 0..PERMUTATIONS * concepts, &values, &mut ranks);
                    permuted.iter_mut().zip(all.chunks(concepts)).for_each(|(sums, effects)| sums.add(effects));
                }
                if chosen(first + unit, self.units, JACKKNIFE_UNITS) {
                    without.resize(GROUPS, none.clone());
                    for (sums, plan) in without.iter_mut().zip(&of.without) {
                        sums.add(&effects(plan, 0..concepts, &values, &mut plan.ranks()));
                    }
                }
            }
            (plain, permuted, without)
        };
        let blocks: Vec<_> = (0..matrix.units().div_ceil(BLOCK)).into_par_iter().map(block).collect();
        for (plain, permuted, without) in blocks {
            self.plain.merge(&plain);
            self.permuted.iter_mut().zip(&permuted).for_each(|(sums, more)| sums.merge(more));
            self.without.iter_mut().zip(&without).for_each(|(sums, more)| sums.merge(more));
        }
        self.seen += matrix.units();
    }

    /// Of the concepts of each of `pairs`; `scaled` `[image, component]` are the principal components of the site, each as long as
    /// its deviation. `None` for a concept that no stratum leaves a choice of, or no unit varies with.
    pub(in crate::measure) fn finish(self, scaled: &Mat<f64>, pairs: &[[usize; 2]]) -> Vec<Option<Overlap>> {
        let (of, concepts) = (self.of, self.of.concepts);
        let rotated: Vec<Sums> =
            (0..ROTATIONS as u64).into_par_iter().map(|rotation| of.rotated(scaled, self.units, rotation)).collect();
        let pair = |pair: &[usize; 2]| {
            let values =
                |sums: &[Sums]| sums.iter().filter_map(|sums| sums.overlap(*pair, concepts)).collect::<Vec<_>>();
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let overlap = self.plain.overlap(*pair, concepts)?;
            let (permuted, mut rotated, without) = (values(&self.permuted), values(&rotated), values(&self.without));
            if permuted.is_empty() || rotated.is_empty() || without.len() < GROUPS {
                return None;
            }
            rotated.sort_unstable_by(f64::total_cmp);
            let tail = (1.0 - of.confidence.level()) / 2.0;
            let at = |share: f64| rotated[(share * (rotated.len() - 1) as f64).round() as usize];
            let centre = mean(&without);
            let square = without.iter().map(|x| (x - centre).powi(2)).sum::<f64>();
            let error = (square * (GROUPS - 1) as f64 / GROUPS as f64).sqrt();
            let t = StudentsT::new(0.0, 1.0, (GROUPS - 1) as f64).map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - tail));
            Some(Overlap {
                overlap: Interval { estimate: overlap, lo: overlap - t * error, hi: overlap + t * error },
                null: mean(&permuted),
                rotated: Interval { estimate: mean(&rotated), lo: at(tail), hi: at(1.0 - tail) },
            })
        };
        pairs.iter().map(pair).collect()
    }
}
