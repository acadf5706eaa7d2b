//! What the columns of a `labels.csv` mean.

use super::MAX_COLUMNS;
use crate::scene::name::check_factor;
use crate::{Error, Result};
use csv::StringRecord;
use std::collections::BTreeMap;

/// What the columns mean.
pub(super) struct Header {
    /// All names, blanks at their ends dropped.
    pub names: Vec<String>,
    /// The column of the file names.
    pub filename: usize,
    pub factors: Vec<String>,
    /// Per object, per factor: its column, where it has one.
    pub columns: Vec<Vec<Option<usize>>>,
    /// Whether objects are numbered; else every other column is a factor of one object until [`Header::keep`] says otherwise.
    pub numbered: bool,
    /// Fields that a row has at least: up to the last column with a name.
    pub least: usize,
}

/// Whether a column of this name holds the file names.
pub(crate) fn is_filename(name: &str) -> bool {
    ["filename", "file_name"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

impl Header {
    /// Reads the first row; `place` is its file and line.
    ///
    /// # Errors
    /// As [`parse_labels`](super::parse_labels) of the header.
    pub fn parse(place: &str, record: &StringRecord) -> Result<Self> {
        if record.len() > MAX_COLUMNS {
            return Err(Error::mismatch(place, format!("at most {MAX_COLUMNS} columns"), record.len()));
        }
        let names: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
        let here = |column: usize| format!("{place}, column {}", column + 1);
        let (mut filename, mut factors, mut found) = (None, Vec::new(), BTreeMap::new());
        for (column, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let before = names[..column].iter().position(|other| other == name);
            if let Some(other) = before.or(filename.filter(|_| is_filename(name))) {
                let got = format!("`{name}` beside `{}` in column {}", names[other], other + 1);
                return Err(Error::mismatch(here(column), "a column name of its own", got));
            }
            if is_filename(name) {
                filename = Some(column);
            } else if let Some((factor, digits)) = numbered(name) {
                check_factor(|| here(column), factor)?;
                let k = digits.parse::<usize>().ok().filter(|k| *k < MAX_COLUMNS && k.to_string() == digits);
                let unspelt =
                    || Error::mismatch(here(column), "an object number spelt 0, 1, 2, ...", format!("`{name}`"));
                let k = k.ok_or_else(unspelt)?;
                let f = factors.iter().position(|other| other == factor).unwrap_or(factors.len());
                if f == factors.len() {
                    factors.push(factor.to_owned());
                }
                found.insert((f, k), column);
            }
        }
        let shown = || names.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
        let filename = filename
            .ok_or_else(|| Error::mismatch(place, "a column `filename`", format!("the columns [{}]", shown())))?;
        for &(f, k) in found.keys() {
            if k > 0 && !found.contains_key(&(f, k - 1)) {
                let (factor, before) = (&factors[f], k - 1);
                let got = format!("`{factor}_{k}` without it");
                return Err(Error::mismatch(place, format!("a column `{factor}_{before}`"), got));
            }
        }
        let least = names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        if found.is_empty() {
            let others = (0..names.len()).filter(|column| *column != filename && !names[*column].is_empty());
            let columns: Vec<usize> = others.collect();
            let factors = columns.iter().map(|column| names[*column].clone()).collect();
            let columns = vec![columns.into_iter().map(Some).collect()];
            return Ok(Self { names, filename, factors, columns, numbered: false, least });
        }
        let objects = found.keys().map(|(_, k)| k + 1).max().unwrap_or(0);
        let column = |k| (0..factors.len()).map(|f| found.get(&(f, k)).copied()).collect();
        let columns = (0..objects).map(column).collect();
        Ok(Self { names, filename, factors, columns, numbered: true, least })
    }

    /// Keeps of columns without a number those that `is_factor`.
    ///
    /// # Errors
    /// When a factor's name is refused.
    pub fn keep(&mut self, place: &str, is_factor: impl Fn(usize) -> bool) -> Result<()> {
        let kept: Vec<usize> =
            self.columns.concat().into_iter().flatten().filter(|column| is_factor(*column)).collect();
        kept.iter()
            .try_for_each(|column| check_factor(|| format!("{place}, column {}", column + 1), &self.names[*column]))?;
        self.factors = kept.iter().map(|column| self.names[*column].clone()).collect();
        self.columns = if kept.is_empty() { Vec::new() } else { vec![kept.into_iter().map(Some).collect()] };
        Ok(())
    }

    /// The factors called `chosen`, in the order of the table: names of columns where these have no numbers, else what stands before the number.
    ///
    /// # Errors
    /// When there is no such factor, one is named twice, or its name is refused.
    pub fn chosen(&self, place: &str, chosen: &[String]) -> Result<Vec<usize>> {
        let mut kept = Vec::with_capacity(chosen.len());
        for name in chosen {
            let Some(factor) = self.factors.iter().position(|factor| factor == name) else {
                let known = self.factors.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
                let expected = format!("columns among [{known}]");
                return Err(Error::mismatch(place, expected, format!("`{}`", name.escape_debug())));
            };
            if kept.contains(&factor) {
                return Err(Error::mismatch(place, "every column of labels once", format!("`{name}` again")));
            }
            check_factor(|| place.to_owned(), name)?;
            kept.push(factor);
        }
        kept.sort_unstable();
        Ok(kept)
    }

    /// The named columns that are neither the file name nor a factor.
    pub fn ignored(&self) -> Vec<String> {
        let used = |column: usize| column == self.filename || self.columns.iter().flatten().any(|c| *c == Some(column));
        let others = self.names.iter().enumerate().filter(|(column, name)| !name.is_empty() && !used(*column));
        others.map(|(_, name)| name.clone()).collect()
    }
}

/// `shape_0` is (`shape`, `0`); `num_shapes` is nothing.
pub(crate) fn numbered(name: &str) -> Option<(&str, &str)> {
    let (factor, digits) = name.rsplit_once('_')?;
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (number && !factor.is_empty()).then_some((factor, digits))
}
