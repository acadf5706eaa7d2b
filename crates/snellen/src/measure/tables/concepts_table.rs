//! `concepts.parquet`: every concept at every site, and how a linear reader finds it.
//!
//! Columns `site`, `concept` (text), `units` (u32: that encode it), `probe_auroc`, `probe_auroc_lo`, `probe_auroc_hi`, `probe_p`, `probe_q`
//! (f64), `decodable` (bool), `d_prime` with `_lo` and `_hi`, `interference`, `interference_null`, `dimensionality` (f64, all null where missing), `units_untrained`,
//! `units_untrained_lo`, `units_untrained_hi` (f64: what untrained models give, null without); a row group per site; zstd. The same concepts give the same bytes.

use crate::Result;
use crate::measure::Interval;
use crate::measure::columns::{Column, batch};
use crate::measure::control::{SiteControl, most};
use crate::measure::superposition::ConceptGeometry;
use crate::measure::writer::Table;
use arrow_array::RecordBatch;

/// Rows of one site: its concepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SiteConcepts<'a> {
    /// Its name.
    pub site: &'a str,
    /// What concepts are called.
    pub concepts: &'a [String],
    /// Per concept, units that encode it.
    pub units: &'a [usize],
    /// The rest, per concept; none of too few images.
    pub geometry: &'a [ConceptGeometry],
    /// What untrained models give.
    pub controls: &'a [SiteControl],
}

impl Table for SiteConcepts<'_> {
    fn batch(&self) -> Result<RecordBatch> {
        batch(&columns(self))
    }
}

fn columns(SiteConcepts { site, concepts, units, geometry, controls }: &SiteConcepts<'_>) -> Vec<Column> {
    let of = (0..units.len()).map(|c| geometry.get(c));
    let probe = of.clone().map(|of| of.and_then(|of| of.probe));
    let interval = |of: &crate::measure::auroc::Auroc| Interval { estimate: of.auroc, lo: of.lo, hi: of.hi };
    let mut columns = vec![
        Column::text("site", units.iter().map(|_| site)),
        Column::text("concept", concepts.iter().take(units.len())),
        Column::count("units", units.iter().copied()),
    ];
    columns.extend(Column::interval("probe_auroc", &probe.clone().map(|probe| probe.as_ref().map(interval))));
    columns.push(Column::number("probe_p", probe.map(|probe| probe.map(|probe| probe.p))));
    columns.push(Column::number("probe_q", of.clone().map(|of| of.and_then(|of| of.q))));
    columns.push(Column::flag("decodable", of.clone().map(|of| of.is_some_and(|of| of.decodable))));
    columns.extend(Column::interval("d_prime", &of.clone().map(|of| of.and_then(|of| of.d_prime))));
    columns.push(Column::number("interference", of.clone().map(|of| of.and_then(|of| of.interference))));
    columns.push(Column::number("interference_null", of.clone().map(|of| of.and_then(|of| of.interference_null))));
    columns.push(Column::number("dimensionality", of.map(|of| of.and_then(|of| of.dimensionality))));
    let untrained = (0..units.len()).map(|c| most(controls, |of| of.per_concept.get(c).copied()));
    columns.extend(Column::untrained("units", &untrained));
    columns
}
