//! The 16 features of the study and what its images show of them.

use crate::scene::labels::LabelTable;
use crate::{Error, Result};

/// A feature: a value of one of the study's three factors, by its bare name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// `circle`, `red`, `TL`, ...
    pub name: &'static str,
    /// `shape`, `color` or `position`.
    pub factor: &'static str,
}

const fn feature(name: &'static str, factor: &'static str) -> Feature {
    Feature { name, factor }
}

/// The factors.
pub const FACTORS: [&str; 3] = ["shape", "color", "position"];

/// All features, names in byte order; elsewhere they are spoken of by their index here.
pub const FEATURES: [Feature; 16] = [
    feature("BL", "position"),
    feature("BR", "position"),
    feature("M", "position"),
    feature("TL", "position"),
    feature("TR", "position"),
    feature("black", "color"),
    feature("blue", "color"),
    feature("circle", "shape"),
    feature("green", "color"),
    feature("hexagon", "shape"),
    feature("pentagon", "shape"),
    feature("pink", "color"),
    feature("red", "color"),
    feature("square", "shape"),
    feature("triangle", "shape"),
    feature("yellow", "color"),
];

/// The features of an image.
pub type Present = [bool; FEATURES.len()];

/// The index of the feature called `name`.
pub fn feature_index(name: &str) -> Option<usize> {
    FEATURES.iter().position(|feature| feature.name == name)
}

/// The index in [`FACTORS`] of the factor that `feature` is a value of.
pub fn factor_index(feature: usize) -> usize {
    FACTORS.iter().take_while(|factor| **factor != FEATURES[feature].factor).count()
}

/// The 120 pairs of features, the first name before the second in byte order, in that order.
pub fn pairs() -> impl Iterator<Item = [usize; 2]> {
    (0..FEATURES.len()).flat_map(|a| (a + 1..FEATURES.len()).map(move |b| [a, b]))
}

/// The features that are no positions: those that the study's link is made of.
pub fn linked() -> Vec<usize> {
    (0..FEATURES.len()).filter(|f| FEATURES[*f].factor != "position").collect()
}

/// What the images show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// Their names, as the labels have them.
    pub names: Vec<String>,
    /// Their features.
    pub present: Vec<Present>,
    /// How many objects each has.
    pub objects: Vec<usize>,
    /// Which shapes each shows in which colours: `[shape, color]`, by feature.
    pub combinations: Vec<Vec<[usize; 2]>>,
}

impl Truth {
    /// Reads the study's three factors from `labels`, called `place` in errors; other factors are ignored.
    ///
    /// # Errors
    /// When a factor is missing, or a value is none of the study's: with row and column.
    pub fn of(labels: &LabelTable, place: &str) -> Result<Self> {
        let mut columns = [0; FACTORS.len()];
        for (column, factor) in columns.iter_mut().zip(FACTORS) {
            let names: Vec<_> = labels.factors.iter().map(|factor| factor.name.as_str()).collect();
            let expected = || format!("a column `{factor}_0`");
            let found = names.iter().position(|name| *name == factor);
            let got = || if names.is_empty() { "none".to_owned() } else { format!("columns of {}", names.join(", ")) };
            *column = found.ok_or_else(|| Error::mismatch(place, expected(), got()))?;
        }
        let mut truth = Self { names: Vec::new(), present: Vec::new(), objects: Vec::new(), combinations: Vec::new() };
        for (i, row) in labels.rows.iter().enumerate() {
            let mut present = [false; FEATURES.len()];
            let mut combinations = Vec::new();
            for (k, object) in row.objects.iter().enumerate() {
                let mut found = [None; FACTORS.len()];
                for ((found, factor), column) in found.iter_mut().zip(FACTORS).zip(columns) {
                    let Some(value) = object[column] else { continue };
                    let value = &labels.factors[column].values[value as usize];
                    let index = feature_index(value).filter(|index| FEATURES[*index].factor == factor);
                    let unknown = || {
                        let known = FEATURES.iter().filter(|feature| feature.factor == factor);
                        let known: Vec<_> = known.map(|feature| feature.name).collect();
                        let here = format!("{place}: row {} ({}), column `{factor}_{k}`", i + 1, row.filename);
                        Error::mismatch(here, format!("one of {}", known.join(", ")), format!("`{value}`"))
                    };
                    let index = index.ok_or_else(unknown)?;
                    present[index] = true;
                    *found = Some(index);
                }
                if let [Some(shape), Some(color), _] = found {
                    combinations.push([shape, color]);
                }
            }
            truth.names.push(row.filename.clone());
            truth.present.push(present);
            truth.objects.push(row.objects.len());
            truth.combinations.push(combinations);
        }
        Ok(truth)
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.present.len()
    }

    /// The rows of the images that show exactly one of `a` and `b`: those with `a`, and those with `b`.
    ///
    /// # Errors
    /// When there is none of either: such a pair has no distance.
    pub fn either(&self, [a, b]: [usize; 2]) -> Result<[Vec<usize>; 2]> {
        let with = |this: usize, other: usize| -> Vec<usize> {
            (0..self.images()).filter(|row| self.present[*row][this] && !self.present[*row][other]).collect()
        };
        let sides = [with(a, b), with(b, a)];
        if sides.iter().any(Vec::is_empty) {
            let [a, b] = [a, b].map(|f| FEATURES[f].name);
            let expected = format!("images that show `{a}` and not `{b}`, and others the other way round");
            let got = format!("{} and {} of {}", sides[0].len(), sides[1].len(), self.images());
            return Err(Error::mismatch("labels", expected, got));
        }
        Ok(sides)
    }
}
