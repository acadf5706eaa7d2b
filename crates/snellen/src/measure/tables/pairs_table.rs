//! `pairs.parquet`: every pair of concepts at every site, and what they share.
//!
//! Columns `site`, `concept_a`, `concept_b` (text), `shared_units` (u32), `expected`, `log_odds`, `p`, `q`; `overlap`, `overlap_null`,
//! `overlap_rotated`, `cos_cv`, `interference_ab` (how far b moves the probe of a), `interference_ba`, all but the null with `_lo` and `_hi` (f64, null
//! where missing); a row group per site; zstd. The same pairs give the same bytes.

use crate::Result;
use crate::measure::co_encoding::CoEncoding;
use crate::measure::columns::{Column, batch};
use crate::measure::superposition::{PairGeometry, SiteGeometry};
use crate::measure::writer::Table;
use arrow_array::RecordBatch;

/// The pairs of one site.
#[derive(Clone, Debug, PartialEq)]
pub struct SitePairs {
    /// Its name.
    pub site: String,
    /// Units that they share.
    pub shared: Vec<CoEncoding>,
    /// The rest; `None` of too few images.
    pub geometry: Option<SiteGeometry>,
}

/// Rows of one site.
#[derive(Clone, Copy, Debug)]
pub struct PairRows<'a> {
    /// What concepts are called.
    pub concepts: &'a [String],
    /// The pairs.
    pub pairs: &'a SitePairs,
}

impl Table for PairRows<'_> {
    fn batch(&self) -> Result<RecordBatch> {
        batch(&columns(self.concepts, self.pairs))
    }
}

fn columns(names: &[String], SitePairs { site, shared, geometry }: &SitePairs) -> Vec<Column> {
    let shared = shared.iter();
    let found = geometry.as_ref().map(|geometry| &geometry.pairs);
    // Both list every pair in the same order.
    let geometry = shared.clone().enumerate().map(|(k, pair)| {
        let of: Option<&PairGeometry> = found.and_then(|pairs| pairs.get(k));
        of.filter(|of| (of.a, of.b) == (pair.a, pair.b))
    });
    let mut columns = vec![
        Column::text("site", shared.clone().map(|_| site)),
        Column::text("concept_a", shared.clone().map(|pair| &names[pair.a])),
        Column::text("concept_b", shared.clone().map(|pair| &names[pair.b])),
        Column::count("shared_units", shared.clone().map(|pair| pair.shared)),
        Column::number("expected", shared.clone().map(|pair| Some(pair.expected))),
        Column::number("log_odds", shared.clone().map(|pair| Some(pair.log_odds))),
        Column::number("p", shared.clone().map(|pair| pair.p)),
        Column::number("q", shared.map(|pair| pair.q)),
    ];
    let overlap = geometry.clone().map(|pair| pair.and_then(|pair| pair.overlap));
    columns.extend(Column::interval("overlap", &overlap.clone().map(|overlap| overlap.map(|o| o.overlap))));
    columns.push(Column::number("overlap_null", overlap.clone().map(|overlap| overlap.map(|o| o.null))));
    columns.extend(Column::interval("overlap_rotated", &overlap.map(|overlap| overlap.map(|o| o.rotated))));
    columns.extend(Column::interval("cos_cv", &geometry.clone().map(|pair| pair.and_then(|pair| pair.cos_cv))));
    let ab = geometry.clone().map(|pair| pair.and_then(|pair| pair.interference_ab));
    columns.extend(Column::interval("interference_ab", &ab));
    let ba = geometry.map(|pair| pair.and_then(|pair| pair.interference_ba));
    columns.extend(Column::interval("interference_ba", &ba));
    columns
}
