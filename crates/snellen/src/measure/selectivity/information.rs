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

/// What any unit says of the concepts of a design.
pub(crate) struct Information<'a> {
    design: &'a Design,
    strata: Vec<Vec<usize>>,
    /// n log2 n of every number of images.
    logs: Vec<f64>,
}

impl<'a> Information<'a> {
    pub(crate) fn new(design: &'a Design) -> Self {
        let log = |n: usize| if n == 0 { 0.0 } else { n as f64 * (n as f64).log2() };
        let (images, logs) = (design.images(), (0..=design.images()).map(log).collect());
        Self { design, strata: by_stratum(design.strata(), 0..images), logs }
    }

    /// Of every concept, what `values` (one per image, finite) say of it; `None` where no stratum leaves a choice.
    pub(crate) fn of(&self, values: &[f32]) -> Vec<Option<f64>> {
        let bins = bins(values, &self.strata);
        (0..self.design.concepts().len()).map(|c| self.of_concept(&bins, self.design.present(c))).collect()
    }

    fn of_concept(&self, bins: &[usize], present: &[bool]) -> Option<f64> {
        let (mut sum, mut entropy) = (0.0, 0.0);
        for images in &self.strata {
            let mut counts = [[0_usize; 2]; BINS];
            images.iter().for_each(|image| counts[bins[*image]][usize::from(present[*image])] += 1);
            let classes = [0, 1].map(|y| counts.iter().map(|bin| bin[y]).sum::<usize>());
            if classes.contains(&0) {
                continue;
            }
            let of_bins = counts.map(|bin| bin[0] + bin[1]);
            let n = images.len();
            let of_classes = self.entropy(&classes, n);
            let plain = of_classes + self.entropy(&of_bins, n) - self.entropy(counts.as_flattened(), n);
            let used = of_bins.iter().filter(|count| **count > 0).count() as f64;
            sum += plain - (used - 1.0) / (2.0 * std::f64::consts::LN_2);
            entropy += of_classes;
        }
        (entropy > 0.0).then(|| sum / entropy)
    }

    /// The entropy of `counts` that add up to `n`, in bits, times n.
    fn entropy(&self, counts: &[usize], n: usize) -> f64 {
        self.logs[n] - counts.iter().map(|count| self.logs[*count]).sum::<f64>()
    }
}

/// Of every concept of `design`, what `values` (one per image, finite) say of it; `None` where no stratum leaves a choice.
pub fn information(values: &[f32], design: &Design) -> Vec<Option<f64>> {
    Information::new(design).of(values)
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
