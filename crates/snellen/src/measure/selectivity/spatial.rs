//! Whether a unit is active where its concept is.
//!
//! ```text
//! IoU = |M and L| / |M or L|
//! ```
//!
//! (Bau et al. 2017, Network Dissection, arXiv 1704.05796.) M are the patches on which the unit exceeds the [`TOP`] quantile of its own values over all patches
//! of all images, L is the area of the concept's objects. Both are areas: a patch that an object covers in part counts in
//! part. By chance means that M lies anywhere: what as many patches have in common with L on average. At best means that M are the
//! patches that the objects cover most.

/// The share of all patches that M holds, at most.
pub const TOP: f64 = 0.005;

/// How M and L overlap.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Spatial {
    /// From 0 to 1.
    pub iou: f64,
    /// The same for as many patches anywhere.
    pub by_chance: f64,
    /// The same for as many patches where the objects are.
    pub at_best: f64,
}

/// Of a unit's `values` and the shares `covered` by the concept, of every patch of every image. `None` where a value is not finite,
/// none exceeds the quantile, or the concept is nowhere.
///
/// # Panics
/// If the lengths differ.
pub fn spatial(values: &[f32], covered: &[f64]) -> Option<Spatial> {
    assert_eq!(values.len(), covered.len(), "a share for every patch");
    let area: f64 = covered.iter().sum();
    if values.is_empty() || area <= 0.0 || values.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let n = values.len();
    let mut sorted = values.to_vec();
    let above = (TOP * n as f64).floor() as usize;
    let place = n - 1 - above.min(n - 1);
    let (_, threshold, _) = sorted.select_nth_unstable_by(place, f32::total_cmp);
    let threshold = *threshold;
    let active = || values.iter().zip(covered).filter(|(x, _)| **x > threshold).map(|(_, share)| *share);
    let (patches, shared) = (active().count() as f64, active().sum::<f64>());
    let iou = |shared: f64| shared / (area + patches - shared);
    let mut most = covered.to_vec();
    most.sort_unstable_by(|a, b| b.total_cmp(a));
    let best: f64 = most.iter().take(patches as usize).sum();
    (patches > 0.0).then(|| Spatial { iou: iou(shared), by_chance: iou(patches * area / n as f64), at_best: iou(best) })
}
