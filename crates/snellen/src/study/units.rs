//! The study's view of units: what their top images show, the low-entropy set, and the sums of ratios of pairs.
//!
//! A unit is a coordinate of `hook_mlp_out`, its activation the mean over all tokens. Its top images are the 30 with the largest
//! activation, ties in the order of the images. Of the last 10 layers, the 100 units with the smallest entropy (see
//! [`profile`]) are kept. ratio(f, g) = (avg_f + avg_g) / sum avg; a pair's number of units is how many have a ratio above 0.3, its sum
//! that of the ratios of all 100.

use super::feature::{Truth, pairs};
use super::profile::{Profile, profile};
use super::shows::TOP;
use crate::measure::Matrix;
use crate::measure::correlation::pearson;
use rayon::prelude::*;

/// Layers, from the last on, that the low-entropy set is taken from.
pub const LAYERS: usize = 10;
/// Units in it.
pub const LOW: usize = 100;

/// A unit and its top images.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitProfile {
    /// Its layer.
    pub layer: usize,
    /// Its number in the layer.
    pub unit: usize,
    /// Rows of its top images, largest activation first.
    pub top: Vec<usize>,
    /// What they show.
    pub profile: Profile,
}

/// Of every unit of `layer`, whose activations are `[image, unit]`.
pub fn profiles(layer: usize, activations: &Matrix, truth: &Truth) -> Vec<UnitProfile> {
    let of = |unit: usize| {
        let values = activations.column(unit);
        let mut rows: Vec<usize> = (0..values.len()).collect();
        // Stable: ties stay in the order of the images. Adding 0 makes both zeros one.
        rows.sort_by(|a, b| (values[*b] + 0.0).total_cmp(&(values[*a] + 0.0)));
        rows.truncate(TOP);
        UnitProfile { layer, unit, profile: profile(truth, &rows), top: rows }
    };
    (0..activations.units()).into_par_iter().map(of).collect()
}

/// Which of `units` make up the low-entropy set, smallest entropy first; ties in the order given. `layers` is how many the
/// tower has.
pub fn low_entropy(units: &[UnitProfile], layers: usize) -> Vec<usize> {
    let first = layers.saturating_sub(LAYERS);
    let mut low: Vec<usize> = (0..units.len()).filter(|i| units[*i].layer >= first).collect();
    low.sort_by(|a, b| units[*a].profile.entropy.total_cmp(&units[*b].profile.entropy));
    low.truncate(LOW);
    low
}

/// What the low-entropy units say of each pair, in the order of [`pairs`].
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    /// Units with a ratio above 0.3.
    pub units: Vec<usize>,
    /// Sum of the ratios.
    pub sums: Vec<f64>,
}

/// Of the units of the low-entropy set.
pub fn sums<'a>(low: impl Iterator<Item = &'a Profile>) -> Sums {
    let mut result = Sums { units: vec![0; pairs().count()], sums: vec![0.0; pairs().count()] };
    for Profile { frequencies, .. } in low {
        let total: f64 = frequencies.iter().sum();
        if total == 0.0 {
            continue;
        }
        for (pair, [a, b]) in pairs().enumerate() {
            let both = frequencies[a] + frequencies[b];
            result.sums[pair] += both / total;
            // Frequencies are whole numbers of images: what is equal to 0.3 is not above it, however it was rounded.
            result.units[pair] += usize::from(both - 0.3 * total > 1e-9);
        }
    }
    result
}

/// Of the entropies of the units that the low-entropy set is taken from.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Entropies {
    /// Units.
    pub count: usize,
    /// Mean.
    pub mean: f64,
    /// Standard deviation, with n - 1.
    pub std: f64,
    /// Minimum, quartiles and maximum; between two units by linear interpolation.
    pub quantiles: [f64; 5],
    /// Pearson's r of a unit's entropy and the mean number of objects in its top images.
    pub objects_pearson: Option<f64>,
}

/// Of `units`; `layers` is how many the tower has.
pub fn entropies(units: &[UnitProfile], layers: usize) -> Entropies {
    let first = layers.saturating_sub(LAYERS);
    let late = units.iter().filter(|unit| unit.layer >= first);
    let both = late.map(|unit| (unit.profile.entropy, unit.profile.objects));
    let (mut values, objects): (Vec<f64>, Vec<f64>) = both.unzip();
    let objects_pearson = pearson(&values, &objects);
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    let quantile = |share: f64| {
        let at = share * (n - 1) as f64;
        let low = values[at.floor() as usize];
        low + (values[at.ceil() as usize] - low) * at.fract()
    };
    let quantiles = [0.0, 0.25, 0.5, 0.75, 1.0].map(quantile);
    Entropies { count: n, mean, std: (squares / (n as f64 - 1.0)).sqrt(), quantiles, objects_pearson }
}
