//! What untrained models give at a site, beside which what a model gives there stands.

use crate::measure::factorial::UnitClass;
use crate::measure::spread::Spread;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one site of untrained models gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteControl {
    /// How they were made: `fresh`, `shuffled`, or what the caller says.
    pub name: String,
    /// Models of this kind.
    pub models: usize,
    /// Units that encode at least one concept.
    pub encoding: Spread,
    /// Units that encode each concept.
    pub per_concept: Vec<Spread>,
    /// Units of each class.
    pub classes: BTreeMap<UnitClass, Spread>,
    /// Concepts that a linear probe tells.
    pub decodable: Option<Spread>,
    /// The participation ratio.
    pub participation_ratio: Option<Spread>,
    /// What a sum of concepts explains.
    pub linear_r2: Option<Spread>,
    /// What a conjunction adds.
    pub conjunction_gain: Option<Spread>,
}

/// Of one number, what the control gives whose other models may have the most of it.
pub(in crate::measure) fn most(
    controls: &[SiteControl],
    of: impl Fn(&SiteControl) -> Option<Spread>,
) -> Option<Spread> {
    controls.iter().filter_map(of).reduce(|a, b| if b.hi > a.hi { b } else { a })
}
