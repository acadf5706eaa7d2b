//! The numbers that the study printed, as facts to hold ours against.
//!
//! Of the tables here the study printed 500 pictures (`scenes.csv` says what they show), 120 pairs with two sides each
//! (`pairs.csv`: distance and misclassified images of the embeddings; number of units and sum of ratios), 28 units
//! (`units.csv`: frequencies among the top 30 images, and their entropy), activations of 12 images (`activations.csv`) and the
//! top images of 19 units (`top_images.csv`). Image `3_50` is the study's `image_3_shapes_50.png`.

use super::feature::{FEATURES, feature_index};
use crate::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Number of units in [`ENTROPIES`]: the last 10 of 24 layers.
pub const UNITS: usize = 10_240;

/// Of the entropies of [`UNITS`] units: what it is and its value, printed to 6 decimals.
pub const ENTROPIES: [(&str, f64); 7] = [
    ("mean", 3.829_802),
    ("standard deviation", 0.164_058),
    ("minimum", 3.258_612),
    ("lower quartile", 3.710_909),
    ("median", 3.897_137),
    ("upper quartile", 3.969_178),
    ("maximum", 3.994_179),
];

/// A number as it was printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Printed {
    /// Its value.
    pub value: f64,
    /// Half of its last digit: how far the number that was rounded may lie away.
    pub rounding: f64,
}

/// A pair of features.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedPair {
    /// By index.
    pub features: [usize; 2],
    /// Distance of the means of the embeddings.
    pub distance: Printed,
    /// Images nearer to the other mean.
    pub misclassified: usize,
    /// Low-entropy units whose ratio exceeds 0.3.
    pub units: usize,
    /// Sum of the ratios of all low-entropy units.
    pub sum: Printed,
}

/// A unit of `hook_mlp_out`.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedUnit {
    /// Its layer and number.
    pub unit: [usize; 2],
    /// Mean number of objects in its top images.
    pub objects: Option<Printed>,
    /// The share of its top images that shows each feature.
    pub frequencies: [Option<Printed>; FEATURES.len()],
    /// Of the frequencies.
    pub entropy: Option<Printed>,
}

/// The activation of one unit on one image, over all tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedActivation {
    /// Row of the image.
    pub image: usize,
    /// The unit's layer and number.
    pub unit: [usize; 2],
    /// Mean over tokens.
    pub mean: Option<Printed>,
    /// Largest value.
    pub max: Option<Printed>,
}

/// The images with the largest means of one unit.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedTop {
    /// The unit's layer and number.
    pub unit: [usize; 2],
    /// Rows of the images, largest first.
    pub images: Vec<usize>,
}

/// An object of a picture: features by index, shape, colour and position.
pub type PublishedObject = [usize; 3];

/// All 120 pairs, in the order of [`pairs`](super::feature::pairs).
pub fn pairs() -> Result<Vec<PublishedPair>> {
    #[derive(Deserialize)]
    struct Row {
        concept_a: String,
        concept_b: String,
        distance: String,
        misclassified: usize,
        units: usize,
        sum: String,
    }
    read(include_str!("published/pairs.csv"), |row: Row| {
        Some(PublishedPair {
            features: [feature_index(&row.concept_a)?, feature_index(&row.concept_b)?],
            distance: printed(&row.distance)?,
            misclassified: row.misclassified,
            units: row.units,
            sum: printed(&row.sum)?,
        })
    })
}

/// All units.
pub fn units() -> Result<Vec<PublishedUnit>> {
    let text = include_str!("published/units.csv");
    let header: Vec<&str> = text.lines().next().unwrap_or_default().split(',').collect();
    read(text, |row: Vec<String>| {
        let field = |name: &str| row.get(header.iter().position(|column| *column == name)?);
        let number = |name: &str| field(name).and_then(|text| printed(text));
        Some(PublishedUnit {
            unit: [field("layer")?.parse().ok()?, field("unit")?.parse().ok()?],
            objects: number("objects"),
            frequencies: FEATURES.map(|feature| number(feature.name)),
            entropy: number("entropy"),
        })
    })
}

/// All activations.
pub fn activations() -> Result<Vec<PublishedActivation>> {
    #[derive(Deserialize)]
    struct Row {
        image: String,
        layer: usize,
        unit: usize,
        mean: String,
        max: String,
    }
    read(include_str!("published/activations.csv"), |row: Row| {
        let unit = [row.layer, row.unit];
        Some(PublishedActivation { image: image(&row.image)?, unit, mean: printed(&row.mean), max: printed(&row.max) })
    })
}

/// All lists of top images.
pub fn top_images() -> Result<Vec<PublishedTop>> {
    #[derive(Deserialize)]
    struct Row {
        layer: usize,
        unit: usize,
        images: String,
    }
    read(include_str!("published/top_images.csv"), |row: Row| {
        let images = row.images.split(' ').map(image).collect::<Option<_>>()?;
        Some(PublishedTop { unit: [row.layer, row.unit], images })
    })
}

/// What each of the 500 pictures shows.
pub fn scenes() -> Result<Vec<Vec<PublishedObject>>> {
    #[derive(Deserialize)]
    struct Row {
        objects: String,
    }
    read(include_str!("published/scenes.csv"), |row: Row| {
        let object = |text: &str| -> Option<PublishedObject> {
            let features: Vec<usize> = text.split(' ').map(feature_index).collect::<Option<_>>()?;
            features.try_into().ok()
        };
        row.objects.split("; ").map(object).collect()
    })
}

/// The name of the picture in `row`.
pub fn filename(row: usize) -> String {
    format!("image_{}_shapes_{}.png", row / 100 + 1, row % 100)
}

/// The row of image `3_50`.
fn image(short: &str) -> Option<usize> {
    let (objects, number) = short.split_once('_')?;
    let (objects, number): (usize, usize) = (objects.parse().ok()?, number.parse().ok()?);
    Some(objects.checked_sub(1)? * 100 + number)
}

fn printed(text: &str) -> Option<Printed> {
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    Some(Printed { value: text.parse().ok()?, rounding: 0.5 * 0.1_f64.powi(decimals as i32) })
}

fn read<R: DeserializeOwned, T>(text: &str, value: impl Fn(R) -> Option<T>) -> Result<Vec<T>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let parse = |row: csv::Result<R>| {
        let row = row.map_err(|source| Error::malformed("the study's tables", source))?;
        value(row).ok_or_else(|| Error::mismatch("the study's tables", "numbers and names that are known", "others"))
    };
    reader.deserialize().map(parse).collect()
}
