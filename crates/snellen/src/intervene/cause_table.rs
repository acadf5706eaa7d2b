//! `cause.parquet`: a row for each effect of an edit.
//!
//! Columns `site`, `tokens`, `set` (text), `size` (u32), `edit`, `target` (text), `effect`, `lo`, `hi` (f64, in spreads between twins),
//! `null_mean`, `null_lo`, `null_hi` (f64: the same of random sets), `p`, `q` (f64), `changed` (u64: values that were changed); zstd. The
//! same effects give the same bytes.

use super::effect::Effect;
use crate::Result;
use crate::measure::writer::write_table;
use arrow_array::{ArrayRef, Float64Array, StringArray, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use std::path::Path;
use std::sync::Arc;

/// Writes `effects` to `path`, in one step.
///
/// # Errors
/// When the file cannot be written.
pub fn write_cause(path: &Path, effects: &[Effect]) -> Result<()> {
    let text =
        |of: fn(&Effect) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(effects.iter().map(of))) };
    let number =
        |of: fn(&Effect) -> f64| -> ArrayRef { Arc::new(Float64Array::from_iter_values(effects.iter().map(of))) };
    let size: ArrayRef = Arc::new(UInt32Array::from_iter_values(effects.iter().map(|effect| effect.size as u32)));
    let changed: ArrayRef = Arc::new(UInt64Array::from_iter_values(effects.iter().map(|effect| effect.changed)));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("site", text(|effect| &effect.site)),
        ("tokens", text(|effect| &effect.tokens)),
        ("set", text(|effect| &effect.set)),
        ("size", size),
        ("edit", text(|effect| &effect.edit)),
        ("target", text(|effect| &effect.target)),
        ("effect", number(|effect| effect.effect.estimate)),
        ("lo", number(|effect| effect.effect.lo)),
        ("hi", number(|effect| effect.effect.hi)),
        ("null_mean", number(|effect| effect.null.mean)),
        ("null_lo", number(|effect| effect.null.lo)),
        ("null_hi", number(|effect| effect.null.hi)),
        ("p", number(|effect| effect.p)),
        ("q", number(|effect| effect.q)),
        ("changed", changed),
    ];
    let field = |(name, column): &(&str, ArrayRef)| -> Field {
        let kind: &DataType = column.data_type();
        Field::new(*name, kind.clone(), false)
    };
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    write_table(path, schema, [Ok(columns.into_iter().map(|(_, column)| column).collect())])
}
