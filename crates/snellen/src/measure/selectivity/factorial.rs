//! What each unit stands for: its activation decomposed into the number of objects, the values of factors, and values bound
//! in one object.
//!
//! Least squares on the [`Terms`] of the scenes:
//!
//! ```text
//! a = mu + count + sum_f alpha_f + (alpha alpha)_fg + e
//! ```
//!
//! with at most one interaction at a time beside all main effects. R^2 is cross-validated by leaving each image out, which for
//! least squares needs no second fit (Allen 1974, Technometrics 16:125): the residual of an image that was left out is e_i / (1 -
//! h_i), h_i being its leverage. A share eta^2 is the difference of the R^2 of two nested models, so that it is about 0, or a
//! little below, where a term says nothing, and never grows by the number of its columns. Whether a term says anything is asked
//! by the F test of the nested models, adjusted over all units and terms of a site (Benjamini & Hochberg 1995); whether a unit
//! counts, over the units that no term was found for.
//!
//! The class of a unit follows from the terms that pass the test and hold at least a share ([`Rule`]) of what is explained
//! beyond the number of objects:
//!
//! | class | |
//! |---|---|
//! | `unexplained` | no term |
//! | `count` | the number of objects only |
//! | `monosemantic` | one factor, of whose squared level effects one value holds at least 2/3 |
//! | `factor` | one factor, several values |
//! | `polysemantic` | two or more factors, main effects (an OR cell) |
//! | `conjunction` | an interaction holds at least 1/3 (an AND cell) |
//! | `mixed` | an interaction holds less, but more than an OR cell leaves |

use crate::measure::Matrix;
use crate::measure::fdr::benjamini_hochberg;
use crate::measure::terms::{Levels, Space, Terms};
use crate::{Error, Result};
use faer::{Mat, MatRef};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::function::beta::checked_beta_reg;
use std::borrow::Borrow;
use std::fmt;

/// Units of a block.
const BLOCK: usize = 128;

/// What a unit stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitClass {
    /// Nothing that the labels know.
    Unexplained,
    /// The number of objects.
    Count,
    /// One value of one factor.
    Monosemantic,
    /// Several values of one factor.
    Factor,
    /// Values of several factors, each by itself.
    Polysemantic,
    /// Values of two factors in one object.
    Conjunction,
    /// Some of both.
    Mixed,
    /// One number on all images.
    Constant,
    /// Infinite or not a number on some image.
    NonFinite,
}

impl UnitClass {
    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::Unexplained,
        Self::Count,
        Self::Monosemantic,
        Self::Factor,
        Self::Polysemantic,
        Self::Conjunction,
        Self::Mixed,
        Self::Constant,
        Self::NonFinite,
    ];

    /// As tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unexplained => "unexplained",
            Self::Count => "count",
            Self::Monosemantic => "monosemantic",
            Self::Factor => "factor",
            Self::Polysemantic => "polysemantic",
            Self::Conjunction => "conjunction",
            Self::Mixed => "mixed",
            Self::Constant => "constant",
            Self::NonFinite => "non_finite",
        }
    }
}

impl fmt::Display for UnitClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What makes a class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The adjusted p that a term may not exceed.
    pub q: f64,
    /// The share of what is explained beyond the number of objects that a factor has to hold.
    pub relevant: f64,
    /// The share from which on an interaction makes a unit `mixed`: an OR of two values leaves a tenth, at most.
    pub mixed: f64,
    /// The share from which on it makes a unit a `conjunction`.
    pub conjunction: f64,
    /// The share of the squared level effects of a factor that one value of a `monosemantic` unit holds.
    pub carries: f64,
}

impl Rule {
    /// The rule of METHODS.md.
    pub fn standard(q: f64) -> Self {
        Self { q, relevant: 0.1, mixed: 0.2, conjunction: 1.0 / 3.0, carries: 2.0 / 3.0 }
    }
}

/// One unit, decomposed. Shares are cross-validated; `None` for units without variance.
#[derive(Clone, Debug, PartialEq)]
pub struct Decomposed {
    /// What it stands for.
    pub class: UnitClass,
    /// R^2 of the terms that its class is made of.
    pub cv_r2: Option<f64>,
    /// What the number of objects explains.
    pub eta2_count: Option<f64>,
    /// What the values of all factors explain beyond that.
    pub eta2_main: Option<f64>,
    /// What the best interaction explains beyond those.
    pub eta2_interaction: Option<f64>,
    /// The factors, by index, that the class is made of.
    pub factors: Vec<usize>,
}

/// Decomposes every unit of `matrix`. The same bytes at any number of threads.
///
/// # Errors
/// When the numbers of images differ.
pub fn decompose(matrix: &Matrix, terms: &Terms, rule: &Rule) -> Result<Vec<Decomposed>> {
    decompose_in_blocks([Ok(matrix)], terms, rule)
}

/// As [`decompose`], of a site whose matrix is cut into `blocks` of neighbouring units, so that only one of them needs to be in
/// memory.
///
/// # Errors
/// As [`decompose`], and the first error among the blocks.
pub fn decompose_in_blocks<M: Borrow<Matrix>>(
    blocks: impl IntoIterator<Item = Result<M>>,
    terms: &Terms,
    rule: &Rule,
) -> Result<Vec<Decomposed>> {
    let mut fits = Fits::new(terms);
    for block in blocks {
        fits.add(block?.borrow())?;
    }
    fits.finish(rule)
}

/// The units of a site so far, before anything is adjusted over all of them.
pub(crate) struct Fits<'a> {
    terms: &'a Terms,
    all: Fitted,
}

/// Units side by side, whatever of them has a length of its own in one piece.
#[derive(Default)]
struct Fitted {
    fits: Vec<Fit>,
    /// `[unit, term]`: factors, then pairs of them.
    tested: Vec<Option<Term>>,
    /// `[unit, factor]`: the largest share of the squared level effects.
    carried: Vec<f64>,
}

impl<'a> Fits<'a> {
    /// Of no units yet.
    pub(crate) fn new(terms: &'a Terms) -> Self {
        Self { terms, all: Fitted::default() }
    }

    /// Adds the units of `matrix` behind those that were added.
    ///
    /// # Errors
    /// When it has other images than the terms.
    pub(crate) fn add(&mut self, matrix: &Matrix) -> Result<()> {
        let terms = self.terms;
        if matrix.images() != terms.images {
            let expected = format!("{} images, as the labels have", terms.images);
            return Err(Error::mismatch("activations", expected, matrix.images()));
        }
        let parts = 0..matrix.units().div_ceil(BLOCK);
        let blocks: Vec<Fitted> = parts.into_par_iter().map(|part| fit_block(matrix, terms, part)).collect();
        for Fitted { fits, tested, carried } in blocks {
            self.all.fits.extend(fits);
            self.all.tested.extend(tested);
            self.all.carried.extend(carried);
        }
        Ok(())
    }

    /// Every unit, decomposed.
    ///
    /// # Errors
    /// When a p is none.
    pub(crate) fn finish(self, rule: &Rule) -> Result<Vec<Decomposed>> {
        let Self { terms, all: Fitted { fits, tested, carried } } = self;
        let tests = terms.without.len() + terms.with.len();
        let of_terms = tested.iter().map(|term| term.map(|term| term.p));
        let of_terms = benjamini_hochberg(&of_terms.collect::<Vec<_>>())?;
        let factors = terms.levels.len();
        let mut decomposed: Vec<Decomposed> = fits
            .par_iter()
            .enumerate()
            .map(|(unit, fit)| {
                let of = unit * tests..(unit + 1) * tests;
                let carried = &carried[unit * factors..][..factors];
                fit.decompose((terms, rule), &tested[of.clone()], &of_terms[of], carried)
            })
            .collect();
        // Only where nothing else is found is it asked whether a unit counts: what a value explains, its count explains in part.
        let asked = decomposed
            .iter()
            .zip(&fits)
            .map(|(unit, fit)| fit.p_count.filter(|_| unit.class == UnitClass::Unexplained));
        let of_count = benjamini_hochberg(&asked.collect::<Vec<_>>())?;
        for ((unit, fit), q) in decomposed.iter_mut().zip(&fits).zip(of_count) {
            if q.is_some_and(|q| q <= rule.q) && fit.r2_count > 0.0 {
                (unit.class, unit.cv_r2) = (UnitClass::Count, Some(fit.r2_count));
            }
        }
        Ok(decomposed)
    }
}

/// A term of one unit.
#[derive(Clone, Copy)]
struct Term {
    /// By the F test.
    p: f64,
    /// Cross-validated R^2 of main effects and this interaction, or of the main effects without this factor.
    r2: f64,
}

/// One unit before anything is adjusted.
struct Fit {
    odd: Option<UnitClass>,
    r2_count: f64,
    r2_main: f64,
    p_count: Option<f64>,
}

/// Residual sums of squares of the units of a block: of the fit, and of images left out.
struct Residuals {
    rank: usize,
    fitted: Vec<f64>,
    left_out: Vec<f64>,
}

fn residuals(space: &Space, values: MatRef<'_, f64>) -> Residuals {
    let left = values.to_owned() - &space.basis * (space.basis.transpose() * values);
    let mut found = Residuals { rank: space.rank(), fitted: Vec::new(), left_out: Vec::new() };
    for column in left.col_iter() {
        let (mut fitted, mut left_out) = (0.0, 0.0);
        for (e, slack) in column.iter().zip(&space.slack) {
            fitted += e * e;
            // An image that a column is there for alone says nothing of others.
            left_out += if *slack > 1e-9 { (e / slack).powi(2) } else { 0.0 };
        }
        found.fitted.push(fitted);
        found.left_out.push(left_out);
    }
    found
}

/// P(F >= f) of the nested models `small` and `large`.
fn f_test(small: &Residuals, large: &Residuals, unit: usize, images: usize) -> f64 {
    let (more, rest) = ((large.rank - small.rank) as f64, (images - large.rank) as f64);
    let (explained, left) = ((small.fitted[unit] - large.fitted[unit]).max(0.0), large.fitted[unit]);
    if left <= 0.0 {
        return if explained > 0.0 { 0.0 } else { 1.0 };
    }
    let f = (explained / more) / (left / rest);
    checked_beta_reg(rest / 2.0, more / 2.0, rest / (rest + more * f)).unwrap_or(1.0)
}

fn fit_block(matrix: &Matrix, terms: &Terms, block: usize) -> Fitted {
    let units = block * BLOCK..((block + 1) * BLOCK).min(matrix.units());
    let (images, number) = (matrix.images(), units.len());
    let mut columns = Vec::new();
    matrix.columns(units, &mut columns);
    let odd: Vec<Option<UnitClass>> = columns.chunks(images).map(oddity).collect();
    // In units of their own deviation: shares do not depend on it, and f64 keeps its digits.
    let mut values = Mat::zeros(images, number);
    for (unit, column) in columns.chunks(images).enumerate().filter(|(unit, _)| odd[*unit].is_none()) {
        let mean = column.iter().map(|x| f64::from(*x)).sum::<f64>() / images as f64;
        let squares = column.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>();
        let deviation = (squares / images as f64).sqrt();
        (0..images).for_each(|i| values[(i, unit)] = (f64::from(column[i]) - mean) / deviation);
    }
    let values = values.as_ref();
    let of = |space: &Space| residuals(space, values);
    let (constant, count, main) = (of(&terms.constant), of(&terms.count), of(&terms.main));
    let without: Vec<Option<Residuals>> = terms.without.iter().map(|space| space.as_ref().map(of)).collect();
    let with: Vec<Option<Residuals>> = terms.with.iter().map(|pair| pair.space.as_ref().map(of)).collect();
    let levels: Vec<Mat<f64>> = terms.levels.iter().map(|levels| &levels.map * values).collect();
    let r2 = |model: &Residuals, unit: usize| 1.0 - model.left_out[unit] / constant.left_out[unit];
    let mut all = Fitted::default();
    for (unit, odd) in odd.into_iter().enumerate() {
        let term = |p, model: &Residuals| Term { p, r2: r2(model, unit) };
        let factor =
            |small: &Option<Residuals>| small.as_ref().map(|small| term(f_test(small, &main, unit, images), small));
        let pair =
            |large: &Option<Residuals>| large.as_ref().map(|large| term(f_test(&main, large, unit, images), large));
        let carried =
            |(levels, map): (&Levels, &Mat<f64>)| carried(map.col(unit).iter().copied().collect(), levels.shifts);
        all.fits.push(Fit {
            odd,
            r2_count: r2(&count, unit),
            r2_main: r2(&main, unit),
            p_count: (odd.is_none() && count.rank > 1).then(|| f_test(&constant, &count, unit, images)),
        });
        let tested = without.iter().map(factor).chain(with.iter().map(pair));
        all.tested.extend(tested.map(|term| term.filter(|_| odd.is_none())));
        all.carried.extend(terms.levels.iter().zip(&levels).map(carried));
    }
    all
}

fn oddity(values: &[f32]) -> Option<UnitClass> {
    if values.iter().any(|x| !x.is_finite()) {
        return Some(UnitClass::NonFinite);
    }
    let same = values.iter().all(|x| x.to_bits() == values[0].to_bits() || (*x - values[0]).abs() <= 0.0);
    same.then_some(UnitClass::Constant)
}

/// The largest share that one value holds of the squared level effects.
///
/// Where every object has a value and no value comes twice, adding a number to all effects is the same as taking it from each
/// object: the effects are then told from their median, which leaves as many as possible at 0.
fn carried(mut effects: Vec<f64>, shifts: bool) -> f64 {
    if shifts {
        let mut sorted = effects.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        let median = f64::midpoint(low, high);
        effects.iter_mut().for_each(|effect| *effect -= median);
    }
    let squares = effects.iter().map(|effect| effect * effect);
    let sum: f64 = squares.clone().sum();
    if sum > 0.0 { squares.fold(0.0, f64::max) / sum } else { 0.0 }
}

impl Fit {
    /// By its terms, the q of each, and what the values of each factor carry.
    fn decompose(
        &self,
        (terms, rule): (&Terms, &Rule),
        tested: &[Option<Term>],
        q: &[Option<f64>],
        carried: &[f64],
    ) -> Decomposed {
        if let Some(class) = self.odd {
            let none = None;
            return Decomposed {
                class,
                cv_r2: none,
                eta2_count: none,
                eta2_main: none,
                eta2_interaction: none,
                factors: Vec::new(),
            };
        }
        let passes = |q: &Option<f64>| q.is_some_and(|q| q <= rule.q);
        let ((factors, pairs), (of_factors, of_pairs)) =
            (tested.split_at(terms.without.len()), q.split_at(terms.without.len()));
        let best = |terms: &mut dyn Iterator<Item = f64>| terms.reduce(f64::max);
        let passing = pairs.iter().zip(of_pairs).zip(&terms.with).filter(|((_, q), _)| passes(q));
        let passing = passing.filter_map(|((term, _), pair)| term.map(|term| (term.r2, pair.factors)));
        let with = passing.reduce(|a, b| if b.0 > a.0 { b } else { a }).filter(|(r2, _)| *r2 > self.r2_main);
        let r2_with = with.map(|(r2, _)| r2);
        let full = r2_with.unwrap_or(self.r2_main);
        let explained = full - self.r2_count;
        let share = |gain: f64| if explained > 0.0 { gain / explained } else { 0.0 };
        let bound = r2_with.map_or(0.0, |r2| share(r2 - self.r2_main));
        let relevant = |f: &usize| {
            let term = factors[*f].filter(|_| passes(&of_factors[*f]));
            term.is_some_and(|term| share(self.r2_main - term.r2) >= rule.relevant)
        };
        let factors: Vec<usize> = (0..factors.len()).filter(relevant).collect();
        let (class, cv_r2) = match factors[..] {
            _ if bound >= rule.conjunction => (UnitClass::Conjunction, full),
            _ if bound >= rule.mixed => (UnitClass::Mixed, full),
            [f] if carried[f] >= rule.carries => (UnitClass::Monosemantic, self.r2_main),
            [_] => (UnitClass::Factor, self.r2_main),
            [] => (UnitClass::Unexplained, 0.0),
            _ => (UnitClass::Polysemantic, self.r2_main),
        };
        let factors = match (class, with) {
            (UnitClass::Conjunction | UnitClass::Mixed, Some((_, pair))) => pair.to_vec(),
            _ => factors,
        };
        let any = best(&mut pairs.iter().flatten().map(|term| term.r2));
        Decomposed {
            class,
            cv_r2: Some(cv_r2),
            eta2_count: Some(self.r2_count),
            eta2_main: Some(self.r2_main - self.r2_count),
            eta2_interaction: any.map(|r2| r2 - self.r2_main),
            factors,
        }
    }
}
