//! `units.parquet`: every unit of every site, and what it stands for.
//!
//! Columns `site` (text), `unit` (u32), `class` (text), `concepts` (list of text: those that it encodes, strongest first), `cv_r2`,
//! `eta2_main`, `eta2_interaction`, `eta2_count`, `top_entropy`, `ms` (f64, null where missing or not measured); a row group per site;
//! zstd. The same units give the same bytes.

use crate::Result;
use crate::measure::encodes::UnitConcept;
use crate::measure::factorial::Decomposed;
use crate::measure::lift::Lifts;
use crate::measure::table::write_table;
use crate::measure::{Design, Matrix};
use arrow_array::ArrayRef;
use arrow_array::builder::{Float64Builder, ListBuilder, StringBuilder, UInt32Builder};
use arrow_schema::{DataType, Field, Schema};
use std::path::Path;
use std::sync::Arc;

const NUMBERS: [&str; 6] = ["cv_r2", "eta2_main", "eta2_interaction", "eta2_count", "top_entropy", "ms"];

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
    /// Rows of the units of `matrix` from `first` on; `cells` are theirs, `[unit, concept]`.
    pub fn of(
        matrix: &Matrix,
        first: usize,
        design: &Design,
        cells: &[UnitConcept],
        decomposed: &[Decomposed],
    ) -> Vec<Self> {
        let concepts = design.concepts().len();
        let row = |(unit, decomposed): (usize, &Decomposed)| {
            let cells = &cells[unit * concepts..][..concepts];
            let effect = |cell: &&UnitConcept| cell.partial.map_or(0.0, |partial| partial.effect.abs());
            let mut encoded: Vec<&UnitConcept> = cells.iter().filter(|cell| cell.encodes).collect();
            encoded.sort_by(|a, b| effect(b).total_cmp(&effect(a)).then(a.concept.cmp(&b.concept)));
            let name = |cell: &UnitConcept| design.concepts()[cell.concept as usize].to_string();
            Self {
                unit: (first + unit) as u32,
                decomposed: decomposed.clone(),
                concepts: encoded.into_iter().map(name).collect(),
                top_entropy: decomposed.cv_r2.map(|_| top_entropy(&matrix.column(unit), design)),
                ms: None,
            }
        };
        decomposed.iter().enumerate().map(row).collect()
    }
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

/// Writes the units of `sites` to `path`, in one step.
///
/// # Errors
/// When the file cannot be written.
pub fn write_units(path: &Path, sites: &[(String, Vec<UnitRow>)]) -> Result<()> {
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let mut fields = vec![
        Field::new("site", DataType::Utf8, false),
        Field::new("unit", DataType::UInt32, false),
        Field::new("class", DataType::Utf8, false),
        Field::new("concepts", DataType::List(item), false),
    ];
    fields.extend(NUMBERS.map(|name| Field::new(name, DataType::Float64, true)));
    write_table(path, Schema::new(fields), sites.iter().map(|(site, units)| Ok(columns(site, units))))
}

fn columns(site: &str, units: &[UnitRow]) -> Vec<ArrayRef> {
    let (mut sites, mut numbers_of, mut classes) = (StringBuilder::new(), UInt32Builder::new(), StringBuilder::new());
    let mut concepts = ListBuilder::new(StringBuilder::new());
    let mut numbers: [Float64Builder; 6] = Default::default();
    for UnitRow { unit, decomposed: of, concepts: encoded, top_entropy, ms } in units {
        sites.append_value(site);
        numbers_of.append_value(*unit);
        classes.append_value(of.class.name());
        encoded.iter().for_each(|concept| concepts.values().append_value(concept));
        concepts.append(true);
        let row = [of.cv_r2, of.eta2_main, of.eta2_interaction, of.eta2_count, *top_entropy, *ms];
        numbers.iter_mut().zip(row).for_each(|(column, value)| column.append_option(value));
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(sites.finish()),
        Arc::new(numbers_of.finish()),
        Arc::new(classes.finish()),
        Arc::new(concepts.finish()),
    ];
    columns.extend(numbers.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
    columns
}
