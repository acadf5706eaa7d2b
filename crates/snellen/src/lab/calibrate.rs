//! How right the unit measures are on [phantoms](super::phantom): precision and recall of every class, and what is found where there
//! is nothing.

use super::bias::{Bias, unit_biases};
use super::phantom::{Noise, PhantomConfig, phantom};
use crate::measure::Confidence;
use crate::measure::factorial::{Rule, UnitClass, decompose};
use crate::measure::proportion::Proportion;
use crate::measure::terms::Terms;
use crate::scene::labels::LabelTable;
use crate::{Result, random};
use rand::RngExt;
use serde::Serialize;

/// Samples of units for the interval of F1.
const SAMPLES: u64 = 400;

/// The classes that are planted, in turn.
pub const PLANTED: [UnitClass; 6] = [
    UnitClass::Unexplained,
    UnitClass::Count,
    UnitClass::Monosemantic,
    UnitClass::Factor,
    UnitClass::Polysemantic,
    UnitClass::Conjunction,
];

/// One phantom.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// What its images are.
    pub images: String,
    /// Signal-to-noise ratio of variances.
    pub ratio: f64,
    /// Of its noise.
    pub noise: Noise,
    /// Planted units.
    pub units: usize,
    /// The adjusted p of the rule.
    pub q: f64,
    /// Of the phantom and of samples.
    pub seed: u64,
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// What its images are.
    pub images: String,
    /// Signal-to-noise ratio of variances.
    pub ratio: f64,
    /// Of its noise.
    pub noise: String,
    /// Planted units.
    pub units: usize,
    /// Of the phantom.
    pub seed: u64,
    /// Mean F1 of the planted classes.
    pub macro_f1: f64,
    /// 2.5 % and 97.5 % of it, over samples of units.
    pub macro_f1_interval: [f64; 2],
    /// Each planted class.
    pub classes: Vec<ClassScore>,
    /// Of the units that are said to depend on some value, the share that is unexplained or counts.
    pub false_discoveries: Option<Proportion>,
    /// What is allowed: the adjusted p of the rule.
    pub nominal: f64,
    /// Of the conjunctions, the share that is called polysemantic.
    pub conjunctions_called_polysemantic: Option<Proportion>,
    /// The continuous measures beside what was planted.
    pub biases: Vec<Bias>,
}

/// How a class was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassScore {
    /// The class.
    pub class: UnitClass,
    /// Of the units that were called so, the share that was.
    pub precision: Option<Proportion>,
    /// Of the units that were, the share that was called so.
    pub recall: Option<Proportion>,
    /// 2 P R / (P + R).
    pub f1: f64,
}

/// Plants and classifies.
///
/// # Errors
/// When the labels are too few for the classes.
pub fn calibrate(labels: &LabelTable, trial: &Trial, confidence: Confidence) -> Result<Calibration> {
    let config = PhantomConfig {
        classes: PLANTED.to_vec(),
        units: trial.units,
        ratio: trial.ratio,
        noise: trial.noise,
        seed: trial.seed,
    };
    let planted = phantom(labels, &config)?;
    let terms = Terms::of(labels)?;
    let found = decompose(&planted.activations, &terms, &Rule::standard(trial.q))?;
    let both: Vec<[UnitClass; 2]> =
        planted.planted.iter().zip(&found).map(|(planted, found)| [*planted, found.class]).collect();
    let share = |of: &dyn Fn(&[UnitClass; 2]) -> bool, that: &dyn Fn(&[UnitClass; 2]) -> bool| {
        let all: Vec<_> = both.iter().filter(|pair| of(pair)).collect();
        let hits = all.iter().filter(|pair| that(pair)).count();
        (!all.is_empty()).then(|| Proportion::wilson(hits as f64, all.len(), confidence)).transpose()
    };
    let nothing = |class: UnitClass| matches!(class, UnitClass::Unexplained | UnitClass::Count);
    let score = |class: UnitClass| -> Result<ClassScore> {
        Ok(ClassScore {
            class,
            precision: share(&|pair| pair[1] == class, &|pair| pair[0] == class)?,
            recall: share(&|pair| pair[0] == class, &|pair| pair[1] == class)?,
            f1: f1(&both, class),
        })
    };
    let mut samples: Vec<f64> = (0..SAMPLES)
        .map(|sample| {
            let mut rng = random::stream(trial.seed, "calibration: units", sample);
            let drawn: Vec<_> = (0..both.len()).map(|_| both[rng.random_range(0..both.len())]).collect();
            macro_f1(&drawn)
        })
        .collect();
    samples.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| samples[(share * (SAMPLES - 1) as f64).round() as usize];
    Ok(Calibration {
        images: trial.images.clone(),
        ratio: trial.ratio,
        noise: trial.noise.to_string(),
        units: trial.units,
        seed: trial.seed,
        macro_f1: macro_f1(&both),
        macro_f1_interval: [at(0.025), at(0.975)],
        classes: PLANTED.into_iter().map(score).collect::<Result<_>>()?,
        false_discoveries: share(&|pair| !nothing(pair[1]), &|pair| nothing(pair[0]))?,
        nominal: trial.q,
        conjunctions_called_polysemantic: share(&|pair| pair[0] == UnitClass::Conjunction, &|pair| {
            pair[1] == UnitClass::Polysemantic
        })?,
        biases: unit_biases(labels, &config, &planted.activations, &found, &terms, confidence)?,
    })
}

fn f1(both: &[[UnitClass; 2]], class: UnitClass) -> f64 {
    let count = |that: &dyn Fn(&[UnitClass; 2]) -> bool| both.iter().filter(|pair| that(pair)).count() as f64;
    let right = count(&|pair| *pair == [class; 2]);
    let (planted, called) = (count(&|pair| pair[0] == class), count(&|pair| pair[1] == class));
    if planted + called > 0.0 { 2.0 * right / (planted + called) } else { 0.0 }
}

fn macro_f1(both: &[[UnitClass; 2]]) -> f64 {
    PLANTED.into_iter().map(|class| f1(both, class)).sum::<f64>() / PLANTED.len() as f64
}
