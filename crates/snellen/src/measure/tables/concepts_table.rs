//! `concepts.parquet`: every concept at every site, and how a linear reader finds it.
//!
//! Columns `site`, `concept` (text), `units` (u32: that encode it), `probe_auroc`, `probe_auroc_lo`, `probe_auroc_hi`, `probe_p`, `probe_q`
//! (f64), `decodable` (bool), `d_prime` with `_lo` and `_hi`, `interference`, `interference_null`, `dimensionality` (f64, all null where missing), `units_untrained`,
//! `units_untrained_lo`, `units_untrained_hi` (f64: what untrained models give, null without); a row group per site; zstd. The same concepts give the same bytes.

use crate::Result;
use crate::measure::Interval;
use crate::measure::columns::{Column, write_columns};
use crate::measure::control::{SiteControl, most};
use crate::measure::superposition::SiteGeometry;
use std::path::Path;

/// The concepts of one site.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteConcepts<'a> {
    /// Its name.
    pub site: &'a str,
    /// Per concept, units that encode it.
    pub units: &'a [usize],
    /// The rest; `None` of too few images.
    pub geometry: Option<&'a SiteGeometry>,
    /// What untrained models give.
    pub controls: &'a [SiteControl],
}

/// Writes the concepts of `sites`, which are called `names`, to `path`, in one step.
///
/// # Errors
/// When the file cannot be written.
pub fn write_concepts(path: &Path, names: &[String], sites: &[SiteConcepts<'_>]) -> Result<()> {
    let none = SiteConcepts { site: "", units: &[], geometry: None, controls: &[] };
    write_columns(path, &columns(&[], &none), sites.iter().map(|site| columns(names, site)))
}

fn columns(names: &[String], SiteConcepts { site, units, geometry, controls }: &SiteConcepts<'_>) -> Vec<Column> {
    let of = (0..units.len()).map(|c| geometry.and_then(|geometry| geometry.concepts.get(c)));
    let probe = of.clone().map(|of| of.and_then(|of| of.probe));
    let interval = |of: &crate::measure::auroc::Auroc| Interval { estimate: of.auroc, lo: of.lo, hi: of.hi };
    let mut columns = vec![
        Column::text("site", units.iter().map(|_| site)),
        Column::text("concept", names.iter().take(units.len())),
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
