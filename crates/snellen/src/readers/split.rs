//! Which rows a reader learns from and which it is asked.
//!
//! Folds of scenes ask for unseen pictures. Folds of objects ask for unseen combinations: the test holds only objects that training
//! never showed, and rows with both kinds are in neither. Clusters stay whole.

use super::Task;
use crate::random;
use crate::{Error, Result};
use rand::Rng;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet};

/// Rows to learn from and rows to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Rows that readers see with their answers.
    pub train: Vec<usize>,
    /// Rows that they are asked.
    pub test: Vec<usize>,
}

/// `folds` splits that ask every row of `task` once, each class spread evenly, clusters whole.
///
/// # Errors
/// For fewer than two folds, or fewer clusters than folds.
///
/// ```
/// use snellen::readers::{Task, scene_splits};
///
/// let task = Task::new(2, (0..20).map(|i| Some(i / 2 % 2)).collect(), (0..20).map(|i| i / 2).collect())?;
/// let splits = scene_splits(&task, 5, 7)?;
/// assert!(splits.iter().all(|split| split.train.len() == 16 && split.test.len() == 4));
/// # Ok::<(), snellen::Error>(())
/// ```
pub fn scene_splits(task: &Task, folds: usize, seed: u64) -> Result<Vec<Split>> {
    let rows = task.asked();
    let fold = deal(task, &rows, folds, &mut random::stream(seed, "folds of scenes", 0))?;
    let part = |wanted: usize, inside: bool| -> Vec<usize> {
        rows.iter().zip(&fold).filter(|(_, fold)| (**fold == wanted) == inside).map(|(row, _)| *row).collect()
    };
    Ok((0..folds).map(|k| Split { train: part(k, false), test: part(k, true) }).collect())
}

/// The split that holds out `held`: it trains on rows of `task` with none of these objects and asks those that have no other.
/// `objects` are those of each row, by any numbering of combinations.
///
/// # Errors
/// When there are not as many lists as rows, or either side is empty.
pub fn object_split(task: &Task, objects: &[Vec<u64>], held: &BTreeSet<u64>) -> Result<Split> {
    if objects.len() != task.rows() {
        return Err(Error::mismatch("objects", format!("{} lists, one per row", task.rows()), objects.len()));
    }
    let rows = task.asked();
    let pick = |wanted: bool| -> Vec<usize> {
        let holds = |row: &&usize| objects[**row].iter().all(|object| held.contains(object) == wanted);
        rows.iter().filter(holds).copied().collect()
    };
    let split = Split { train: pick(false), test: pick(true) };
    if split.train.is_empty() || split.test.is_empty() {
        let got = format!("{} and {}", split.train.len(), split.test.len());
        return Err(Error::mismatch("objects held out", "rows without any of them, and rows of nothing else", got));
    }
    Ok(split)
}

/// `count` splits, each of which holds out a block: all combinations of about half of the values of either factor. `objects` are the
/// (first, second) values of each row's objects. Twins stay inside a block, which single combinations drawn at random would not
/// give, and every value is seen in training with others. Draws that leave a side empty are drawn anew.
///
/// # Errors
/// When there are not as many lists as rows, a factor has fewer than three values, or no block leaves rows on both sides.
pub fn block_splits(task: &Task, objects: &[Vec<(u64, u64)>], count: usize, seed: u64) -> Result<Vec<Split>> {
    let values = |part: fn(&(u64, u64)) -> u64| -> Vec<u64> {
        objects.iter().flatten().map(part).collect::<BTreeSet<u64>>().into_iter().collect()
    };
    let [first, second] = [values(|object| object.0), values(|object| object.1)];
    if first.len() < 3 || second.len() < 3 {
        let got = format!("{} and {}", first.len(), second.len());
        return Err(Error::mismatch("objects", "at least 3 values of either factor", got));
    }
    let place = |values: &[u64], value: u64| values.binary_search(&value).unwrap_or_default();
    let number = |object: &(u64, u64)| (place(&first, object.0) * second.len() + place(&second, object.1)) as u64;
    let numbered: Vec<Vec<u64>> = objects.iter().map(|row| row.iter().map(number).collect()).collect();
    let draw = |index: usize, attempt: u64| {
        let rng = &mut random::stream(random::seed(seed, "blocks of objects", index as u64), "attempt", attempt);
        let mut some = |values: usize| {
            let mut order: Vec<usize> = (0..values).collect();
            order.shuffle(rng);
            order.truncate((values / 2).max(2));
            order
        };
        let [a, b] = [some(first.len()), some(second.len())];
        let wide = second.len();
        let held = a.iter().flat_map(|a| b.iter().map(move |b| (a * wide + b) as u64)).collect();
        object_split(task, &numbered, &held)
    };
    (0..count)
        .map(|index| (1..20).fold(draw(index, 0), |found, attempt| found.or_else(|_| draw(index, attempt))))
        .collect()
}

/// The fold of each of `rows`, clusters whole, the classes of clusters (of their first rows) dealt out evenly.
pub(super) fn deal(task: &Task, rows: &[usize], folds: usize, rng: &mut impl Rng) -> Result<Vec<usize>> {
    let clusters = clusters(task, rows);
    if folds < 2 || clusters.len() < folds {
        let expected = format!("2 folds or more, and a cluster for each of {folds}");
        return Err(Error::mismatch("folds", expected, format!("{folds} folds of {} clusters", clusters.len())));
    }
    let mut fold: BTreeMap<usize, usize> = BTreeMap::new();
    for (k, cluster) in by_class(task, clusters, rng).into_iter().flatten().enumerate() {
        cluster.into_iter().for_each(|row| _ = fold.insert(row, k % folds));
    }
    Ok(rows.iter().map(|row| fold[row]).collect())
}

/// `rows` in an order drawn at random in which every beginning holds the classes in like shares and clusters lie together.
pub(super) fn order(task: &Task, rows: &[usize], rng: &mut impl Rng) -> Vec<usize> {
    let mut placed: Vec<(f64, Vec<usize>)> = Vec::new();
    for class in by_class(task, clusters(task, rows), rng) {
        let count = class.len() as f64;
        let offset = f64::from(rng.next_u32()) / 2f64.powi(32);
        placed.extend(class.into_iter().enumerate().map(|(k, cluster)| ((k as f64 + offset) / count, cluster)));
    }
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    placed.into_iter().flat_map(|(_, cluster)| cluster).collect()
}

fn clusters(task: &Task, rows: &[usize]) -> Vec<Vec<usize>> {
    let mut clusters: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    rows.iter().for_each(|row| clusters.entry(task.clusters()[*row]).or_default().push(*row));
    clusters.into_values().collect()
}

fn by_class(task: &Task, clusters: Vec<Vec<usize>>, rng: &mut impl Rng) -> Vec<Vec<Vec<usize>>> {
    let mut classes: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
    clusters.into_iter().for_each(|cluster| classes.entry(task.label(cluster[0])).or_default().push(cluster));
    let mut classes: Vec<_> = classes.into_values().collect();
    classes.iter_mut().for_each(|class| class.shuffle(rng));
    classes
}
