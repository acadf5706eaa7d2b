//! Columns of a Parquet table, each with its name and type.

use crate::measure::Interval;
use crate::measure::spread::Spread;
use crate::measure::writer::TableWriter;
use crate::{Error, Result};
use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{Field, Schema};
use std::path::Path;
use std::sync::Arc;

/// A column.
pub(crate) struct Column {
    name: String,
    nullable: bool,
    values: ArrayRef,
}

impl Column {
    pub(crate) fn text<T: AsRef<str>>(name: &str, values: impl Iterator<Item = T>) -> Self {
        let values = Arc::new(StringArray::from_iter_values(values));
        Self { name: name.to_owned(), nullable: false, values }
    }

    pub(crate) fn optional_text(name: &str, values: impl Iterator<Item = Option<String>>) -> Self {
        Self { name: name.to_owned(), nullable: true, values: Arc::new(values.collect::<StringArray>()) }
    }

    /// Several texts a row.
    pub(crate) fn texts<'a>(name: &str, values: impl Iterator<Item = &'a [String]>) -> Self {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for texts in values {
            texts.iter().for_each(|text| lists.values().append_value(text));
            lists.append(true);
        }
        Self { name: name.to_owned(), nullable: false, values: Arc::new(lists.finish()) }
    }

    pub(crate) fn count(name: &str, values: impl Iterator<Item = usize>) -> Self {
        let values = Arc::new(UInt32Array::from_iter_values(values.map(|count| count as u32)));
        Self { name: name.to_owned(), nullable: false, values }
    }

    pub(crate) fn optional_count(name: &str, values: impl Iterator<Item = Option<usize>>) -> Self {
        let values = values.map(|count| count.map(|count| count as u32)).collect::<UInt32Array>();
        Self { name: name.to_owned(), nullable: true, values: Arc::new(values) }
    }

    pub(crate) fn flag(name: &str, values: impl Iterator<Item = bool>) -> Self {
        let values = BooleanArray::from(values.collect::<Vec<_>>());
        Self { name: name.to_owned(), nullable: false, values: Arc::new(values) }
    }

    /// What is not finite is null.
    pub(crate) fn number(name: &str, values: impl Iterator<Item = Option<f64>>) -> Self {
        let values = values.map(|x| x.filter(|x| x.is_finite())).collect::<Float64Array>();
        Self { name: name.to_owned(), nullable: true, values: Arc::new(values) }
    }

    /// As they are: also what is not finite.
    pub(crate) fn exact(name: &str, values: impl Iterator<Item = Option<f64>>) -> Self {
        Self { name: name.to_owned(), nullable: true, values: Arc::new(values.collect::<Float64Array>()) }
    }

    /// `name_untrained`, `name_untrained_lo` and `name_untrained_hi`: what untrained models give.
    pub(crate) fn untrained(name: &str, values: &(impl Iterator<Item = Option<Spread>> + Clone)) -> [Self; 3] {
        let end = |suffix: &str, of: fn(Spread) -> f64| {
            Self::number(&format!("{name}_untrained{suffix}"), values.clone().map(|spread| spread.map(of)))
        };
        [end("", |x| x.mean), end("_lo", |x| x.lo), end("_hi", |x| x.hi)]
    }

    /// `name`, `name_lo` and `name_hi`.
    pub(crate) fn interval(name: &str, values: &(impl Iterator<Item = Option<Interval>> + Clone)) -> [Self; 3] {
        let end = |suffix: &str, of: fn(Interval) -> f64| {
            Self::number(&format!("{name}{suffix}"), values.clone().map(|interval| interval.map(of)))
        };
        [end("", |x| x.estimate), end("_lo", |x| x.lo), end("_hi", |x| x.hi)]
    }
}

/// The column of a batch that is called `name`, as arrays of its type.
///
/// # Errors
/// When there is none, or it is of another type.
pub(crate) fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A> {
    let found = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<A>());
    found.ok_or_else(|| Error::mismatch(format!("column `{name}`"), "one of its type", "none"))
}

/// The rows that `columns` make.
pub(crate) fn batch(columns: &[Column]) -> Result<RecordBatch> {
    let field = |column: &Column| Field::new(&column.name, column.values.data_type().clone(), column.nullable);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let arrays = columns.iter().map(|column| column.values.clone()).collect();
    RecordBatch::try_new(Arc::new(schema), arrays).map_err(|source| Error::malformed("columns of a table", source))
}

/// Writes a table to `path`, in one step: a row group for each of `groups`; `none` are its columns without rows.
pub(crate) fn write_columns(path: &Path, none: &[Column], groups: impl IntoIterator<Item = Vec<Column>>) -> Result<()> {
    let mut table = TableWriter::create(path, batch(none)?.schema())?;
    groups.into_iter().try_for_each(|columns| table.write(&batch(&columns)?))?;
    table.finish()
}
