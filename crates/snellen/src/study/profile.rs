//! What a set of images shows, and the study's entropy of it.
//!
//! avg_f is the share of the images that show feature f; the entropy is -sum p log2 p of the 16 avg_f, made to add up to 1. It is
//! meant to be low for units that stand for few features. But images of one object hold 3 features and images of five hold
//! nearly all, so it also says how many objects the images have.

use super::feature::{FEATURES, Truth};

/// A set of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Mean number of objects.
    pub objects: f64,
    /// avg_f, by feature.
    pub frequencies: [f64; FEATURES.len()],
    /// In bits, 0 to 4.
    pub entropy: f64,
}

/// Of the images in `rows`, at least one.
pub fn profile(truth: &Truth, rows: &[usize]) -> Profile {
    let n = rows.len() as f64;
    let share = |f: usize| rows.iter().filter(|row| truth.present[**row][f]).count() as f64 / n;
    let frequencies = std::array::from_fn(share);
    let objects = rows.iter().map(|row| truth.objects[*row]).sum::<usize>() as f64 / n;
    Profile { objects, frequencies, entropy: entropy(&frequencies) }
}

/// -sum p log2 p of `frequencies` made to add up to 1; 0 of nothing.
pub fn entropy(frequencies: &[f64]) -> f64 {
    let total: f64 = frequencies.iter().sum();
    let terms = frequencies.iter().map(|x| x / total).filter(|p| *p > 0.0);
    // Not -0 where one feature holds all.
    0.0 - terms.map(|p| p * p.log2()).sum::<f64>()
}
