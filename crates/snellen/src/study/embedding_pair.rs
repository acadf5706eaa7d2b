//! What embeddings say of two features, by their names.

use super::feature::{FEATURES, pairs};
use super::separability::Separability;
use serde::Serialize;

/// Two features, told apart by embeddings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EmbeddingPair {
    /// The first name in byte order.
    pub concept_a: &'static str,
    /// The other.
    pub concept_b: &'static str,
    /// Distance of the means.
    pub distance: f64,
    /// Images nearer to the other mean.
    pub misclassified: usize,
    /// Images with exactly one of the two.
    pub n_images: usize,
    /// Principal components in use; absent where all coordinates are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<usize>,
}

/// With the names of their features.
pub(super) fn named(of_pairs: &[Separability]) -> Vec<EmbeddingPair> {
    let name = |([a, b], pair): ([usize; 2], &Separability)| EmbeddingPair {
        concept_a: FEATURES[a].name,
        concept_b: FEATURES[b].name,
        distance: pair.distance,
        misclassified: pair.misclassified,
        n_images: pair.images,
        components: pair.components,
    };
    pairs().zip(of_pairs).map(name).collect()
}
