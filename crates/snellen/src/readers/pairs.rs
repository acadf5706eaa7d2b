//! Which of two pairs of rows belongs together, by a symmetric bilinear form that is learnt (compare arXiv 2510.24709).
//!
//! ```text
//! minimise  sum over comparisons of (1 - x^T M y + u^T M v)^2  +  penalty |M|^2,    M symmetric
//! ```
//!
//! x and y are the rows that belong together, u and v those that don't, on the leading principal axes of all rows, each of variance 1: a
//! cosine sees the axes along which rows vary most, a form may use those along which they hardly vary. Every comparison is answered by the
//! form that was learnt without its cluster, which is exact: e_C = (I - H_CC)^-1 r_C as in ridge regression. The penalty is
//! the one by which the squared error of clusters left out is least.

use super::Prepared;
use super::prepared::product;
use crate::measure::Matrix;
use crate::{Error, Result};
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use std::collections::BTreeMap;

/// Principal axes that a form sees, at most.
const AXES: usize = 16;
/// Penalties, in units of the mean eigenvalue of the comparisons' scatter.
const PENALTIES: [f64; 5] = [1e-3, 1e-2, 1e-1, 1.0, 10.0];
/// What a form says within this of 0 is a tie.
const TIE: f64 = 1e-9;

/// Two pairs of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComparedPairs {
    /// Those that belong together.
    pub same: [usize; 2],
    /// Those that don't.
    pub other: [usize; 2],
}

/// For each of `compared`, which are pairs of `rows`, what a form that was learnt without its cluster says of the pair that belongs
/// together, less what it says of the other: above 0 is right. All are 0 where rows don't differ.
///
/// # Errors
/// When lengths disagree, a row isn't there, there are fewer than two clusters, or a number is not finite.
pub fn tell_pairs(rows: &Matrix, compared: &[ComparedPairs], clusters: &[u64]) -> Result<Vec<f64>> {
    let prepared = Prepared::new("rows of pairs", rows)?;
    let groups = grouped(rows, compared, clusters)?;
    let axes = axes(&prepared);
    let features = features(&axes, compared);
    let scatter = product(features.transpose(), features.as_ref());
    let size = scatter.nrows();
    let unit = (0..size).map(|k| scatter[(k, k)]).sum::<f64>() / size.max(1) as f64;
    if unit <= 0.0 {
        return Ok(vec![0.0; compared.len()]);
    }
    let mut best: Option<(f64, Vec<f64>)> = None;
    for share in PENALTIES {
        let said = left_out(&features, &scatter, share * unit, &groups)?;
        let error = said.iter().map(|said| (1.0 - said).powi(2)).sum::<f64>();
        if best.as_ref().is_none_or(|(least, _)| error < *least) {
            best = Some((error, said));
        }
    }
    let said = best.map_or_else(Vec::new, |(_, said)| said);
    Ok(said.into_iter().map(|said| if said.abs() <= TIE { 0.0 } else { said }).collect())
}

/// Comparisons of each cluster.
fn grouped(rows: &Matrix, compared: &[ComparedPairs], clusters: &[u64]) -> Result<Vec<Vec<usize>>> {
    if clusters.len() != compared.len() {
        return Err(Error::mismatch("clusters", format!("{}, one per comparison", compared.len()), clusters.len()));
    }
    let named = compared.iter().flat_map(|pairs| pairs.same.into_iter().chain(pairs.other));
    if let Some(row) = named.max().filter(|row| *row >= rows.images()) {
        return Err(Error::mismatch("pairs", format!("rows below {}", rows.images()), row));
    }
    let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    clusters.iter().enumerate().for_each(|(i, cluster)| groups.entry(*cluster).or_default().push(i));
    if groups.len() < 2 {
        return Err(Error::mismatch("clusters", "at least 2", groups.len()));
    }
    Ok(groups.into_values().collect())
}

/// `[row, axis]`: coordinates of all rows, each axis of mean square 1.
fn axes(prepared: &Prepared<'_>) -> Mat<f64> {
    let (all, count) = (prepared.coordinates(), prepared.components().min(AXES));
    let n = all.nrows();
    let by = |k: usize| (all.col(k).iter().map(|value| value * value).sum::<f64>() / n as f64).sqrt();
    let by: Vec<f64> = (0..count).map(by).collect();
    Mat::from_fn(n, count, |i, k| all[(i, k)] / by[k])
}

/// `[comparison, i <= j]`: what M's entries count, M_ii and sqrt(2) M_ij, so that their squares add up to |M|^2.
fn features(axes: &Mat<f64>, compared: &[ComparedPairs]) -> Mat<f64> {
    let entries: Vec<[usize; 2]> = (0..axes.ncols()).flat_map(|j| (0..=j).map(move |i| [i, j])).collect();
    let of = |[p, q]: [usize; 2], [i, j]: [usize; 2]| {
        if i == j {
            axes[(p, i)] * axes[(q, i)]
        } else {
            (axes[(p, i)] * axes[(q, j)] + axes[(p, j)] * axes[(q, i)]) / std::f64::consts::SQRT_2
        }
    };
    Mat::from_fn(compared.len(), entries.len(), |row, entry| {
        of(compared[row].same, entries[entry]) - of(compared[row].other, entries[entry])
    })
}

/// What is said of each comparison by the form that is learnt without its group.
fn left_out(features: &Mat<f64>, scatter: &Mat<f64>, penalty: f64, groups: &[Vec<usize>]) -> Result<Vec<f64>> {
    let size = scatter.nrows();
    let system = Mat::from_fn(size, size, |i, j| scatter[(i, j)] + if i == j { penalty } else { 0.0 });
    let failed = |_| Error::mismatch("pairs", "a scatter that can be decomposed", "another");
    let solved = system.llt(Side::Lower).map_err(failed)?.solve(features.transpose());
    let sums = Mat::from_fn(features.nrows(), 1, |_, _| 1.0);
    let fitted = product(features.as_ref(), product(solved.as_ref(), sums.as_ref()).as_ref());
    let mut said = vec![0.0; features.nrows()];
    for group in groups {
        let own = Mat::from_fn(group.len(), size, |i, k| features[(group[i], k)]);
        let across = Mat::from_fn(size, group.len(), |k, j| solved[(k, group[j])]);
        let hat = product(own.as_ref(), across.as_ref());
        let system = Mat::from_fn(group.len(), group.len(), |i, j| f64::from(u8::from(i == j)) - hat[(i, j)]);
        let rest = Mat::from_fn(group.len(), 1, |i, _| 1.0 - fitted[(group[i], 0)]);
        let errors = system.partial_piv_lu().solve(rest);
        group.iter().enumerate().for_each(|(i, row)| said[*row] = 1.0 - errors[(i, 0)]);
    }
    Ok(said)
}
