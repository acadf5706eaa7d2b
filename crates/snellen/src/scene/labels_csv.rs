//! `labels.csv`: `filename`, then `<factor>_<k>` for object k (`shape_0,color_0,position_0,shape_1,...`).
//!
//! Columns of any other name are ignored, as is their order. An empty field is a factor that is not labelled; an object
//! without any label is no object.

use super::Factor;
use super::check::check_name;
use super::labels::{LabelRow, LabelTable, check_filename};
use crate::{Error, Result};
use csv::ByteRecord;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: u64 = 1 << 26;

/// The most columns.
pub const MAX_COLUMNS: usize = 10_000;

/// Reads the table at `path`.
///
/// # Errors
/// Refuses, with line and column: fields missing or left over, columns repeated or not numbered 0, 1, 2, ..., file names
/// that are empty, repeated, absolute or lead out of the folder, text that is not UTF-8, holds control characters or is
/// longer than [`MAX_NAME`](super::MAX_NAME) bytes, an object after a missing one, a quotation mark that never closes; and files
/// over [`MAX_BYTES`].
pub fn read_labels(path: &Path) -> Result<LabelTable> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::mismatch(path.display(), format!("at most {MAX_BYTES} bytes"), "more"));
    }
    parse_labels(&path.display().to_string(), &bytes)
}

/// Reads a table from `bytes`, called `name` in errors.
///
/// # Errors
/// As [`read_labels`].
pub fn parse_labels(name: &str, bytes: &[u8]) -> Result<LabelTable> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = ByteRecord::new();
    let malformed = |source| Error::malformed(name, source);
    if !reader.read_byte_record(&mut record).map_err(malformed)? {
        return Err(Error::mismatch(name, "a header with a column `filename`", "an empty file"));
    }
    let header = Header::parse(&format!("{name}:1"), &record)?;
    let (mut rows, mut files) = (Vec::new(), BTreeSet::new());
    let mut values = vec![BTreeMap::new(); header.factors.len()];
    while reader.read_byte_record(&mut record).map_err(malformed)? {
        let line = Line { file: name, bytes, start: record.position().map_or(0, csv::Position::byte), header: &header };
        line.check_quotes(reader.position().byte())?;
        let row = line.parse(&record, &mut values)?;
        if !files.insert(row.filename.clone()) {
            let got = format!("`{}` again", row.filename);
            return Err(Error::mismatch(line.at(header.filename), "a file name of its own", got));
        }
        rows.push(row);
    }
    let factors =
        header.factors.into_iter().zip(values).map(|(name, values)| Factor { name, values: in_order(values) });
    Ok(LabelTable { factors: factors.collect(), rows }.canonical())
}

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

/// The number of each value of a factor, in the order in which they were met.
type Values = BTreeMap<String, u32>;

fn in_order(values: Values) -> Vec<String> {
    let mut numbered: Vec<_> = values.into_iter().map(|(value, number)| (number, value)).collect();
    numbered.sort_unstable();
    numbered.into_iter().map(|(_, value)| value).collect()
}

/// What the columns mean.
struct Header {
    names: Vec<String>,
    filename: usize,
    factors: Vec<String>,
    /// Per object, per factor: the column.
    columns: Vec<Vec<Option<usize>>>,
}

impl Header {
    fn parse(place: &str, record: &ByteRecord) -> Result<Self> {
        if record.len() > MAX_COLUMNS {
            return Err(Error::mismatch(place, format!("at most {MAX_COLUMNS} columns"), record.len()));
        }
        let (mut names, mut filename, mut factors) = (Vec::new(), None, Vec::new());
        let mut found = BTreeMap::new();
        for (column, field) in record.iter().enumerate() {
            let here = || format!("{place}, column {}", column + 1);
            let name = text(here, field)?;
            if names.iter().any(|other| other == name) {
                return Err(Error::mismatch(here(), "a column name of its own", format!("`{name}` again")));
            }
            if name == "filename" {
                filename = Some(column);
            } else if let Some((factor, digits)) = numbered(name) {
                check_name(here, factor)?;
                let k = digits.parse::<usize>().ok().filter(|k| *k < MAX_COLUMNS && k.to_string() == digits);
                let unspelt = || Error::mismatch(here(), "an object number spelt 0, 1, 2, ...", format!("`{name}`"));
                let k = k.ok_or_else(unspelt)?;
                let f = factors.iter().position(|other| other == factor).unwrap_or(factors.len());
                if f == factors.len() {
                    factors.push(factor.to_owned());
                }
                found.insert((f, k), column);
            }
            names.push(name.to_owned());
        }
        let filename = filename.ok_or_else(|| Error::mismatch(place, "a column `filename`", format!("{names:?}")))?;
        for &(f, k) in found.keys() {
            if k > 0 && !found.contains_key(&(f, k - 1)) {
                let (factor, before) = (&factors[f], k - 1);
                let got = format!("`{factor}_{k}` without it");
                return Err(Error::mismatch(place, format!("a column `{factor}_{before}`"), got));
            }
        }
        let objects = found.keys().map(|(_, k)| k + 1).max().unwrap_or(0);
        let column = |k| (0..factors.len()).map(|f| found.get(&(f, k)).copied()).collect();
        let columns = (0..objects).map(column).collect();
        Ok(Self { names, filename, factors, columns })
    }
}

/// Where a row stands.
struct Line<'a> {
    file: &'a str,
    bytes: &'a [u8],
    /// Its first byte, or that of empty lines before it.
    start: u64,
    header: &'a Header,
}

impl Line<'_> {
    fn place(&self) -> String {
        let (before, rest) = self.bytes.split_at((self.start as usize).min(self.bytes.len()));
        let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let number = 1 + before.iter().chain(empty).filter(|&&byte| byte == b'\n').count();
        format!("{}:{number}", self.file)
    }

    /// An open quotation mark would swallow the rows after it.
    fn check_quotes(&self, end: u64) -> Result<()> {
        let bytes = self.bytes.get(self.start as usize..end as usize).unwrap_or_default();
        if bytes.iter().fold(false, |open, &byte| open ^ (byte == b'"')) {
            return Err(Error::mismatch(self.place(), "every quotation mark closed", "one that is not"));
        }
        Ok(())
    }

    fn at(&self, column: usize) -> String {
        format!("{}, column {} (`{}`)", self.place(), column + 1, self.header.names[column])
    }

    fn parse(&self, record: &ByteRecord, values: &mut [Values]) -> Result<LabelRow> {
        if record.len() != self.header.names.len() {
            let expected = format!("{} fields, as in the header", self.header.names.len());
            return Err(Error::mismatch(self.place(), expected, record.len()));
        }
        let column = self.header.filename;
        let filename = text(|| self.at(column), &record[column])?.to_owned();
        check_filename(|| self.at(column), &filename)?;
        let mut objects = Vec::new();
        for (k, columns) in self.header.columns.iter().enumerate() {
            let labelled = |column: &Option<usize>| column.filter(|&column| !record[column].is_empty());
            let Some(first) = columns.iter().find_map(labelled) else { continue };
            if objects.len() < k {
                let expected = format!("nothing, since object {} is missing", objects.len());
                return Err(Error::mismatch(self.at(first), expected, String::from_utf8_lossy(&record[first])));
            }
            let number = |(column, values): (&Option<usize>, &mut Values)| match labelled(column) {
                None => Ok(None),
                Some(column) => self.number(column, &record[column], values).map(Some),
            };
            objects.push(columns.iter().zip(values.iter_mut()).map(number).collect::<Result<_>>()?);
        }
        Ok(LabelRow { filename, objects })
    }

    fn number(&self, column: usize, field: &[u8], values: &mut Values) -> Result<u32> {
        let value = text(|| self.at(column), field)?;
        if let Some(&number) = values.get(value) {
            return Ok(number);
        }
        check_name(|| self.at(column), value)?;
        let number = values.len() as u32;
        values.insert(value.to_owned(), number);
        Ok(number)
    }
}

/// `shape_0` is (`shape`, `0`); `num_shapes` is nothing.
fn numbered(name: &str) -> Option<(&str, &str)> {
    let (factor, digits) = name.rsplit_once('_')?;
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (number && !factor.is_empty()).then_some((factor, digits))
}

fn text(place: impl Fn() -> String, field: &[u8]) -> Result<&str> {
    std::str::from_utf8(field).map_err(|source| Error::malformed(place(), source))
}
