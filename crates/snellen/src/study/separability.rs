//! How far apart the images of two features lie, as the study measures it.
//!
//! Of the images with exactly one of the two features: the Euclidean distance of the two means, and how many images lie nearer
//! to the other feature's mean than to their own's. The image itself is part of its mean, so the count is in-sample and flatters;
//! [`Separability::left_out`] counts with the image left out of its mean. In the variant with principal components, these
//! are computed from the fewest components whose share of the pair's variance exceeds 0.9.

use super::embeddings::Embeddings;
use crate::{Error, Result};
use faer::{Mat, Side};

/// The share of the variance that the components must exceed.
pub const VARIANCE: f64 = 0.9;

/// Two features' images, told apart by their means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Separability {
    /// Distance of the means.
    pub distance: f64,
    /// Images nearer to the other mean.
    pub misclassified: usize,
    /// The same with each image left out of its own mean; an image that is alone with its feature counts as wrong.
    pub left_out: usize,
    /// Images.
    pub images: usize,
    /// Principal components in use; `None` where all coordinates are.
    pub components: Option<usize>,
}

impl Separability {
    /// The rate that the study reports.
    pub fn rate(&self) -> f64 {
        self.misclassified as f64 / self.images as f64
    }

    /// The rate with each image left out of its own mean.
    pub fn left_out_rate(&self) -> f64 {
        self.left_out as f64 / self.images as f64
    }
}

/// On all coordinates; `sides` are the rows of the images with either feature, none of them empty.
pub fn full(embeddings: &Embeddings, sides: &[Vec<usize>; 2]) -> Separability {
    of_rows(&sides.each_ref().map(|side| side.iter().map(|row| embeddings.row(*row).to_vec()).collect()))
}

/// On the principal components of these images.
///
/// # Errors
/// When their decomposition does not converge.
pub fn principal(embeddings: &Embeddings, sides: &[Vec<usize>; 2]) -> Result<Separability> {
    let scores = components(embeddings, &sides.concat())?;
    let (first, second) = scores.split_at(sides[0].len());
    let used = scores[0].len();
    Ok(Separability { components: Some(used), ..of_rows(&[first.to_vec(), second.to_vec()]) })
}

/// On any coordinates: the rows of the images with either feature.
pub(super) fn of_rows(sides: &[Vec<Vec<f64>>; 2]) -> Separability {
    let means = sides.each_ref().map(|side| {
        let mut mean = vec![0.0; side[0].len()];
        side.iter().for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x));
        mean.iter_mut().for_each(|sum| *sum /= side.len() as f64);
        mean
    });
    let (mut misclassified, mut left_out) = (0, 0);
    for (side, rows) in sides.iter().enumerate() {
        for row in rows {
            let [own, other] = [side, 1 - side].map(|s| squared(row, &means[s]));
            misclassified += usize::from(other < own);
            // x less the mean of the others is n / (n - 1) times x less the mean of all; that of nothing is endless.
            let n = rows.len() as f64;
            left_out += usize::from(rows.len() == 1 || other < own * (n / (n - 1.0)).powi(2));
        }
    }
    let images = sides[0].len() + sides[1].len();
    Separability { distance: squared(&means[0], &means[1]).sqrt(), misclassified, left_out, images, components: None }
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The scores of `rows` on their first principal components, as many as it takes; none where the rows are all the same.
///
/// From the eigenvectors of the smaller of the two products of the centred matrix with itself: unlike the singular value
/// decompositions in common use, which fail on some of the study's pairs, that has an answer however many rows are alike.
fn components(embeddings: &Embeddings, rows: &[usize]) -> Result<Vec<Vec<f64>>> {
    let (n, d) = (rows.len(), embeddings.width());
    let mut mean = vec![0.0; d];
    rows.iter().for_each(|row| mean.iter_mut().zip(embeddings.row(*row)).for_each(|(sum, x)| *sum += x));
    mean.iter_mut().for_each(|sum| *sum /= n as f64);
    let centered = Mat::from_fn(n, d, |i, j| embeddings.row(rows[i])[j] - mean[j]);
    let wide = n <= d;
    let product = if wide { &centered * centered.transpose() } else { centered.transpose() * &centered };
    let failed = |_| Error::mismatch("principal components", "a decomposition that converges", "none");
    let eigen = product.self_adjoint_eigen(Side::Lower).map_err(failed)?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    // In increasing order; rounding may leave the smallest below 0.
    let size = values.nrows();
    let variance = |k: usize| values[size - 1 - k].max(0.0);
    let total: f64 = (0..size).map(variance).sum();
    if total <= 0.0 {
        return Ok(vec![Vec::new(); n]);
    }
    let mut sum = 0.0;
    let used = (0..size).take_while(|k| {
        let go_on = sum / total <= VARIANCE;
        sum += variance(*k);
        go_on
    });
    let used = used.count();
    let axes = vectors.subcols(size - used, used);
    let scores = if wide {
        Mat::from_fn(n, used, |i, k| axes[(i, used - 1 - k)] * variance(k).sqrt())
    } else {
        &centered * axes
    };
    Ok((0..n).map(|i| (0..used).map(|k| scores[(i, k)]).collect()).collect())
}
