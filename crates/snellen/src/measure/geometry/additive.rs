//! Whether the same edit moves a row by the same vector whatever stands around it.
//!
//! A family is a scene with one thing edited: its rows e_b(v) are what one encoder makes of scene b with value v. With x_b(v) what of
//! these is the edit's, the row less the mean of its family,
//!
//! ```text
//! share = mean over b != b' of sum_v x_b(v) . x_b'(v)  /  mean over b of sum_v |x_b(v)|^2
//! ```
//!
//! is the part of what an edit changes that depends on the edited value alone: 1 where e_b(v) = c_b + o(v), as sums of objects are (Uselis
//! et al., arXiv 2605.31503), 0 where each scene is changed in a direction of its own. Products of two families have no noise in
//! common, so it is not the larger the fewer families there are. Dimensions are the participation ratio of the x, by products of two
//! families as well.

use crate::measure::{Confidence, Matrix};
use crate::{Error, Result, random};
use rand::seq::SliceRandom;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The fewest families.
const FEWEST: usize = 4;
/// Draws of the shuffled null.
const SHUFFLES: usize = 199;

/// What edits have in common over families.
#[derive(Clone, Debug, PartialEq)]
pub struct Additivity {
    /// Of what edits change, the share that depends on the edited value alone: up to 1; about 0, or a little below, where nothing does.
    pub share: f64,
    /// Its interval, by the jackknife over families.
    pub lo: f64,
    /// Its upper end.
    pub hi: f64,
    /// What 95 % of shuffles stay below, in which each family has its values in another order.
    pub by_chance: f64,
    /// How many dimensions edits take up: V - 1 where V values are alike and nothing else counts.
    pub dimensions: f64,
    /// The jackknife's pseudo-values, one for each family.
    pub pseudo: Vec<f64>,
}

impl Additivity {
    /// This share less `other`, of the same families.
    ///
    /// # Errors
    /// When there are not as many.
    pub fn less(&self, other: &Self, confidence: Confidence) -> Result<[f64; 3]> {
        if self.pseudo.len() != other.pseudo.len() {
            let expected = format!("{} families", self.pseudo.len());
            return Err(Error::mismatch("additivity", expected, other.pseudo.len()));
        }
        let differences: Vec<f64> = self.pseudo.iter().zip(&other.pseudo).map(|(a, b)| a - b).collect();
        let (estimate, half) = (self.share - other.share, half(&differences, confidence)?);
        Ok([estimate, estimate - half, estimate + half])
    }
}

/// What the `families` `[value, unit]` have in common; where `centred`, beyond the mean of each, else as differences that they are already.
/// Shuffles are drawn by `seed`. `None` where edits change nothing.
///
/// # Errors
/// When there are fewer than four families, fewer than two values, or not the same in all.
pub fn additivity(families: &[Matrix], centred: bool, confidence: Confidence, seed: u64) -> Result<Option<Additivity>> {
    let (values, units) = families.first().map_or((0, 0), |family| (family.images(), family.units()));
    let alike = families.iter().all(|family| (family.images(), family.units()) == (values, units));
    if families.len() < FEWEST || values < 2 || !alike {
        let expected = format!("{FEWEST} families or more of the same two values or more");
        return Err(Error::mismatch("additivity", expected, format!("{} of {values} values", families.len())));
    }
    let rows: Vec<Vec<f64>> = families.iter().map(|family| edits(family, centred)).collect();
    let own: Vec<f64> = rows.iter().map(|row| dot(row, row)).collect();
    let all: f64 = own.iter().sum();
    if all <= 0.0 {
        return Ok(None);
    }
    let count = rows.len() as f64;
    let total = sum(&rows);
    let common = dot(&total, &total) - all;
    let share = common / ((count - 1.0) * all);
    let without = |(row, own): (&Vec<f64>, &f64)| {
        let left = common - 2.0 * (dot(&total, row) - own);
        left / ((count - 2.0) * (all - own).max(f64::MIN_POSITIVE))
    };
    let pseudo: Vec<f64> = rows.iter().zip(&own).map(|of| count * share - (count - 1.0) * without(of)).collect();
    let half = half(&pseudo, confidence)?;
    let shuffled = |draw: u64| {
        let rng = &mut random::stream(seed, "additivity", draw);
        let mut order: Vec<usize> = (0..values).collect();
        let mut total = vec![0.0; values * units];
        for row in &rows {
            order.shuffle(rng);
            for (v, from) in order.iter().enumerate() {
                let part = &row[from * units..][..units];
                total[v * units..][..units].iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
            }
        }
        (dot(&total, &total) - all) / ((count - 1.0) * all)
    };
    let mut chance: Vec<f64> = (0..SHUFFLES as u64).map(shuffled).collect();
    chance.sort_unstable_by(f64::total_cmp);
    Ok(Some(Additivity {
        share,
        lo: share - half,
        hi: (share + half).min(1.0),
        by_chance: chance[SHUFFLES * 19 / 20],
        dimensions: dimensions(&rows, &own, units),
        pseudo,
    }))
}

/// What of each value's row is the edit's, one value after the other.
fn edits(family: &Matrix, centred: bool) -> Vec<f64> {
    let (values, units) = (family.images(), family.units());
    let mut mean = vec![0.0; units];
    if centred {
        for v in 0..values {
            family.row(v).iter().zip(&mut mean).for_each(|(x, mean)| *mean += f64::from(*x) / values as f64);
        }
    }
    (0..values).flat_map(|v| family.row(v).iter().zip(&mean).map(|(x, mean)| f64::from(*x) - mean)).collect()
}

/// tr(C)^2 / tr(C^2) of the edits' second moments C, of products of two families.
fn dimensions(rows: &[Vec<f64>], own: &[f64], units: usize) -> f64 {
    let (mut traces, mut squares) = (0.0, 0.0);
    for (b, row) in rows.iter().enumerate() {
        for (c, other) in rows.iter().enumerate().take(b) {
            traces += own[b] * own[c];
            for x in row.chunks(units) {
                squares += other.chunks(units).map(|y| dot(x, y).powi(2)).sum::<f64>();
            }
        }
    }
    traces / squares
}

/// Half of Student's interval of a mean.
fn half(values: &[f64], confidence: Confidence) -> Result<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let student = StudentsT::new(0.0, 1.0, n - 1.0).map_err(|_| Error::mismatch("additivity", "families", n))?;
    Ok(student.inverse_cdf(f64::midpoint(1.0, confidence.level())) * (variance / n).sqrt())
}

fn sum(rows: &[Vec<f64>]) -> Vec<f64> {
    let mut total = vec![0.0; rows.first().map_or(0, Vec::len)];
    rows.iter().for_each(|row| total.iter_mut().zip(row).for_each(|(sum, x)| *sum += x));
    total
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
