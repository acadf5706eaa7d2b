//! Phantoms: activations of no model, whose units are planted one by one, so that what a measure says of them can be right or
//! wrong.
//!
//! A unit's activation on an image is sign * (signal - mean) / deviation * sqrt(ratio) + noise, the noise of variance 1: `ratio` is
//! the signal-to-noise ratio of variances. The signal of a planted class is made of the image's objects alone:
//!
//! | class | signal |
//! |---|---|
//! | `unexplained` | none |
//! | `count` | the number of objects |
//! | `monosemantic` | whether some object has a value |
//! | `factor` | whether some object has one of two values of a factor, or how many of the two are there |
//! | `polysemantic` | the same of two values of two factors (OR) |
//! | `conjunction` | whether one object has two values of two factors (AND) |
//! | `constant`, `non_finite` | one number; noise with one value that is not a number |
//!
//! Every planted class but the first has both signs.

use crate::measure::Matrix;
use crate::measure::factorial::UnitClass;
use crate::random::{self, normal};
use crate::scene::labels::LabelTable;
use crate::{Error, Result};
use rand::{Rng, RngExt};
use rayon::prelude::*;
use std::fmt;
use std::str::FromStr;

/// The most activations of a phantom, which are all in memory: 8 GiB in f64.
pub const MOST_VALUES: usize = 1 << 30;

/// Times that a signal is drawn anew because it is the same on all images.
const TRIES: usize = 1000;

/// What is added to signals; each has variance 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Normal, independent.
    Normal,
    /// Student's t with 5 degrees of freedom, independent: a kurtosis of 9.
    HeavyTailed,
    /// Normal; half of the variance is shared by all units, an image's own level.
    Correlated,
}

impl Noise {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Normal, Self::HeavyTailed, Self::Correlated];
}

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::HeavyTailed => "heavy-tailed",
            Self::Correlated => "correlated",
        })
    }
}

impl FromStr for Noise {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|noise| noise.to_string() == name);
        let known = Self::ALL.map(|noise| noise.to_string()).join(", ");
        found.ok_or_else(|| Error::mismatch("noise", format!("one of {known}"), format!("`{name}`")))
    }
}

/// What to plant.
#[derive(Clone, Debug, PartialEq)]
pub struct PhantomConfig {
    /// The classes of the units, dealt out in turn; none of them [`UnitClass::Mixed`], which is no one thing.
    pub classes: Vec<UnitClass>,
    /// Units.
    pub units: usize,
    /// Signal-to-noise ratio, of variances.
    pub ratio: f64,
    /// What is added.
    pub noise: Noise,
    /// Of signals and noise.
    pub seed: u64,
}

/// Activations with known units.
#[derive(Clone, Debug, PartialEq)]
pub struct Phantom {
    /// `[image, unit]`.
    pub activations: Matrix,
    /// What each unit was planted as.
    pub planted: Vec<UnitClass>,
}

/// Plants units over the images of `labels`. The same bytes at any number of threads; a unit does not depend on how many there are.
///
/// # Errors
/// When the ratio is no finite positive number, there is no class, no image or too much of both, or the labels have too few factors or values for a class.
pub fn phantom(labels: &LabelTable, config: &PhantomConfig) -> Result<Phantom> {
    let images = labels.rows.len();
    if !(config.ratio.is_finite() && config.ratio > 0.0) {
        return Err(Error::mismatch("phantom: ratio", "a positive number", config.ratio));
    }
    if config.classes.is_empty() || images == 0 || config.units == 0 {
        let got = format!("{} classes, {} units, {images} images", config.classes.len(), config.units);
        return Err(Error::mismatch("phantom", "classes, units and images", got));
    }
    if images.saturating_mul(config.units) > MOST_VALUES {
        let got = format!("{} units on {images} images", config.units);
        return Err(Error::mismatch("phantom", format!("at most {MOST_VALUES} activations"), got));
    }
    let mut levels = random::stream(config.seed, "phantom: levels of images", 0);
    let shared: Vec<f64> = (0..images).map(|_| normal(&mut levels)).collect();
    let planted: Vec<UnitClass> = (0..config.units).map(|unit| config.classes[unit % config.classes.len()]).collect();
    let unit = |(unit, class): (usize, &UnitClass)| {
        let mut rng = random::stream(config.seed, "phantom: unit", unit as u64);
        let mut values = match class {
            UnitClass::Constant => return Ok(vec![rng.random_range(-1.0..1.0); images]),
            UnitClass::Unexplained | UnitClass::NonFinite => vec![0.0; images],
            class => signal(labels, *class, config.ratio, &mut rng)?,
        };
        for (value, shared) in values.iter_mut().zip(&shared) {
            *value += match config.noise {
                Noise::Normal => normal(&mut rng),
                Noise::HeavyTailed => heavy_tailed(&mut rng),
                Noise::Correlated => (normal(&mut rng) + shared) / 2_f64.sqrt(),
            };
        }
        if *class == UnitClass::NonFinite {
            values[rng.random_range(0..images)] = f64::NAN;
        }
        Ok(values)
    };
    let columns = planted.par_iter().enumerate().map(unit).collect::<Result<Vec<_>>>()?;
    let values = (0..images).flat_map(|i| columns.iter().map(move |column| column[i] as f32)).collect();
    Ok(Phantom { activations: Matrix::new(images, config.units, values)?, planted })
}

/// The signal of unit `unit` of the phantom of `config`, which [`phantom`] adds noise to; 0 for a unit without.
///
/// # Errors
/// As [`phantom`].
pub fn planted_signal(labels: &LabelTable, config: &PhantomConfig, unit: usize) -> Result<Vec<f64>> {
    let mut rng = random::stream(config.seed, "phantom: unit", unit as u64);
    match config.classes[unit % config.classes.len()] {
        UnitClass::Constant | UnitClass::Unexplained | UnitClass::NonFinite => Ok(vec![0.0; labels.rows.len()]),
        class => signal(labels, class, config.ratio, &mut rng),
    }
}

/// A signal of `class` on every image, of mean 0 and variance `ratio`, with either sign.
fn signal(labels: &LabelTable, class: UnitClass, ratio: f64, rng: &mut impl Rng) -> Result<Vec<f64>> {
    for _ in 0..TRIES {
        let mut values = raw_signal(labels, class, rng)?;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        values.iter_mut().for_each(|value| *value -= mean);
        let variance = values.iter().map(|value| value * value).sum::<f64>() / n;
        // A value that hardly any image has is none to plant.
        let rarer =
            values.iter().filter(|value| **value > 0.0).count().min(values.iter().filter(|v| **v < 0.0).count());
        if rarer >= RAREST.min(values.len() / 4) && variance > 0.0 {
            let sign = if rng.random_range(0.0..1.0) < 0.5 { -1.0 } else { 1.0 };
            let scale = sign * (ratio / variance).sqrt();
            values.iter_mut().for_each(|value| *value *= scale);
            return Ok(values);
        }
    }
    Err(Error::mismatch("phantom", format!("labels that a `{class}` unit can depend on"), "none"))
}

/// A signal sets at least this many images apart.
pub(super) const RAREST: usize = 8;

fn raw_signal(labels: &LabelTable, class: UnitClass, rng: &mut impl Rng) -> Result<Vec<f64>> {
    let rows = &labels.rows;
    let flag = |yes: bool| f64::from(u8::from(yes));
    let usable: Vec<usize> = (0..labels.factors.len()).filter(|f| labels.factors[*f].values.len() > 1).collect();
    let needed = match class {
        UnitClass::Count => 0,
        UnitClass::Monosemantic | UnitClass::Factor => 1,
        _ => 2,
    };
    if usable.len() < needed {
        let expected = format!("{needed} factors with several values, for a `{class}` unit");
        return Err(Error::mismatch("phantom", expected, usable.len()));
    }
    let has = |f: usize, value: u32, i: usize| rows[i].objects.iter().any(|object| object[f] == Some(value));
    let mut factor = |but: Option<usize>| loop {
        let f = usable[rng.random_range(0..usable.len())];
        if Some(f) != but {
            return (f, rng.random_range(0..labels.factors[f].values.len() as u32), rng.random_range(0.0..1.0) < 0.5);
        }
    };
    let each = |value: &dyn Fn(usize) -> f64| (0..rows.len()).map(value).collect();
    Ok(match class {
        UnitClass::Count => each(&|i| rows[i].objects.len() as f64),
        UnitClass::Monosemantic => {
            let (f, value, _) = factor(None);
            each(&|i| flag(has(f, value, i)))
        }
        UnitClass::Factor => {
            let (f, a, either) = factor(None);
            let values = labels.factors[f].values.len() as u32;
            let b = (a + 1 + rng.random_range(0..values - 1)) % values;
            let join = join(either);
            each(&|i| join(flag(has(f, a, i)), flag(has(f, b, i))))
        }
        UnitClass::Polysemantic => {
            let (f, a, either) = factor(None);
            let (g, b, _) = factor(Some(f));
            let join = join(either);
            each(&|i| join(flag(has(f, a, i)), flag(has(g, b, i))))
        }
        UnitClass::Conjunction => {
            let (f, a, _) = factor(None);
            let (g, b, _) = factor(Some(f));
            each(&|i| flag(rows[i].objects.iter().any(|o| o[f] == Some(a) && o[g] == Some(b))))
        }
        other => return Err(Error::mismatch("phantom", "a class that can be planted", format!("`{other}`"))),
    })
}

/// OR, or how many.
fn join(either: bool) -> fn(f64, f64) -> f64 {
    if either { f64::max } else { |a, b| a + b }
}

/// Student's t with 5 degrees of freedom, divided by its deviation.
fn heavy_tailed(rng: &mut impl Rng) -> f64 {
    let chi: f64 = (0..5).map(|_| normal(rng).powi(2)).sum();
    normal(rng) / (chi / 5.0).sqrt() / (5.0_f64 / 3.0).sqrt()
}
