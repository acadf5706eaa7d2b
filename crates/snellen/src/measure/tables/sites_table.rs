//! `sites.parquet`: a row for every site.
//!
//! Columns `site` (text), `units` and how many of them are of each class, `unexplained` to `non_finite` (u32); `images` (u32: those that the
//! rest was measured on), `participation_ratio` (f64), `k95`, `decodable_concepts`, `decodable_by_chance` (u32), `count_r2`, `linear_r2`,
//! `linear_r2_white`, `conjunction_gain`, each with `_lo` and `_hi` (f64), `conjunction_factors` (text), `ms_by_chance` (f64: what a unit that
//! knows nothing of the second encoder scores); then `encoding` (u32: units that encode something), and of untrained models `X_untrained`,
//! `X_untrained_lo` and `X_untrained_hi` (f64: their mean, and where another would lie; of the kind whose upper end is higher) for X of
//! `encoding`, every class, `decodable_concepts`, `participation_ratio`, `linear_r2` and `conjunction_gain`; null where missing; zstd. The same sites give
//! the same bytes.

use crate::Result;
use crate::measure::columns::{Column, batch};
use crate::measure::control::{SiteControl, most};
use crate::measure::factorial::UnitClass;
use crate::measure::spread::Spread;
use crate::measure::superposition::Together;
use crate::measure::writer::Table;
use arrow_array::RecordBatch;
use std::collections::BTreeMap;

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteRow<'a> {
    /// Its name.
    pub site: &'a str,
    /// Its units.
    pub units: usize,
    /// How many are of each class.
    pub classes: &'a BTreeMap<UnitClass, usize>,
    /// Its concepts together; `None` of too few images.
    pub together: Option<&'a Together>,
    /// The monosemanticity score that chance gives; `None` without a second encoder.
    pub ms_by_chance: Option<f64>,
    /// Units that encode something.
    pub encoding: usize,
    /// What untrained models give.
    pub controls: &'a [SiteControl],
}

/// Rows of all sites.
#[derive(Clone, Copy, Debug)]
pub struct SiteRows<'a>(pub &'a [SiteRow<'a>]);

impl Table for SiteRows<'_> {
    fn batch(&self) -> Result<RecordBatch> {
        batch(&columns(self.0))
    }
}

fn columns(sites: &[SiteRow<'_>]) -> Vec<Column> {
    let rows = sites.iter();
    let together = rows.clone().map(|row| row.together);
    let mut columns = vec![
        Column::text("site", rows.clone().map(|row| row.site)),
        Column::count("units", rows.clone().map(|row| row.units)),
    ];
    for class in UnitClass::ALL {
        let of = |row: &SiteRow<'_>| row.classes.get(&class).copied().unwrap_or(0);
        columns.push(Column::count(class.name(), rows.clone().map(of)));
    }
    let count = |name: &str, of: fn(&Together) -> Option<usize>| {
        Column::optional_count(name, together.clone().map(|together| together.and_then(of)))
    };
    columns.push(count("images", |of| Some(of.images)));
    let ratio = together.clone().map(|together| together.and_then(|together| together.participation_ratio));
    columns.push(Column::number("participation_ratio", ratio));
    columns.push(count("k95", |of| of.k95));
    columns.push(count("decodable_concepts", |of| Some(of.decodable)));
    columns.push(count("decodable_by_chance", |of| Some(of.decodable_by_chance)));
    let [count, linear] = [|of: &Together| of.count_r2, |of: &Together| of.linear_r2];
    columns.extend(Column::interval("count_r2", &together.clone().map(|of| of.and_then(count))));
    columns.extend(Column::interval("linear_r2", &together.clone().map(|of| of.and_then(linear))));
    let white = together.clone().map(|of| of.and_then(|of| of.linear_r2_white));
    columns.extend(Column::interval("linear_r2_white", &white));
    let gain = together.clone().map(|of| of.and_then(|of| of.conjunction_gain));
    columns.extend(Column::interval("conjunction_gain", &gain));
    let pair = |of: &Together| of.conjunction_factors.as_ref().map(|pair| pair.join(" x "));
    columns.push(Column::optional_text("conjunction_factors", together.map(|of| of.and_then(pair))));
    columns.push(Column::number("ms_by_chance", rows.clone().map(|row| row.ms_by_chance)));
    columns.push(Column::count("encoding", rows.clone().map(|row| row.encoding)));
    let mut untrained = |name: &str, of: &dyn Fn(&SiteControl) -> Option<Spread>| {
        let values: Vec<Option<Spread>> = sites.iter().map(|row| most(row.controls, of)).collect();
        columns.extend(Column::untrained(name, &values.into_iter()));
    };
    untrained("encoding", &|of| Some(of.encoding));
    for class in UnitClass::ALL {
        untrained(class.name(), &|of| of.classes.get(&class).copied());
    }
    untrained("decodable_concepts", &|of| of.decodable);
    untrained("participation_ratio", &|of| of.participation_ratio);
    untrained("linear_r2", &|of| of.linear_r2);
    untrained("conjunction_gain", &|of| of.conjunction_gain);
    columns
}
