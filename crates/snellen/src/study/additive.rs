//! Whether the study's number for a pair says anything of the pair.
//!
//! ratio_n(f, g) = (avg_f + avg_g) / sum avg, summed over units, is S_f + S_g: each feature's share, added. The least-squares
//! fit of s_f + s_g to the 120 sums shows it: what it leaves is what printing rounded away. Over all pairs of n features the
//! fit is s_f = (T_f - T / (n - 1)) / (n - 2), T_f being the sum over pairs with f, and T over all pairs.

use super::feature::{FEATURES, pairs};
use super::link::OfPairs;
use serde::Serialize;
use std::collections::BTreeMap;

/// The sums of all pairs as sums of one number per feature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdditiveFit {
    /// The largest distance of a pair's sum from that of its two features.
    pub max_residual: f64,
    /// s_f of each feature.
    pub feature_sums: BTreeMap<&'static str, f64>,
}

/// Fits `sums`.
pub fn additive_fit(sums: &OfPairs) -> AdditiveFit {
    let n = FEATURES.len() as f64;
    let total: f64 = sums.iter().sum();
    let with = |f: usize| pairs().zip(sums).filter(|(pair, _)| pair.contains(&f)).map(|(_, sum)| sum).sum::<f64>();
    let share: Vec<f64> = (0..FEATURES.len()).map(|f| (with(f) - total / (n - 1.0)) / (n - 2.0)).collect();
    let residual = |([a, b], sum): ([usize; 2], &f64)| (sum - share[a] - share[b]).abs();
    AdditiveFit {
        max_residual: pairs().zip(sums).map(residual).fold(0.0, f64::max),
        feature_sums: FEATURES.iter().zip(&share).map(|(feature, share)| (feature.name, *share)).collect(),
    }
}
