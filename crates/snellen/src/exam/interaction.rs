//! Whether a model knows some combinations and not others.
//!
//! Accuracy by combination is a mean, a part of each value of either factor, and what is left: the interaction,
//!
//! ```text
//! V = mean over cells of (m_rc - m_r - m_c + m)^2, less what noise within cells gives
//! ```
//!
//! A model that knows attributes has none; one that learnt combinations by heart is right on those and wrong on the others, whatever
//! their values. No list of what it was trained on is needed.

use crate::random;
use crate::scene::{Scene, World};
use rand::RngExt;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 500;

/// The variance over combinations that is interaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interaction {
    pub(super) estimate: f64,
    pub(super) lo: f64,
    pub(super) hi: f64,
}

/// The scores of single objects by their values of two factors, `[row][column]`.
pub(super) fn by_combination(
    world: &World,
    [rows, columns]: [usize; 2],
    scenes: &[Scene],
    score: &dyn Fn(usize) -> f64,
) -> Vec<Vec<Vec<f64>>> {
    let [height, width] = [rows, columns].map(|f| world.factors[f].values.len());
    let mut cells = vec![vec![Vec::new(); width]; height];
    for (i, scene) in scenes.iter().enumerate() {
        let values = &scene.objects[0].values;
        cells[values[rows] as usize][values[columns] as usize].push(score(i));
    }
    cells
}

/// Of `cells`, the scores of every combination, rows by columns; `None` where a cell is empty or there is one row or column. The
/// interval is the percentile bootstrap over pictures within cells, less what resampling adds by itself (Efron 1981).
pub(super) fn interaction(cells: &[Vec<Vec<f64>>], level: f64, seed: u64) -> Option<Interaction> {
    let columns = cells.first()?.len();
    if cells.len() < 2 || columns < 2 || cells.iter().any(|row| row.len() != columns || row.iter().any(Vec::is_empty)) {
        return None;
    }
    let estimate = variance(cells);
    let mut rng = random::stream(seed, "interaction", 0);
    let mut drawn: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut cell = |scores: &Vec<f64>| -> Vec<f64> {
                (0..scores.len()).map(|_| scores[rng.random_range(0..scores.len())]).collect()
            };
            let again: Vec<Vec<Vec<f64>>> = cells.iter().map(|row| row.iter().map(&mut cell).collect()).collect();
            variance(&again)
        })
        .collect();
    drawn.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| drawn[((share * RESAMPLES as f64) as usize).min(RESAMPLES - 1)];
    let tail = (1.0 - level) / 2.0;
    let bias = drawn.iter().sum::<f64>() / RESAMPLES as f64 - estimate;
    Some(Interaction { estimate, lo: (at(tail) - bias).min(estimate), hi: (at(1.0 - tail) - bias).max(estimate) })
}

fn variance(cells: &[Vec<Vec<f64>>]) -> f64 {
    let (rows, columns) = (cells.len(), cells[0].len());
    let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    let means: Vec<Vec<f64>> = cells.iter().map(|row| row.iter().map(|scores| mean(scores)).collect()).collect();
    let of_row: Vec<f64> = means.iter().map(|row| mean(row)).collect();
    let of_column: Vec<f64> = (0..columns).map(|c| means.iter().map(|row| row[c]).sum::<f64>() / rows as f64).collect();
    let all = mean(&of_row);
    let (mut sum, mut noise) = (0.0, 0.0);
    for r in 0..rows {
        for c in 0..columns {
            sum += (means[r][c] - of_row[r] - of_column[c] + all).powi(2);
            let n = cells[r][c].len() as f64;
            if n > 1.0 {
                let within = cells[r][c].iter().map(|x| (x - means[r][c]).powi(2)).sum::<f64>() / (n - 1.0);
                noise += within / n;
            }
        }
    }
    let number = (rows * columns) as f64;
    let free = ((rows - 1) * (columns - 1)) as f64 / number;
    (sum - free * noise) / number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(score: impl Fn(usize, usize, usize) -> f64) -> Vec<Vec<Vec<f64>>> {
        (0..5).map(|r| (0..6).map(|c| (0..10).map(|i| score(r, c, i)).collect()).collect()).collect()
    }

    fn found(cells: &[Vec<Vec<f64>>], seed: u64) -> Interaction {
        interaction(cells, 0.95, seed).unwrap_or(Interaction { estimate: f64::NAN, lo: f64::NAN, hi: f64::NAN })
    }

    #[test]
    fn memory_is_an_interaction_and_bad_rows_are_none() {
        let known = |r: usize, c: usize| !(r + 2 * c).is_multiple_of(5);
        let of = |score: &dyn Fn(usize, usize, usize) -> f64| found(&grid(score), 1);
        let memory = of(&|r, c, _| f64::from(u8::from(known(r, c))));
        assert!(memory.estimate > 0.1 && memory.lo > 0.1, "{memory:?}");
        // One shape is never seen, whatever its colour; of another half of the pictures are.
        let rows = of(&|r, _, i| f64::from(u8::from(r > 1 || (r == 1 && i % 2 == 0))));
        assert!(rows.estimate.abs() < 0.01, "{rows:?}");
        // By hand: two by two, right on the diagonal alone.
        let cells = vec![vec![vec![1.0], vec![0.0]], vec![vec![0.0], vec![1.0]]];
        assert!((found(&cells, 1).estimate - 0.25).abs() < 1e-12);
        assert_eq!(interaction(&[vec![vec![1.0]]], 0.95, 1), None);
    }

    #[test]
    fn noise_is_taken_out() {
        let mut rng = random::stream(3, "noise", 0);
        let mut sum = 0.0;
        for seed in 0..40 {
            let cells = (0..5).map(|_| {
                (0..6).map(|_| (0..10).map(|_| f64::from(u8::from(rng.random_bool(0.6)))).collect()).collect()
            });
            sum += found(&cells.collect::<Vec<_>>(), seed).estimate / 40.0;
        }
        assert!(sum.abs() < 0.003, "{sum}");
    }
}
