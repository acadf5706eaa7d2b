//! The contrastive map between two spaces: which caption does a picture mean, by x^T A y?
//!
//! ```text
//! minimise  sum_a -log softmax_b(x_a^T A y_b)_a  +  |M|^2 / (2 C),    A = s I + M
//! ```
//!
//! over the matrix M and the scale s, which is free. The captions b are those of the picture's block: its own, its twin's (the same
//! words, swapped), and those of some other pairs. As A enters linearly the minimum is one, and at C = 0 it is
//! the spaces' own match. Pictures and captions are rotated to their principal axes, which leaves all of it as it is.

use super::minimise::{Evaluation, Minimum, minimise};
use super::prepared::product;
use super::softmax::exponential;
use crate::{Error, Result};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};

/// Pairs of a block.
const BLOCK: usize = 16;
/// Gradients end below this, per picture.
const TOLERANCE: f64 = 1e-4;
/// Evaluations of one search, at most.
const PASSES: usize = 400;

/// Pictures and captions `[2 pair, axis]` of all pairs, twins side by side, on axes of their own.
pub(super) struct Spaces {
    pub pictures: Mat<f64>,
    pub captions: Mat<f64>,
    /// The identity between the two, `[picture axis, caption axis]`.
    identity: Mat<f64>,
}

/// A map A.
pub(super) struct Map {
    pub a: Mat<f64>,
    /// Where its search ended: M, and s last.
    at: Vec<f64>,
    /// Length of the gradient per picture.
    pub gradient: f64,
}

impl Spaces {
    /// Of rows as they are; captions lose their mean, which no choice between captions sees.
    pub fn new(pictures: &Mat<f64>, captions: &Mat<f64>) -> Result<Self> {
        let captions = centred(captions);
        let [(first, of_pictures), (second, of_captions)] = [rotated(pictures)?, rotated(&captions)?];
        let [one, two] = [spread(&centred(pictures)), spread(&captions)];
        let scaled = |rows: Mat<f64>, by: f64| Mat::from_fn(rows.nrows(), rows.ncols(), |i, j| rows[(i, j)] / by);
        let identity = product(first.transpose(), second.as_ref());
        Ok(Self { pictures: scaled(of_pictures, one), captions: scaled(of_captions, two), identity })
    }

    /// The map that `pairs` (their caption pairs, flipped where told) teach at strength `c`, searched from `from`.
    pub fn map(&self, pairs: &[Taught], c: f64, from: Option<&Map>) -> Map {
        let (tall, wide) = (self.identity.nrows(), self.identity.ncols());
        let rows: Vec<usize> = pairs.iter().flat_map(|pair| [2 * pair.picture, 2 * pair.picture + 1]).collect();
        let said: Vec<usize> = pairs
            .iter()
            .flat_map(|pair| {
                [usize::from(pair.flipped), usize::from(!pair.flipped)].map(|side| 2 * pair.caption + side)
            })
            .collect();
        let pick = |from: &Mat<f64>, rows: &[usize]| Mat::from_fn(rows.len(), from.ncols(), |i, j| from[(rows[i], j)]);
        let (x, y) = (pick(&self.pictures, &rows), pick(&self.captions, &said));
        let squares = |of: &Mat<f64>, j: usize| of.col(j).iter().map(|v| v * v).sum::<f64>() / of.nrows() as f64;
        let [left, right]: [Vec<f64>; 2] =
            [(0..tall).map(|j| squares(&x, j)).collect(), (0..wide).map(|j| squares(&y, j)).collect()];
        let start = from.map_or_else(|| vec![0.0; tall * wide + 1], |map| map.at.clone());
        let evaluate = |point: &[f64]| {
            let a = self.at(point);
            let along = product(x.as_ref(), a.as_ref());
            let (value, spread, back) = blocks(along.as_ref(), y.as_ref());
            let slopes = product(x.transpose(), back.as_ref());
            let mut gradient = Vec::with_capacity(tall * wide + 1);
            let mut curvature = Vec::with_capacity(tall * wide + 1);
            let (mut penalty, mut of_scale, mut stiff) = (0.0, 0.0, 1e-9);
            for (j, right) in right.iter().enumerate() {
                let own = self.identity.col(j).iter().zip(slopes.col(j).iter());
                for ((at, left), (own, slope)) in point[j * tall..][..tall].iter().zip(&left).zip(own) {
                    penalty += at * at / (2.0 * c);
                    gradient.push(slope + at / c);
                    curvature.push(spread * left * right + 1.0 / c);
                    of_scale += slope * own;
                    stiff += spread * left * right * own * own;
                }
            }
            gradient.push(of_scale);
            curvature.push(stiff);
            Evaluation { value: value + penalty, gradient, curvature }
        };
        let tolerance = TOLERANCE * rows.len() as f64;
        let found: Minimum =
            minimise(vec![start], tolerance, PASSES, |_, points| points.iter().map(|p| evaluate(p)).collect())
                .remove(0);
        Map { a: self.at(&found.at), gradient: found.gradient / rows.len() as f64, at: found.at }
    }

    /// s I + M.
    fn at(&self, point: &[f64]) -> Mat<f64> {
        let (tall, wide) = (self.identity.nrows(), self.identity.ncols());
        let s = point[tall * wide];
        Mat::from_fn(tall, wide, |i, j| point[j * tall + i] + s * self.identity[(i, j)])
    }

    /// For both pictures of each pair, the score of the caption it is taught less that of the other.
    pub fn margins(&self, map: &Map, pairs: &[Taught]) -> Vec<[f64; 2]> {
        let y = |pair: &Taught, j: usize| {
            let change = self.captions[(2 * pair.caption, j)] - self.captions[(2 * pair.caption + 1, j)];
            if pair.flipped { -change } else { change }
        };
        let changes = Mat::from_fn(self.captions.ncols(), pairs.len(), |j, k| y(&pairs[k], j));
        let along = product(map.a.as_ref(), changes.as_ref());
        let score =
            |k: usize, row: usize| (0..along.nrows()).map(|i| self.pictures[(row, i)] * along[(i, k)]).sum::<f64>();
        pairs
            .iter()
            .enumerate()
            .map(|(k, pair)| [score(k, 2 * pair.picture), -score(k, 2 * pair.picture + 1)])
            .collect()
    }
}

/// What one picture pair is taught: the captions of which pair, and whether they are the wrong way round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taught {
    pub picture: usize,
    pub caption: usize,
    pub flipped: bool,
}

impl Taught {
    /// The pair's own captions.
    pub fn own(pair: usize) -> Self {
        Self { picture: pair, caption: pair, flipped: false }
    }
}

/// Loss, mean of p (1 - p) summed over captions and pictures, and the derivatives by `along` `[picture, caption axis]`.
fn blocks(along: MatRef<'_, f64>, captions: MatRef<'_, f64>) -> (f64, f64, Mat<f64>) {
    let rows = along.nrows();
    let mut back = Mat::zeros(rows, along.ncols());
    let (mut value, mut spread) = (0.0, 0.0);
    for first in (0..rows).step_by(2 * BLOCK) {
        let many = (2 * BLOCK).min(rows - first);
        let (left, right) = (along.subrows(first, many), captions.subrows(first, many));
        // `[caption, picture]`, so that a picture's scores lie together.
        let mut z = vec![0.0; many * many];
        let scores = MatMut::from_column_major_slice_mut(&mut z, many, many);
        matmul(scores, Accum::Replace, right, left.transpose(), 1.0, Par::Seq);
        for (own, scores) in z.chunks_mut(many).enumerate() {
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let own_score = scores[own] - largest;
            let mut sum = 0.0;
            for score in scores.iter_mut() {
                *score = exponential(*score - largest);
                sum += *score;
            }
            value += sum.ln() - own_score;
            for score in scores.iter_mut() {
                *score /= sum;
                spread += *score * (1.0 - *score);
            }
            scores[own] -= 1.0;
        }
        let z = MatRef::from_column_major_slice(&z, many, many);
        matmul(back.as_mut().subrows_mut(first, many), Accum::Replace, z.transpose(), right, 1.0, Par::Seq);
    }
    (value, spread, back)
}

pub(super) fn centred(rows: &Mat<f64>) -> Mat<f64> {
    let n = rows.nrows() as f64;
    let means: Vec<f64> = (0..rows.ncols()).map(|j| rows.col(j).iter().sum::<f64>() / n).collect();
    Mat::from_fn(rows.nrows(), rows.ncols(), |i, j| rows[(i, j)] - means[j])
}

/// Root of the mean squared length.
fn spread(rows: &Mat<f64>) -> f64 {
    let total = (0..rows.ncols()).map(|j| rows.col(j).iter().map(|v| v * v).sum::<f64>()).sum::<f64>();
    if total > 0.0 { (total / rows.nrows() as f64).sqrt() } else { 1.0 }
}

/// Principal axes `[unit, axis]` (about 0) and the rows on them.
fn rotated(rows: &Mat<f64>) -> Result<(Mat<f64>, Mat<f64>)> {
    let failed = |_| Error::mismatch("alignment", "inner products that can be decomposed", "others");
    let eigen = product(rows.transpose(), rows.as_ref()).self_adjoint_eigen(Side::Lower).map_err(failed)?;
    let axes = eigen.U().to_owned();
    let on_axes = product(rows.as_ref(), axes.as_ref());
    Ok((axes, on_axes))
}
