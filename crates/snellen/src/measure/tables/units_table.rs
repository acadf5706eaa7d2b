//! `units.parquet`: every unit of every site, and what it stands for.
//!
//! Columns `site` (text), `unit` (u32), `class` (text), `concepts` (list of text: those that it encodes, strongest first), `cv_r2`,
//! `eta2_main`, `eta2_interaction`, `eta2_count`, `top_entropy`, `ms` (f64, null where missing or not measured); a row group per site;
//! zstd. The same units give the same bytes.

use crate::Result;
use crate::measure::auroc::Flag;
use crate::measure::columns::{Column, batch};
use crate::measure::encodes::UnitConcept;
use crate::measure::factorial::Decomposed;
use crate::measure::lift::Lifts;
use crate::measure::writer::Table;
use crate::measure::{Design, Matrix};
use arrow_array::RecordBatch;
use rayon::prelude::*;

/// Units of a block: as many as share a cache line of the matrix.
const BLOCK: usize = 16;

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitRow {
    /// The column of the matrix.
    pub unit: u32,
    /// What it stands for.
    pub decomposed: Decomposed,
    /// The concepts that it encodes, the strongest effect first.
    pub concepts: Vec<String>,
    /// The entropy, in bits, of the concepts among its [`TOP`](crate::measure::lift::TOP) images; `None` for flagged units.
    pub top_entropy: Option<f64>,
    /// The monosemanticity score; `None` where there is none or no second encoder.
    pub ms: Option<f64>,
}

impl UnitRow {
    /// Rows of all units of a site: `cells` are `[unit, concept]`, the others one a unit; without a monosemanticity score.
    pub fn of(
        design: &Design,
        cells: &[UnitConcept],
        decomposed: Vec<Decomposed>,
        top_entropies: &[Option<f64>],
    ) -> Vec<Self> {
        let concepts = design.concepts().len();
        let row = |(unit, decomposed): (usize, Decomposed)| {
            let cells = &cells[unit * concepts..][..concepts];
            let effect = |cell: &&UnitConcept| cell.partial.map_or(0.0, |partial| partial.effect.abs());
            let mut encoded: Vec<&UnitConcept> = cells.iter().filter(|cell| cell.encodes).collect();
            encoded.sort_by(|a, b| effect(b).total_cmp(&effect(a)).then(a.concept.cmp(&b.concept)));
            let name = |cell: &UnitConcept| design.concepts()[cell.concept as usize].to_string();
            let concepts = encoded.into_iter().map(name).collect();
            Self { unit: unit as u32, decomposed, concepts, top_entropy: top_entropies[unit], ms: None }
        };
        decomposed.into_iter().enumerate().map(row).collect()
    }
}

/// The [`top_entropy`] of every unit of `matrix`; `None` for flagged units.
pub fn top_entropies(matrix: &Matrix, design: &Design) -> Vec<Option<f64>> {
    let block = |b: usize| {
        let mut columns = Vec::new();
        matrix.columns(b * BLOCK..((b + 1) * BLOCK).min(matrix.units()), &mut columns);
        let of = |values: &[f32]| Flag::of(values).is_none().then(|| top_entropy(values, design));
        columns.chunks(matrix.images()).map(of).collect::<Vec<_>>()
    };
    (0..matrix.units().div_ceil(BLOCK)).into_par_iter().flat_map_iter(block).collect()
}

/// The entropy, in bits, of which concepts the images with the largest values show: of the shares of those images that show each,
/// made to add up to 1. Ties in the order of the images.
pub fn top_entropy(values: &[f32], design: &Design) -> f64 {
    let rows = Lifts::top(values);
    let shown = |c: usize| rows.iter().filter(|row| design.present(c)[**row]).count() as f64;
    let counts: Vec<f64> = (0..design.concepts().len()).map(shown).collect();
    let total: f64 = counts.iter().sum();
    let shares = counts.iter().map(|count| count / total).filter(|share| *share > 0.0);
    0.0 - shares.map(|share| share * share.log2()).sum::<f64>()
}

/// Rows of one site.
#[derive(Clone, Copy, Debug)]
pub struct UnitRows<'a> {
    /// Its name.
    pub site: &'a str,
    /// Its units.
    pub units: &'a [UnitRow],
}

impl Table for UnitRows<'_> {
    fn batch(&self) -> Result<RecordBatch> {
        let rows = self.units.iter();
        let number = |name: &str, of: fn(&UnitRow) -> Option<f64>| Column::exact(name, rows.clone().map(of));
        batch(&[
            Column::text("site", rows.clone().map(|_| self.site)),
            Column::count("unit", rows.clone().map(|row| row.unit as usize)),
            Column::text("class", rows.clone().map(|row| row.decomposed.class.name())),
            Column::texts("concepts", rows.clone().map(|row| row.concepts.as_slice())),
            number("cv_r2", |row| row.decomposed.cv_r2),
            number("eta2_main", |row| row.decomposed.eta2_main),
            number("eta2_interaction", |row| row.decomposed.eta2_interaction),
            number("eta2_count", |row| row.decomposed.eta2_count),
            number("top_entropy", |row| row.top_entropy),
            number("ms", |row| row.ms),
        ])
    }
}
