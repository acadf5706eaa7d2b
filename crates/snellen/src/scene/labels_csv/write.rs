//! Labels as they are written: UTF-8, separated by commas, objects numbered.

use super::MAX_COLUMNS;
use crate::scene::Factor;
use crate::scene::labels::{LabelRow, LabelTable};
use crate::{Error, Result};
use std::io::Write;

/// Writes `table`: objects' columns in the order of its factors, as many as the fullest image needs and one at least.
///
/// # Errors
/// When [`LabelTable::check`] refuses the table, it needs more than [`MAX_COLUMNS`], or writing fails.
pub fn write_labels(table: &LabelTable, to: impl Write) -> Result<()> {
    table.check()?;
    let most = table.object_counts().into_iter().max().unwrap_or(0).max(1);
    let mut writer = LabelWriter::begin(&table.factors, most, to)?;
    table.rows.iter().try_for_each(|row| writer.row(row))?;
    writer.finish()
}

/// A table that is written row by row, so that it need not be in memory.
pub struct LabelWriter<'a, W: Write> {
    factors: &'a [Factor],
    most: usize,
    writer: csv::Writer<W>,
}

impl<'a, W: Write> LabelWriter<'a, W> {
    /// Writes the header, with columns for `most` objects of `factors`.
    ///
    /// # Errors
    /// When that is more than [`MAX_COLUMNS`], or writing fails.
    pub fn begin(factors: &'a [Factor], most: usize, to: W) -> Result<Self> {
        if most * factors.len() >= MAX_COLUMNS {
            let got = format!("{most} objects of {} factors", factors.len());
            return Err(Error::mismatch("labels: columns", format!("at most {MAX_COLUMNS}"), got));
        }
        let columns = (0..most).flat_map(|k| factors.iter().map(move |factor| format!("{}_{k}", factor.name)));
        let mut writer = csv::Writer::from_writer(to);
        let header = std::iter::once("filename".to_owned()).chain(columns);
        writer.write_record(header).map_err(unwritten)?;
        Ok(Self { factors, most, writer })
    }

    /// Writes the next row; objects beyond those of the header are left out.
    ///
    /// # Errors
    /// When writing fails.
    ///
    /// # Panics
    /// If a value's index is not one of its factor.
    pub fn row(&mut self, row: &LabelRow) -> Result<()> {
        let value = |k: usize, f: usize| {
            let index = row.objects.get(k).and_then(|object| object[f]);
            index.map_or("", |index| self.factors[f].values[index as usize].as_str())
        };
        let cells = (0..self.most).flat_map(|k| (0..self.factors.len()).map(move |f| (k, f)));
        let fields = cells.map(|(k, f)| value(k, f));
        self.writer.write_record(std::iter::once(row.filename.as_str()).chain(fields)).map_err(unwritten)
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> Result<()> {
        self.writer.flush().map_err(|source| Error::malformed("labels: writing", source))
    }
}

fn unwritten(source: csv::Error) -> Error {
    Error::malformed("labels: writing", source)
}
