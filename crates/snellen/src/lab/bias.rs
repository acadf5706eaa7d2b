//! How far continuous measures lie from what was planted, and how often their intervals hold it.

use super::phantom::{Noise, PhantomConfig, planted_signal};
use super::superposed::{SummedSite, presence, rotated, shared_site, summed_site};
use crate::measure::co_encoding::co_encoding;
use crate::measure::encodes::{Criterion, UnitConcept, encodes};
use crate::measure::factorial::{Decomposed, UnitClass};
use crate::measure::proportion::Proportion;
use crate::measure::superposition::{SiteGeometry, Superposition};
use crate::measure::terms::Terms;
use crate::measure::{Confidence, Design, Interval, Matrix, normal};
use crate::progress::Progress;
use crate::scene::labels::LabelTable;
use crate::{Error, Result, random};
use faer::Mat;
use serde::Serialize;
use std::f64::consts::FRAC_1_SQRT_2;

/// Sites of planted directions.
const SITES: u64 = 4;
/// Units of each.
const SITE_UNITS: usize = 128;
/// Sites of shared units.
const SHARED_SITES: u64 = 8;
/// The adjusted p at which a pair is found.
const FOUND: f64 = 0.05;

/// A measure beside what was planted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bias {
    /// The column of the tables.
    pub measure: &'static str,
    /// What it was asked of.
    pub of: &'static str,
    /// Answers.
    pub n: usize,
    /// Mean of what was planted.
    pub planted: f64,
    /// Mean of answer less planted, with its interval, the answers being taken for independent.
    pub bias: Interval,
    /// How often the answer's own interval holds what was planted; `None` where it has none.
    pub coverage: Option<Proportion>,
}

/// Pairs of concepts that share units.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairPower {
    /// How often they were planted together, as a multiple of chance.
    pub excess: f64,
    /// Of the planted pairs, the share found with more units than by chance.
    pub power: Option<Proportion>,
    /// Of all other pairs of concepts of different factors, the share found with more or fewer.
    pub false_alarms: Option<Proportion>,
}

/// Answers against what was planted.
#[derive(Default)]
struct Answers(Vec<(f64, f64, Option<bool>)>);

impl Answers {
    fn number(&mut self, found: Option<f64>, planted: f64) {
        self.0.extend(found.map(|found| (found, planted, None)));
    }

    fn interval(&mut self, found: Option<Interval>, planted: f64) {
        let holds = |found: Interval| found.lo <= planted && planted <= found.hi;
        self.0.extend(found.map(|found| (found.estimate, planted, Some(holds(found)))));
    }

    fn bias(self, measure: &'static str, of: &'static str, confidence: Confidence) -> Result<Option<Bias>> {
        let n = self.0.len();
        if n < 2 {
            return Ok(None);
        }
        let errors: Vec<f64> = self.0.iter().map(|(found, planted, _)| found - planted).collect();
        let mean = errors.iter().sum::<f64>() / n as f64;
        let variance = errors.iter().map(|error| (error - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        let held: Vec<bool> = self.0.iter().filter_map(|(_, _, held)| *held).collect();
        let right = held.iter().filter(|held| **held).count() as f64;
        Ok(Some(Bias {
            measure,
            of,
            n,
            planted: self.0.iter().map(|(_, planted, _)| planted).sum::<f64>() / n as f64,
            bias: Interval::normal(mean, (variance / n as f64).sqrt(), confidence),
            coverage: (!held.is_empty()).then(|| Proportion::wilson(right, held.len(), confidence)).transpose()?,
        }))
    }
}

/// Of the unit measures, on a phantom whose units were found to be `found`.
///
/// # Errors
/// As [`phantom`](super::phantom::phantom).
pub(super) fn unit_biases(
    labels: &LabelTable,
    config: &PhantomConfig,
    activations: &Matrix,
    found: &[Decomposed],
    terms: &Terms,
    confidence: Confidence,
) -> Result<Vec<Bias>> {
    let design = Design::from_labels(labels)?;
    let criterion = Criterion { q: FOUND, min_effect: 0.3, confidence, seed: config.seed };
    let cells = encodes(activations, &design, &criterion)?.cells;
    let present = presence(labels)?;
    let explained = config.ratio / (1.0 + config.ratio);
    let [mut effect, mut r2, mut and_r2, mut count, mut main, mut interaction, mut mi, mut lift] =
        [(); 8].map(|()| Answers::default());
    for (unit, of) in found.iter().enumerate() {
        let class = config.classes[unit % config.classes.len()];
        let cells: &[UnitConcept] = &cells[unit * present.len()..][..present.len()];
        match class {
            UnitClass::Unexplained => {
                cells.iter().for_each(|cell| mi.number(cell.mi, 0.0));
                cells.iter().for_each(|cell| lift.number(cell.lift.map(|lift| lift.z), 0.0));
            }
            UnitClass::Count => count.number(of.eta2_count, explained),
            UnitClass::Monosemantic | UnitClass::Conjunction => {
                let signal = planted_signal(labels, config, unit)?;
                let [by_count, by_main] = terms.explained(&signal);
                if class == UnitClass::Conjunction {
                    and_r2.number(of.cv_r2.filter(|_| of.class == class), explained);
                    interaction.number(of.eta2_interaction, explained * (1.0 - by_main));
                    continue;
                }
                r2.number(of.cv_r2.filter(|_| of.class == class), explained);
                main.number(of.eta2_main, explained * (by_main - by_count));
                let largest = signal.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let high: Vec<bool> = signal.iter().map(|x| *x > largest - 1e-9).collect();
                let is = |c: &usize| present[*c] == high || present[*c].iter().zip(&high).all(|(a, b)| a != b);
                let step = largest - signal.iter().copied().fold(f64::INFINITY, f64::min);
                if let Some(c) = (0..present.len()).find(is).filter(|_| config.noise != Noise::HeavyTailed) {
                    // P(N(step, 1) > N(0, 1)).
                    let above = 1.0 - 2.0 * normal::upper_tail(step * FRAC_1_SQRT_2);
                    let planted = if present[c] == high { above } else { -above };
                    effect.interval(
                        cells[c].held_out.map(|h| Interval { estimate: h.effect, lo: h.effect_lo, hi: h.effect_hi }),
                        planted,
                    );
                }
            }
            _ => {}
        }
    }
    let all = [
        effect.bias("effect", "monosemantic units", confidence)?,
        r2.bias("cv_r2", "monosemantic units", confidence)?,
        and_r2.bias("cv_r2", "conjunctions", confidence)?,
        count.bias("eta2_count", "units that count", confidence)?,
        main.bias("eta2_main", "monosemantic units", confidence)?,
        interaction.bias("eta2_interaction", "conjunctions", confidence)?,
        mi.bias("mi", "unexplained units", confidence)?,
        lift.bias("lift_z", "unexplained units", confidence)?,
    ];
    Ok(all.into_iter().flatten().collect())
}

/// Of the measures of sites: on sums of known directions, plain and rotated, and on noise.
///
/// # Errors
/// When the labels have too few images.
pub fn site_biases(
    labels: &LabelTable,
    ratio: f64,
    seed: u64,
    confidence: Confidence,
    progress: &dyn Progress,
) -> Result<Vec<Bias>> {
    let [
        mut cosine,
        mut alike,
        mut turned_alike,
        mut rotated_cosine,
        mut ratio_of,
        mut linear,
        mut gain,
        mut dimension,
        mut interference,
    ] = [(); 9].map(|()| Answers::default());
    let [mut functional, mut d_prime, mut overlap, mut no_linear] = [(); 4].map(|()| Answers::default());
    let factors = labels.concept_factors();
    let shared: Vec<[usize; 2]> = (0..factors.len())
        .filter_map(|a| Some([a, (a + 1..factors.len()).find(|b| factors[*b] != factors[a])?]))
        .step_by(3)
        .collect();
    for site in 0..SITES {
        on(progress, site, SITES)?;
        let seed = random::seed(seed, "calibration: site", site);
        let criterion = Criterion { q: FOUND, min_effect: 0.3, confidence, seed };
        let Some(together) = Superposition::of(labels, &criterion)? else {
            return Err(Error::mismatch("phantom", "at least 16 images", labels.rows.len()));
        };
        let of = |acts: &Matrix| -> Result<SiteGeometry> { together.measure(acts.units(), [Ok(acts)]) };
        let planted = summed_site(labels, SITE_UNITS, ratio, &shared, seed)?;
        let truth = Truth::of(labels, &planted, &together)?;
        let plain = of(&planted.activations)?;
        let turned = of(&rotated(&planted.activations, seed)?)?;
        for (found, others, those) in
            [(&plain, &mut cosine, &mut alike), (&turned, &mut rotated_cosine, &mut turned_alike)]
        {
            for pair in &found.pairs {
                let answers = if shared.contains(&[pair.a, pair.b]) { &mut *those } else { &mut *others };
                answers.interval(pair.cos_cv, truth.cosine(pair.a, pair.b));
            }
        }
        ratio_of.number(plain.together.participation_ratio, truth.participation_ratio);
        linear.interval(plain.together.linear_r2, planted.signal / (planted.signal + planted.noise));
        gain.number(plain.together.conjunction_gain.map(|gain| gain.estimate), 0.0);
        for (f, concept) in plain.concepts.iter().enumerate() {
            dimension.number(concept.dimensionality, truth.dimensionality(f));
            interference.number(concept.interference, truth.interference(f, &factors));
        }
        let nothing = of(&summed_site(labels, SITE_UNITS, 0.0, &[], seed)?.activations)?;
        for pair in &nothing.pairs {
            functional.interval(pair.interference_ab, 0.0);
            functional.interval(pair.interference_ba, 0.0);
            overlap.number(pair.overlap.map(|o| o.overlap.estimate - o.null), 0.0);
        }
        nothing.concepts.iter().for_each(|concept| d_prime.interval(concept.d_prime, 0.0));
        no_linear.number(nothing.together.linear_r2.map(|linear| linear.estimate), 0.0);
    }
    let all = [
        alike.bias("cos_cv", "pairs that share a part", confidence)?,
        cosine.bias("cos_cv", "other pairs", confidence)?,
        turned_alike.bias("cos_cv", "the former, basis rotated", confidence)?,
        rotated_cosine.bias("cos_cv", "the latter, basis rotated", confidence)?,
        interference.bias("interference", "planted directions", confidence)?,
        dimension.bias("dimensionality", "planted directions", confidence)?,
        ratio_of.bias("participation_ratio", "sites of planted directions", confidence)?,
        linear.bias("linear_r2", "sites of planted directions", confidence)?,
        no_linear.bias("linear_r2", "sites of noise", confidence)?,
        gain.bias("conjunction_gain", "sites of planted directions", confidence)?,
        functional.bias("interference_ab, _ba", "sites of noise", confidence)?,
        d_prime.bias("d_prime", "sites of noise", confidence)?,
        overlap.bias("overlap - overlap_null", "sites of noise", confidence)?,
    ];
    Ok(all.into_iter().flatten().collect())
}

/// How often planted pairs of shared units are found.
///
/// # Errors
/// As [`shared_site`].
pub fn pair_power(
    labels: &LabelTable,
    units: usize,
    ratio: f64,
    excess: f64,
    seed: u64,
    confidence: Confidence,
    progress: &dyn Progress,
) -> Result<PairPower> {
    let design = Design::from_labels(labels)?;
    let factors = labels.concept_factors();
    let (mut planted, mut found, mut others, mut wrong) = (0, 0, 0, 0);
    for site in 0..SHARED_SITES {
        on(progress, site, SHARED_SITES)?;
        let seed = random::seed(seed, "calibration: shared units", site);
        let criterion = Criterion { q: FOUND, min_effect: 0.3, confidence, seed };
        let of = shared_site(labels, units, ratio, excess, seed)?;
        let cells = encodes(&of.activations, &design, &criterion)?.cells;
        for pair in co_encoding(&cells, factors.len())? {
            let passes = pair.q.is_some_and(|q| q <= FOUND);
            if of.pairs.iter().any(|[a, b]| [pair.a, pair.b] == [*a.min(b), *a.max(b)]) {
                planted += 1;
                found += usize::from(passes && pair.log_odds > 0.0);
            } else if factors[pair.a] != factors[pair.b] {
                others += 1;
                wrong += usize::from(passes);
            }
        }
    }
    let share =
        |hits: usize, all: usize| (all > 0).then(|| Proportion::wilson(hits as f64, all, confidence)).transpose();
    Ok(PairPower { excess, power: share(found, planted)?, false_alarms: share(wrong, others)? })
}

/// Says that `site` of `sites` comes next; whether it may.
fn on(progress: &dyn Progress, site: u64, sites: u64) -> Result<()> {
    progress.advance(site as usize, sites as usize);
    if progress.is_cancelled() {
        return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
    }
    Ok(())
}

/// What can be known of a planted site.
struct Truth {
    /// Inner products of directions, `[concept, concept]`.
    products: Mat<f64>,
    participation_ratio: f64,
}

impl Truth {
    /// Directions of values that always add up to the number of objects are told from their mean: nothing else can be known.
    fn of(labels: &LabelTable, site: &SummedSite, together: &Superposition) -> Result<Self> {
        let (concepts, units) = (site.directions.len(), site.directions[0].len());
        let mut known = Mat::from_fn(concepts, units, |c, u| site.directions[c][u]);
        for of_factor in together.adding_up() {
            for u in 0..units {
                let mean = of_factor.iter().map(|c| known[(*c, u)]).sum::<f64>() / of_factor.len() as f64;
                of_factor.iter().for_each(|c| known[(*c, u)] -= mean);
            }
        }
        let products = &known * known.transpose();
        // Of the presence of concepts within numbers of objects.
        let present = presence(labels)?;
        let counts = labels.object_counts();
        let mut residual = Mat::from_fn(counts.len(), concepts, |i, c| f64::from(u8::from(present[c][i])));
        let mut strata: Vec<usize> = counts.clone();
        strata.sort_unstable();
        strata.dedup();
        for c in 0..concepts {
            for stratum in &strata {
                let images: Vec<usize> = (0..counts.len()).filter(|i| counts[*i] == *stratum).collect();
                let mean = images.iter().map(|i| residual[(*i, c)]).sum::<f64>() / images.len() as f64;
                images.iter().for_each(|i| residual[(*i, c)] -= mean);
            }
        }
        let free = (counts.len() - strata.len()) as f64;
        let explained = (residual.transpose() * &residual) * &products;
        let trace = |m: &Mat<f64>| (0..concepts).map(|c| m[(c, c)]).sum::<f64>();
        let (signal, square) = (trace(&explained) / free, trace(&(&explained * &explained)) / (free * free));
        let (noise, units) = (site.noise, units as f64);
        let total = signal + units * noise;
        let participation_ratio = total * total / (square + 2.0 * noise * signal + units * noise * noise);
        Ok(Self { products, participation_ratio })
    }

    fn cosine(&self, a: usize, b: usize) -> f64 {
        self.products[(a, b)] / (self.products[(a, a)] * self.products[(b, b)]).sqrt()
    }

    fn interference(&self, f: usize, factors: &[usize]) -> f64 {
        (0..factors.len()).filter(|g| factors[*g] != factors[f]).map(|g| self.cosine(f, g).powi(2)).sum()
    }

    fn dimensionality(&self, f: usize) -> f64 {
        let squares = |g: usize| self.products[(f, g)].powi(2);
        squares(f) / (0..self.products.nrows()).map(squares).sum::<f64>()
    }
}
