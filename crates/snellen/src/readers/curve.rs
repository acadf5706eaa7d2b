//! Learning curves: how often a reader is right after how many examples.

use super::code::{Code, Coded};
use super::ladder::Rung;
use super::paired::{between_sets, mean};
use super::{Ladder, Prepared, Reader, Split, Task, check, split};
use crate::measure::proportion::{Difference, Proportion};
use crate::random;
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What a reader makes of one matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The matrix.
    pub name: String,
    /// The reader: `ridge`, `logistic` or `mlp`.
    pub reader: String,
    /// What one is right in without looking: the mean of one over the candidates, or the most frequent class's share where every
    /// class is a candidate.
    pub chance: f64,
    /// By size, ascending.
    pub points: Vec<Point>,
    /// The online code.
    pub code: Code,
}

/// A size of the curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Rows that were learnt from.
    pub size: usize,
    /// Training sets drawn for each split.
    pub draws: usize,
    /// Training sets, over all splits.
    pub sets: usize,
    /// Rows answered right, mean over the training sets that did not hold them; clustered, with what training sets vary by.
    pub accuracy: Proportion,
    /// Bits that an answer costs: mean -log2 p(right answer), p being (size p + 1) / (size + candidates).
    pub bits: Difference,
    /// Accuracy by the same steps with shuffled labels.
    pub null: Option<Proportion>,
    /// The strength chosen by each training set, in the reader's units.
    pub strengths: Vec<f64>,
    /// The accuracy of each training set, split after split.
    pub by_set: Vec<f64>,
    /// The largest gradient per row that a search ended with.
    pub gradient: Option<f64>,
    /// What `accuracy` and `bits` are the means of.
    #[serde(skip)]
    pub answers: Answers,
}

/// Row by row, means over the training sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Rows, ascending.
    pub rows: Vec<usize>,
    /// 1 right, 0 wrong.
    pub scores: Vec<f64>,
    /// -log2 p(right answer).
    pub bits: Vec<f64>,
}

/// One training set.
struct Job {
    matrix: usize,
    split: usize,
    rung: usize,
    draw: usize,
    null: bool,
}

/// What came of it.
struct Outcome {
    /// Score and bits of each test row.
    test: Vec<[f64; 2]>,
    /// Bits of each row of the next block.
    next: Vec<f64>,
    strength: Option<f64>,
    gradient: Option<f64>,
}

impl Outcome {
    fn accuracy(&self) -> f64 {
        self.test.iter().map(|[score, _]| score).sum::<f64>() / self.test.len() as f64
    }
}

/// The learning curve of every one of `matrices` at `task`: `reader` learns from the first rows, up to each size of `ladder`, of
/// orders drawn by `seed` from the training side of `splits`, and is asked their test side. Orders and inner folds are the
/// same for all matrices.
///
/// # Errors
/// When rows disagree, a split is empty, overlaps or holds rows without an answer, there are too few rows for a size, or the
/// reader's choices are none.
///
/// ```
/// use snellen::measure::{Confidence, Matrix};
/// use snellen::readers::{Ladder, Prepared, Reader, Task, curves, scene_splits};
///
/// let matrix = Matrix::new(60, 1, (0..60).map(|i| (i % 2) as f32).collect())?;
/// let task = Task::new(2, (0..60).map(|i| Some(i % 2)).collect(), (0..60).collect())?;
/// let ladder = Ladder { sizes: vec![20], draws: 1, null: true, confidence: Confidence::new(0.95)? };
/// let rows = [Prepared::new("parity", &matrix)?];
/// let found = curves(&rows, &task, &scene_splits(&task, 3, 1)?, &ladder, &Reader::logistic(), 1)?;
/// assert_eq!(found[0].points[0].accuracy.estimate, 1.0);
/// // A third of the rows is coded before anything is learnt.
/// assert!(found[0].code.compression > 1.5);
/// # Ok::<(), snellen::Error>(())
/// ```
pub fn curves(
    matrices: &[Prepared<'_>],
    task: &Task,
    splits: &[Split],
    ladder: &Ladder,
    reader: &Reader,
    seed: u64,
) -> Result<Vec<Curve>> {
    reader.check()?;
    for (k, split) in splits.iter().enumerate() {
        check_split(k, split, task)?;
        matrices.iter().try_for_each(|matrix| check(matrix, task, &split.train))?;
    }
    let Some(rows) = splits.iter().map(|split| split.train.len()).min() else {
        return Err(Error::mismatch("splits", "at least one", "none"));
    };
    let rungs = ladder.rungs(rows, reader)?;
    let most = rungs.iter().map(|rung| rung.draws).max().unwrap_or_default();
    let order = |s: usize, draw: usize| {
        let rng = &mut random::stream(random::seed(seed, "training order", s as u64), "draw", draw as u64);
        split::order(task, &splits[s].train, rng)
    };
    let orders: Vec<Vec<Vec<usize>>> =
        (0..splits.len()).map(|s| (0..most).map(|draw| order(s, draw)).collect()).collect();
    let shuffled = task.shuffled(seed);
    let mut jobs = Vec::new();
    for (matrix, split, null) in
        (0..matrices.len()).flat_map(|m| (0..splits.len()).flat_map(move |s| [(m, s, false), (m, s, true)]))
    {
        for (rung, step) in rungs.iter().enumerate().filter(|_| !null || ladder.null) {
            jobs.extend((0..step.draws).map(|draw| Job { matrix, split, rung, draw, null }));
        }
    }
    let run = |job: &Job| -> Result<Outcome> {
        let order = &orders[job.split][job.draw];
        let size = rungs[job.rung].size;
        let coded = !job.null;
        let next = rungs.get(job.rung + 1).filter(|_| coded).map_or(&[][..], |next| &order[size..next.size]);
        let test = &splits[job.split].test;
        let asked: Vec<usize> = test.iter().chain(next).copied().collect();
        let task = if job.null { &shuffled } else { task };
        let seed = random::seed(seed, "reader", (job.split * most + job.draw) as u64);
        let found = reader.read(&matrices[job.matrix], task, &order[..size], &asked, seed)?;
        let answers: Vec<[f64; 2]> = asked
            .iter()
            .zip(found.probabilities.chunks(task.classes()))
            .map(|(row, p)| answer(p, task.label(*row), size as f64, task.choices(*row) as f64))
            .collect();
        let (test, next) = answers.split_at(test.len());
        let next = next.iter().map(|[_, bits]| *bits).collect();
        Ok(Outcome { test: test.to_vec(), next, strength: found.strength, gradient: found.gradient })
    };
    let outcomes: Vec<Outcome> = jobs.par_iter().with_max_len(1).map(run).collect::<Result<_>>()?;
    let done: Vec<(&Job, &Outcome)> = jobs.iter().zip(&outcomes).collect();
    let gathered = Gathered { task, splits, ladder, rungs: &rungs, orders: &orders, done: &done };
    (0..matrices.len()).map(|m| gathered.curve(m, matrices[m].name(), reader)).collect()
}

/// Everything that curves are made of.
struct Gathered<'a> {
    task: &'a Task,
    splits: &'a [Split],
    ladder: &'a Ladder,
    rungs: &'a [Rung],
    orders: &'a [Vec<Vec<usize>>],
    done: &'a [(&'a Job, &'a Outcome)],
}

impl Gathered<'_> {
    fn curve(&self, matrix: usize, name: &str, reader: &Reader) -> Result<Curve> {
        let of_matrix = || self.done.iter().filter(move |(job, _)| job.matrix == matrix);
        let mut points = Vec::with_capacity(self.rungs.len());
        for (rung, step) in self.rungs.iter().enumerate() {
            let at = |null: bool| of_matrix().filter(move |(job, _)| job.rung == rung && job.null == null);
            let answers = |null: bool| {
                let rows = at(null).flat_map(|(job, found)| self.splits[job.split].test.iter().zip(&found.test));
                Answers::mean(self.task, rows.map(|(row, [score, bits])| (*row, *score, *bits)))
            };
            let found = answers(false);
            let null = self.ladder.null.then(|| self.accuracy(&answers(true))).transpose()?;
            points.push(Point {
                size: step.size,
                draws: step.draws,
                sets: step.draws * self.splits.len(),
                accuracy: self.accuracy(&found)?,
                bits: mean(&found.bits, &self.clusters(&found), self.ladder.confidence)?,
                null,
                by_set: at(false).map(|(_, found)| found.accuracy()).collect(),
                strengths: at(false).filter_map(|(_, found)| found.strength).collect(),
                gradient: at(false).filter_map(|(_, found)| found.gradient).reduce(f64::max),
                answers: found,
            });
        }
        let by_set: Vec<&[f64]> = points.iter().map(|point| &point.by_set[..]).collect();
        let rungs: Vec<(usize, usize)> = self.rungs.iter().map(|rung| (rung.size, rung.draws)).collect();
        let more = between_sets(&rungs, &by_set, None);
        for (point, more) in points.iter_mut().zip(more) {
            point.accuracy = point.accuracy.widened(more, self.ladder.confidence);
        }
        let code = self.code(matrix)?;
        Ok(Curve { name: name.to_owned(), reader: reader.name().to_owned(), chance: chance(self.task), points, code })
    }

    fn code(&self, matrix: usize) -> Result<Code> {
        let last = self.rungs.last().map_or(0, |rung| rung.size) as f64;
        let mut sums = vec![[0.0; 2]; self.task.rows()];
        let mut add = |row: usize, bits: f64, weight: f64| {
            let [all, weights] = &mut sums[row];
            (*all, *weights) = (*all + weight * bits, *weights + weight);
        };
        let draws = self.orders.len() as f64;
        let mut uniform = 0.0;
        for order in self.orders.iter().map(|orders| &orders[0]) {
            let first = &order[..self.rungs[0].size];
            first.iter().for_each(|row| add(*row, self.task.uniform_bits(*row), 1.0 / (last * draws)));
            let all = order[..last as usize].iter().map(|row| self.task.uniform_bits(*row)).sum::<f64>();
            uniform += all / (last * draws);
        }
        let (mut shares, mut by_set) = (Vec::new(), Vec::new());
        for (rung, steps) in self.rungs.windows(2).enumerate() {
            let sets = (steps[0].draws * self.splits.len()) as f64;
            let of_rung = self.done.iter().filter(|(job, _)| job.matrix == matrix && job.rung == rung && !job.null);
            let mut means = Vec::new();
            for (job, found) in of_rung {
                let rows = &self.orders[job.split][job.draw][steps[0].size..];
                rows.iter().zip(&found.next).for_each(|(row, bits)| add(*row, *bits, 1.0 / (last * sets)));
                means.push(found.next.iter().sum::<f64>() / found.next.len() as f64);
            }
            shares.push((steps[1].size - steps[0].size) as f64 / last);
            by_set.push(means);
        }
        let rows: Vec<usize> = (0..self.task.rows()).filter(|row| sums[*row][1] > 0.0).collect();
        let coded = Coded {
            weights: rows.iter().map(|row| sums[*row][1]).collect(),
            bits: rows.iter().map(|row| sums[*row][0] / sums[*row][1]).collect(),
            rows,
            shares,
            by_set,
        };
        let rungs: Vec<(usize, usize)> = self.rungs.iter().map(|rung| (rung.size, rung.draws)).collect();
        let bits = coded.less(None, &rungs, self.task, self.ladder.confidence)?;
        Ok(Code { bits, uniform, compression: uniform / bits.estimate, coded })
    }

    fn clusters(&self, answers: &Answers) -> Vec<u64> {
        answers.rows.iter().map(|row| self.task.clusters()[*row]).collect()
    }

    fn accuracy(&self, answers: &Answers) -> Result<Proportion> {
        Proportion::clustered(&answers.scores, &self.clusters(answers), self.ladder.confidence)
    }
}

impl Answers {
    /// The mean of each row's answers (row, score, bits).
    fn mean(task: &Task, answers: impl Iterator<Item = (usize, f64, f64)>) -> Self {
        let mut sums = vec![[0.0; 3]; task.rows()];
        for (row, score, bits) in answers {
            let [scores, all, count] = &mut sums[row];
            (*scores, *all, *count) = (*scores + score, *all + bits, *count + 1.0);
        }
        let rows: Vec<usize> = (0..task.rows()).filter(|row| sums[*row][2] > 0.0).collect();
        let mean = |k: usize| rows.iter().map(|row| sums[*row][k] / sums[*row][2]).collect();
        Self { scores: mean(0), bits: mean(1), rows }
    }
}

/// Score and bits of an answer with probabilities `p`: a tie for the largest counts its share. As if one more row for each of the
/// `choices` had been learnt beside `size`, so that no answer costs more than log2(size + choices).
fn answer(p: &[f64], label: usize, size: f64, choices: f64) -> [f64; 2] {
    let largest = p.iter().copied().fold(0.0, f64::max);
    let ties = p.iter().filter(|p| **p >= largest).count();
    let score = if p[label] >= largest { 1.0 / ties as f64 } else { 0.0 };
    [score, -((size * p[label] + 1.0) / (size + choices)).log2()]
}

/// What one is right in without looking.
pub(super) fn chance(task: &Task) -> f64 {
    let rows = task.asked();
    let choices = rows.iter().map(|row| 1.0 / task.choices(*row) as f64).sum::<f64>() / rows.len().max(1) as f64;
    if rows.iter().any(|row| task.choices(*row) < task.classes()) {
        return choices;
    }
    let count = |class: usize| rows.iter().filter(|row| task.label(**row) == class).count();
    let most = (0..task.classes()).map(count).max().unwrap_or_default();
    choices.max(most as f64 / rows.len().max(1) as f64)
}

fn check_split(k: usize, split: &Split, task: &Task) -> Result<()> {
    let place = format!("split {k}");
    let sorted: std::collections::BTreeSet<usize> = split.train.iter().copied().collect();
    if split.train.is_empty() || split.test.is_empty() {
        let got = format!("{} and {}", split.train.len(), split.test.len());
        return Err(Error::mismatch(place, "rows on both sides", got));
    }
    if sorted.len() != split.train.len() {
        return Err(Error::mismatch(place, "training rows that come once", "some twice"));
    }
    if let Some(row) = split.test.iter().find(|row| sorted.contains(row)) {
        return Err(Error::mismatch(place, "no row on both sides", format!("row {row}")));
    }
    let all = split.train.iter().chain(&split.test);
    if let Some(row) = all.into_iter().find(|row| task.labels().get(**row).is_none_or(Option::is_none)) {
        return Err(Error::mismatch(place, "rows that have an answer", format!("row {row}")));
    }
    let learnt: std::collections::BTreeSet<usize> = split.train.iter().map(|row| task.label(*row)).collect();
    if let Some(row) = split.test.iter().find(|row| !learnt.contains(&task.label(**row))) {
        let got = format!("class {} of row {row} in the test alone", task.label(*row));
        return Err(Error::mismatch(place, "classes that training shows too", got));
    }
    Ok(())
}
