//! How much a unit's activation says about a concept, whatever the shape of the relation.
//!
//! ```text
//! I = sum_s n_s / n I_s(bin; y),   normalised by H(y | s)
//! ```
//!
//! Within each stratum activations are cut into [`BINS`] bins of equally many images (ties stay together), and the mutual
//! information of bin and concept is corrected for its bias by Miller & Madow (1955): the plug-in value less
//! (bins - 1) (classes - 1) / (2 n_s ln 2) bits, bins and classes being those that occur. H(y | s) is the plug-in entropy of the concept
//! within strata. 0 says nothing, 1 says all; noise gives about 0, below as often as above.

use crate::measure::design::{Design, by_stratum};
use crate::measure::ranks::ascending;

/// Bins of activations.
pub const BINS: usize = 4;

/// Of every concept of `design`, what `values` (one per image, finite) say of it; `None` where no stratum leaves a choice.
pub fn information(values: &[f32], design: &Design) -> Vec<Option<f64>> {
    let strata = by_stratum(design.strata(), 0..values.len());
    let bins = bins(values, &strata);
    (0..design.concepts().len()).map(|c| of_concept(&bins, design.present(c), &strata)).collect()
}

/// The bin of each image in its stratum.
fn bins(values: &[f32], strata: &[Vec<usize>]) -> Vec<usize> {
    let mut bins = vec![0; values.len()];
    for images in strata {
        let mut order = images.clone();
        order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
        let mut before = 0;
        for equal in order.chunk_by(|a, b| ascending(values[*a]) == ascending(values[*b])) {
            // By the middle of the tie.
            let bin = ((2 * before + equal.len()) * BINS / (2 * order.len())).min(BINS - 1);
            equal.iter().for_each(|image| bins[*image] = bin);
            before += equal.len();
        }
    }
    bins
}

fn of_concept(bins: &[usize], present: &[bool], strata: &[Vec<usize>]) -> Option<f64> {
    let (mut sum, mut entropy) = (0.0, 0.0);
    for images in strata {
        let n = images.len() as f64;
        let mut counts = [[0.0_f64; 2]; BINS];
        images.iter().for_each(|image| counts[bins[*image]][usize::from(present[*image])] += 1.0);
        let classes = [0, 1].map(|y| counts.iter().map(|bin| bin[y]).sum::<f64>());
        if classes.contains(&0.0) {
            continue;
        }
        let of_bins = counts.map(|bin| bin[0] + bin[1]);
        let plain = h(&classes, n) + h(&of_bins, n) - h(counts.as_flattened(), n);
        let used = of_bins.iter().filter(|count| **count > 0.0).count() as f64;
        sum += n * plain - (used - 1.0) / (2.0 * std::f64::consts::LN_2);
        entropy += n * h(&classes, n);
    }
    (entropy > 0.0).then(|| sum / entropy)
}

/// The entropy of `counts` out of `n`, in bits.
fn h(counts: &[f64], n: f64) -> f64 {
    let shares = counts.iter().map(|count| count / n).filter(|share| *share > 0.0);
    0.0 - shares.map(|share| share * share.log2()).sum::<f64>()
}
