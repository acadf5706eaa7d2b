//! Ours beside what was printed.

use super::feature::{FEATURES, pairs};
use super::published::{self, Printed, PublishedPair};
use super::separability::Separability;
use super::units::{Entropies, Sums, UnitProfile};
use crate::Result;
use serde::Serialize;

/// Distances of the same embeddings agree to this.
pub const DISTANCE: f64 = 1e-9;
/// Activations of the same weights and pictures agree to this: two programs in f32 differ by about 1e-5.
pub const ACTIVATION: f64 = 1e-4;

/// Numbers of one kind that the study printed, and ours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What they are.
    pub quantity: &'static str,
    /// How many the study printed.
    pub printed: usize,
    /// How many of ours differ by more than the tolerance; what we have no number for differs.
    pub differing: usize,
    /// The largest difference, where there are numbers of ours.
    pub largest_difference: Option<f64>,
    /// What is tolerated, besides what printing rounded away.
    pub tolerance: f64,
    /// The first that differs: of what, printed, ours.
    pub first: Option<(String, f64, Option<f64>)>,
    /// Number by number; in `checks.csv`, not in `study.json`.
    #[serde(skip)]
    pub lines: Vec<CheckLine>,
}

/// One printed number.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckLine {
    /// Of what.
    pub of: String,
    /// As it was printed.
    pub printed: f64,
    /// Ours, where there is one.
    pub ours: Option<f64>,
    /// Whether the two agree.
    pub agrees: bool,
}

/// A check in the making.
struct Comparison(Check);

impl Comparison {
    fn begin(quantity: &'static str, tolerance: f64) -> Self {
        let (largest_difference, first, lines) = (None, None, Vec::new());
        Self(Check { quantity, printed: 0, differing: 0, largest_difference, tolerance, first, lines })
    }

    fn add(&mut self, what: impl FnOnce() -> String, printed: Printed, ours: Option<f64>) {
        let Self(check) = self;
        check.printed += 1;
        let difference = ours.map(|ours| (ours - printed.value).abs());
        check.largest_difference = check.largest_difference.into_iter().chain(difference).reduce(f64::max);
        // Sums of decimals are not exact: a hair more than the rounding.
        let allowed = check.tolerance + printed.rounding * (1.0 + 1e-6);
        let line = CheckLine {
            of: what(),
            printed: printed.value,
            ours,
            agrees: difference.is_some_and(|difference| difference <= allowed),
        };
        if !line.agrees {
            check.differing += 1;
            check.first.get_or_insert_with(|| (line.of.clone(), line.printed, line.ours));
        }
        check.lines.push(line);
    }
}

fn whole(number: usize) -> Printed {
    Printed { value: number as f64, rounding: 0.0 }
}

fn named([a, b]: [usize; 2]) -> String {
    format!("{}, {}", FEATURES[a].name, FEATURES[b].name)
}

/// Of the embeddings: distances and counts of the 120 pairs, on all coordinates.
pub fn of_embeddings(published: &[PublishedPair], ours: &[Separability]) -> Vec<Check> {
    let mut distance = Comparison::begin("distance of two features' means", DISTANCE);
    let mut count = Comparison::begin("misclassified images", 0.0);
    for (pair, ours) in published.iter().zip(ours) {
        let exact = Printed { rounding: 0.0, ..pair.distance };
        distance.add(|| named(pair.features), exact, Some(ours.distance));
        count.add(|| named(pair.features), whole(pair.misclassified), Some(ours.misclassified as f64));
    }
    vec![distance.0, count.0]
}

/// What a model made of the study's pictures.
pub struct FromModel<'a> {
    /// Every unit of every layer, layer after layer.
    pub units: &'a [UnitProfile],
    /// Units per layer.
    pub width: usize,
    /// Of the last layers.
    pub entropies: &'a Entropies,
    /// Of the low-entropy set.
    pub sums: &'a Sums,
    /// Mean and largest activation over tokens of a unit (layer, number) on a picture (row of the study's).
    pub activation: &'a dyn Fn([usize; 2], usize) -> Option<[f64; 2]>,
    /// The row among the images of the study's picture of this row.
    pub row: &'a dyn Fn(usize) -> Option<usize>,
}

impl FromModel<'_> {
    fn unit(&self, [layer, unit]: [usize; 2]) -> Option<&UnitProfile> {
        self.units.get(layer * self.width + unit).filter(|_| unit < self.width)
    }

    /// Activations, frequencies, entropies, top images, and what the low-entropy set says of the 120 pairs.
    ///
    /// # Errors
    /// Never, unless the tables in this program are broken.
    pub fn checks(&self, published_pairs: &[PublishedPair]) -> Result<Vec<Check>> {
        let mut activation = Comparison::begin("activation, mean and largest over tokens", ACTIVATION);
        for printed in published::activations()? {
            let ours = (self.activation)(printed.unit, printed.image);
            for (k, value) in [printed.mean, printed.max].into_iter().enumerate() {
                let what = || format!("{} on {}", unit_name(printed.unit), published::filename(printed.image));
                if let Some(value) = value {
                    activation.add(what, value, ours.map(|ours| ours[k]));
                }
            }
        }
        let mut frequency = Comparison::begin("share of a unit's top 30 images", 0.0);
        let mut entropy = Comparison::begin("entropy of a unit", 0.0);
        for printed in published::units()? {
            let ours = self.unit(printed.unit).map(|unit| &unit.profile);
            let name = || unit_name(printed.unit);
            for (f, value) in printed.frequencies.iter().enumerate() {
                if let Some(value) = value {
                    let what = || format!("{}, {}", name(), FEATURES[f].name);
                    frequency.add(what, *value, ours.map(|ours| ours.frequencies[f]));
                }
            }
            if let Some(objects) = printed.objects {
                frequency.add(|| format!("{}, objects", name()), objects, ours.map(|ours| ours.objects));
            }
            if let Some(value) = printed.entropy {
                entropy.add(name, value, ours.map(|ours| ours.entropy));
            }
        }
        let mut summary = Comparison::begin("entropy of 10,240 units, summary", 0.0);
        summary.add(|| "count".to_owned(), whole(published::UNITS), Some(self.entropies.count as f64));
        let [min, lower, median, upper, max] = self.entropies.quantiles;
        let ours = [self.entropies.mean, self.entropies.std, min, lower, median, upper, max];
        for ((what, value), ours) in published::ENTROPIES.into_iter().zip(ours) {
            summary.add(|| what.to_owned(), Printed { value, rounding: 5e-7 }, Some(ours));
        }
        let mut top = Comparison::begin("image at a rank of a unit's top images", 0.0);
        for printed in published::top_images()? {
            for (rank, image) in printed.images.iter().enumerate() {
                let name = published::filename(*image);
                let what = || format!("row of {name} at rank {} of {}", rank + 1, unit_name(printed.unit));
                let expected = (self.row)(*image);
                let ours = self.unit(printed.unit).and_then(|unit| unit.top.get(rank));
                top.add(what, whole(expected.unwrap_or(usize::MAX)), ours.map(|row| *row as f64));
            }
        }
        let mut units = Comparison::begin("low-entropy units with a ratio above 0.3", 0.0);
        let mut sum = Comparison::begin("sum of ratios", 0.0);
        for (place, (pair, printed)) in pairs().zip(published_pairs).enumerate() {
            units.add(|| named(pair), whole(printed.units), Some(self.sums.units[place] as f64));
            sum.add(|| named(pair), printed.sum, Some(self.sums.sums[place]));
        }
        Ok([activation, frequency, entropy, summary, top, units, sum].map(|comparison| comparison.0).to_vec())
    }
}

/// The unit's name in the study.
pub fn unit_name([layer, unit]: [usize; 2]) -> String {
    format!("mean_{layer}_{unit}")
}
