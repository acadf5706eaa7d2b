//! `pairs.parquet`: every pair of concepts at every site, and the units that they share.
//!
//! Columns `site`, `concept_a`, `concept_b` (text), `shared_units` (u32), `expected`, `log_odds`, `p`, `q` (f64, null where missing); a row
//! group per site; zstd. The same pairs give the same bytes.

use super::co_encoding::CoEncoding;
use super::table::write_table;
use crate::Result;
use arrow_array::builder::{Float64Builder, StringBuilder, UInt32Builder};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, Schema};
use std::path::Path;
use std::sync::Arc;

const NUMBERS: [&str; 4] = ["expected", "log_odds", "p", "q"];

/// Writes the pairs of `sites`, whose concepts are called `names`, to `path`, in one step.
///
/// # Errors
/// When the file cannot be written.
pub fn write_pairs(path: &Path, names: &[String], sites: &[(String, Vec<CoEncoding>)]) -> Result<()> {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let mut fields = ["site", "concept_a", "concept_b"].map(text).to_vec();
    fields.push(Field::new("shared_units", DataType::UInt32, false));
    fields.extend(NUMBERS.map(|name| Field::new(name, DataType::Float64, true)));
    write_table(path, Schema::new(fields), sites.iter().map(|(site, pairs)| columns(names, site, pairs)))
}

fn columns(names: &[String], site: &str, pairs: &[CoEncoding]) -> Vec<ArrayRef> {
    let mut text: [StringBuilder; 3] = Default::default();
    let mut shared = UInt32Builder::new();
    let mut numbers: [Float64Builder; 4] = Default::default();
    for pair in pairs {
        let row = [site, &names[pair.a], &names[pair.b]];
        text.iter_mut().zip(row).for_each(|(column, value)| column.append_value(value));
        shared.append_value(pair.shared as u32);
        let row = [Some(pair.expected), Some(pair.log_odds), pair.p, pair.q];
        numbers.iter_mut().zip(row).for_each(|(column, value)| column.append_option(value));
    }
    let text = text.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
    let shared: Arc<dyn Array> = Arc::new(shared.finish());
    let numbers = numbers.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
    text.chain([shared]).chain(numbers).collect()
}
