//! What one run of the study measured on a model.

use super::units::Entropies;
use crate::model::Transform;
use crate::report::{QuestionCard, Report, SiteUnits};
use serde::Serialize;
use std::collections::BTreeMap;

/// What was measured on a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Its name.
    pub model: String,
    /// BLAKE3 of its weights.
    pub weights_hash: String,
    /// What was done to them, as the study did.
    pub transforms: Vec<Transform>,
    /// Layers of the vision tower.
    pub layers: usize,
    /// Units of `hook_mlp_out` per layer.
    pub units_per_layer: usize,
    /// Of the units of the last 10 layers.
    pub entropies: Entropies,
    /// The low-entropy set, and the units that the study printed something of.
    pub units: Vec<UnitRow>,
    /// The 120 pairs.
    pub pairs: Vec<PairSum>,
    /// The exam of the same model, as it is, with the same pictures; `null` for a model without texts.
    pub exam: Option<ExamSummary>,
}

/// A unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitRow {
    /// Its layer.
    pub layer: usize,
    /// Its number in the layer.
    pub unit: usize,
    /// Its rank in the low-entropy set, from 1; `null` where it is not in it.
    pub rank: Option<usize>,
    /// Mean number of objects in its top images.
    pub objects: f64,
    /// The share of its top images that shows each feature.
    pub frequencies: BTreeMap<&'static str, f64>,
    /// Of the frequencies, in bits.
    pub entropy: f64,
    /// Rows of its top images, largest activation first.
    pub top_images: Vec<usize>,
}

/// What the low-entropy units say of two features.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairSum {
    /// The first name in byte order.
    pub concept_a: &'static str,
    /// The other.
    pub concept_b: &'static str,
    /// Units with a ratio above 0.3.
    pub neuron_count: usize,
    /// Sum of the ratios.
    pub sum_ratios: f64,
}

/// What the exam says of the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExamSummary {
    /// What its questions gave.
    pub questions: Vec<QuestionCard>,
    /// Units that encode a concept, by site, beside permuted labels.
    pub sites: Vec<SiteUnits>,
    /// In sentences.
    pub findings: Vec<String>,
}

impl From<Report> for ExamSummary {
    fn from(report: Report) -> Self {
        let questions = report.questions;
        let sites = report.units.map(|units| units.sites).unwrap_or_default();
        Self { questions, sites, findings: report.findings }
    }
}
