//! A curve beside its controls: the same reader, rows, orders and sizes on other matrices.

use super::paired::{between_sets, widened};
use super::{Curve, Task, paired};
use crate::measure::Confidence;
use crate::measure::proportion::Difference;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A curve less one control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// The control.
    pub name: String,
    /// Its own number: accuracy, or bits of the code.
    pub control: f64,
    /// Curve less control, row by row: of accuracies; of codes control less curve, so that more is better in either.
    pub difference: Difference,
}

/// A curve less each of its controls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Rows that were learnt from; none where online codes are compared.
    pub size: Option<usize>,
    /// The place of the best control in `controls`: the most accurate, or the shortest code.
    pub best: usize,
    /// In the order of the controls.
    pub controls: Vec<Against>,
}

impl Comparison {
    /// The best control.
    pub fn best(&self) -> &Against {
        &self.controls[self.best]
    }
}

/// `curve` against `controls` at every size, and last by online code. All are of one call of [`curves`](super::curves), or of calls
/// with the same task, splits, ladder and seed.
///
/// # Errors
/// When there is no control, or one was asked other rows or at other sizes.
pub fn against(curve: &Curve, controls: &[&Curve], task: &Task, confidence: Confidence) -> Result<Vec<Comparison>> {
    if controls.is_empty() {
        return Err(Error::mismatch(&curve.name, "at least one control", "none"));
    }
    let clusters = |rows: &[usize]| -> Vec<u64> { rows.iter().map(|row| task.clusters()[*row]).collect() };
    for control in controls {
        let same = control.points.len() == curve.points.len()
            && control
                .points
                .iter()
                .zip(&curve.points)
                .all(|(a, b)| a.size == b.size && a.answers.rows == b.answers.rows)
            && control.code.coded.rows == curve.code.coded.rows;
        if !same {
            let expected = format!("the rows and sizes of {}", curve.name);
            return Err(Error::mismatch(&control.name, expected, "others"));
        }
    }
    let more: Vec<Vec<f64>> = controls.iter().map(|control| of_sets(curve, control)).collect();
    let mut found = Vec::with_capacity(curve.points.len() + 1);
    for (k, point) in curve.points.iter().enumerate() {
        let clusters = clusters(&point.answers.rows);
        let of = |(control, more): (&&Curve, &Vec<f64>)| -> Result<Against> {
            let other = &control.points[k];
            let difference = paired(&point.answers.scores, &other.answers.scores, &clusters, confidence)?;
            let difference = widened(difference, more[k], confidence);
            Ok(Against { name: control.name.clone(), control: other.accuracy.estimate, difference })
        };
        found.push(comparison(Some(point.size), controls.iter().zip(&more).map(of).collect::<Result<_>>()?));
    }
    let rungs: Vec<(usize, usize)> = curve.points.iter().map(|point| (point.size, point.draws)).collect();
    let of = |control: &&Curve| -> Result<Against> {
        let difference = curve.code.coded.less(Some(&control.code.coded), &rungs, task, confidence)?;
        Ok(Against { name: control.name.clone(), control: control.code.bits.estimate, difference })
    };
    found.push(comparison(None, controls.iter().map(of).collect::<Result<_>>()?));
    Ok(found)
}

/// What training sets add to the variance of the difference, by size.
fn of_sets(curve: &Curve, control: &Curve) -> Vec<f64> {
    let rungs: Vec<(usize, usize)> = curve.points.iter().map(|point| (point.size, point.draws)).collect();
    let both = curve.points.iter().zip(&control.points);
    let differences: Vec<Vec<f64>> =
        both.map(|(a, b)| a.by_set.iter().zip(&b.by_set).map(|(a, b)| a - b).collect()).collect();
    between_sets(&rungs, &differences.iter().map(Vec::as_slice).collect::<Vec<_>>(), None)
}

/// The best control leaves the least difference.
fn comparison(size: Option<usize>, controls: Vec<Against>) -> Comparison {
    let least = |a: &usize, b: &usize| controls[*a].difference.estimate.total_cmp(&controls[*b].difference.estimate);
    let best = (0..controls.len()).min_by(least).unwrap_or_default();
    Comparison { size, best, controls }
}
