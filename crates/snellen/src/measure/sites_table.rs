//! `sites.parquet`: a row for every site.
//!
//! Columns `site` (text), `units` and how many of them are of each class, `silent` to `non_finite` (u32); `images` (u32: those that the
//! rest was measured on), `participation_ratio` (f64), `k95`, `decodable_concepts`, `decodable_by_chance` (u32), `count_r2`, `linear_r2`,
//! `linear_r2_white`, `conjunction_gain`, each with `_lo` and `_hi` (f64), `conjunction_factors` (text), `ms_by_chance` (f64: what a unit that
//! knows nothing of the second encoder scores); null where missing; zstd. The same sites give the same bytes.

use super::columns::{Column, write_columns};
use super::factorial::UnitClass;
use super::superposition::SiteGeometry;
use crate::Result;
use std::collections::BTreeMap;
use std::path::Path;

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
    pub geometry: Option<&'a SiteGeometry>,
    /// The monosemanticity score that chance gives; `None` without a second encoder.
    pub ms_by_chance: Option<f64>,
}

/// Writes `sites`, whose labels have `factors`, to `path`, in one step.
///
/// # Errors
/// When the file cannot be written.
pub fn write_sites(path: &Path, factors: &[String], sites: &[SiteRow<'_>]) -> Result<()> {
    write_columns(path, &columns(factors, sites), [columns(factors, sites)])
}

fn columns(factors: &[String], sites: &[SiteRow<'_>]) -> Vec<Column> {
    let rows = sites.iter();
    let geometry = rows.clone().map(|row| row.geometry);
    let mut columns = vec![
        Column::text("site", rows.clone().map(|row| row.site)),
        Column::count("units", rows.clone().map(|row| row.units)),
    ];
    for class in UnitClass::ALL {
        let of = |row: &SiteRow<'_>| row.classes.get(&class).copied().unwrap_or(0);
        columns.push(Column::count(class.name(), rows.clone().map(of)));
    }
    let count = |name: &str, of: fn(&SiteGeometry) -> Option<usize>| {
        Column::optional_count(name, geometry.clone().map(|geometry| geometry.and_then(of)))
    };
    columns.push(count("images", |of| Some(of.images)));
    let ratio = geometry.clone().map(|geometry| geometry.and_then(|geometry| geometry.participation_ratio));
    columns.push(Column::number("participation_ratio", ratio));
    columns.push(count("k95", |of| of.k95));
    columns.push(count("decodable_concepts", |of| Some(of.decodable)));
    columns.push(count("decodable_by_chance", |of| Some(of.decodable_by_chance)));
    let [count, linear] = [|of: &SiteGeometry| of.count_r2, |of: &SiteGeometry| of.linear_r2];
    columns.extend(Column::interval("count_r2", &geometry.clone().map(|of| of.and_then(count))));
    columns.extend(Column::interval("linear_r2", &geometry.clone().map(|of| of.and_then(linear))));
    let white = geometry.clone().map(|of| of.and_then(|of| of.linear_r2_white));
    columns.extend(Column::interval("linear_r2_white", &white));
    let gain = geometry.clone().map(|of| of.and_then(|of| of.conjunction_gain));
    columns.extend(Column::interval("conjunction_gain", &gain));
    let pair = |of: &SiteGeometry| of.conjunction_factors.map(|pair| pair.map(|f| factors[f].as_str()).join(" x "));
    columns.push(Column::optional_text("conjunction_factors", geometry.map(|of| of.and_then(pair))));
    columns.push(Column::number("ms_by_chance", rows.map(|row| row.ms_by_chance)));
    columns
}
