//! The rows of a `labels.csv`.

use super::header::{Header, is_filename};
use super::text::{decode, line_ends, separator};
use super::{LabelFile, MAX_BYTES};
use crate::scene::Factor;
use crate::scene::labels::{LabelRow, LabelTable, check_filename};
use crate::scene::name::check_name;
use crate::{Error, Result};
use csv::StringRecord;
use std::collections::{BTreeMap, BTreeSet};

/// The number of each value of a factor, in the order in which they were met.
type Values = BTreeMap<String, u32>;

/// As [`LabelFile::parse`].
pub(super) fn parse(name: &str, bytes: &[u8], chosen: &[String]) -> Result<LabelFile> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::mismatch(name, format!("at most {MAX_BYTES} bytes"), bytes.len()));
    }
    let text = decode(name, bytes)?.into_owned();
    let separator = separator(&text, is_filename);
    let malformed = |source| Error::malformed(name, source);
    let mut record = StringRecord::new();
    let mut reader = reader(&text, separator);
    if !reader.read_record(&mut record).map_err(malformed)? {
        return Err(Error::mismatch(name, "a header with a column `filename`", "an empty file"));
    }
    let first = line_number(&text, record.position().map_or(0, csv::Position::byte));
    let mut header = Header::parse(&format!("{name}:{first}"), &record)?;
    let mut chosen = header.chosen(&format!("{name}:{first}"), chosen)?;
    if !header.numbered && !chosen.is_empty() {
        let columns: Vec<_> = chosen.drain(..).filter_map(|factor| header.columns[0][factor]).collect();
        header.keep(&format!("{name}:{first}"), |column| columns.contains(&column))?;
    } else if !header.numbered {
        let factors = repeating(&text, separator, &header).map_err(malformed)?;
        header.keep(&format!("{name}:{first}"), |column| factors.contains(&column))?;
    }
    let (mut rows, mut places, mut files) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut values = vec![BTreeMap::new(); header.factors.len()];
    while reader.read_record(&mut record).map_err(malformed)? {
        let start = record.position().map_or(0, csv::Position::byte);
        let line = Line { file: name, text: &text, start, header: &header };
        let end = reader.position().byte();
        line.check_quotes(end)?;
        // Spreadsheets leave rows of nothing but separators.
        if record.iter().all(|field| field.trim().is_empty()) && record.len() > 1 {
            continue;
        }
        let row = line.parse(&record, &mut values)?;
        if !files.insert(row.filename.clone()) {
            let got = format!("`{}` again", row.filename);
            return Err(Error::mismatch(line.at(header.filename), "a file name of its own", got));
        }
        rows.push(row);
        places.push(start as usize..(end as usize).min(text.len()));
    }
    let ignored = header.ignored();
    let factors =
        header.factors.into_iter().zip(values).map(|(name, values)| Factor { name, values: in_order(values) });
    let mut table = LabelTable { factors: factors.collect(), rows };
    if !chosen.is_empty() {
        table = only(table, &chosen);
    }
    let table = table.canonical();
    Ok(LabelFile { table, ignored, text, rows: places })
}

/// The `factors` of a table alone; objects stay, whatever else is said of them.
fn only(table: LabelTable, factors: &[usize]) -> LabelTable {
    let rows = table.rows.into_iter().map(|row| {
        let objects = row.objects.iter().map(|object| factors.iter().map(|f| object[*f]).collect()).collect();
        LabelRow { filename: row.filename, objects }
    });
    LabelTable { factors: factors.iter().map(|f| table.factors[*f].clone()).collect(), rows: rows.collect() }
}

fn reader(text: &str, separator: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(text.as_bytes())
}

/// The columns of `header` in which some value comes twice and none is refused as a name.
fn repeating(text: &str, separator: u8, header: &Header) -> csv::Result<BTreeSet<usize>> {
    #[derive(Default)]
    struct Seen {
        values: BTreeSet<String>,
        twice: bool,
        refused: bool,
    }
    let mut seen: BTreeMap<usize, Seen> = BTreeMap::new();
    let mut record = StringRecord::new();
    let mut reader = reader(text, separator);
    reader.read_record(&mut record)?;
    while reader.read_record(&mut record)? {
        for column in header.columns.iter().flatten().flatten() {
            let Some(value) = record.get(*column).map(str::trim).filter(|value| !value.is_empty()) else { continue };
            let seen = seen.entry(*column).or_default();
            seen.refused |= check_name(String::new, value).is_err();
            if !seen.refused && !seen.twice {
                seen.twice = !seen.values.insert(value.to_owned());
            }
        }
    }
    Ok(seen.into_iter().filter(|(_, seen)| seen.twice && !seen.refused).map(|(column, _)| column).collect())
}

fn in_order(values: Values) -> Vec<String> {
    let mut numbered: Vec<_> = values.into_iter().map(|(value, number)| (number, value)).collect();
    numbered.sort_unstable();
    numbered.into_iter().map(|(_, value)| value).collect()
}

/// The line of byte `start`, or that behind empty lines that begin there.
fn line_number(text: &str, start: u64) -> usize {
    let (before, rest) = text.as_bytes().split_at((start as usize).min(text.len()));
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    1 + line_ends(&text.as_bytes()[..before.len() + empty])
}

/// Where a row stands.
struct Line<'a> {
    file: &'a str,
    text: &'a str,
    /// Its first byte, or that of empty lines before it.
    start: u64,
    header: &'a Header,
}

impl Line<'_> {
    fn place(&self) -> String {
        format!("{}:{}", self.file, line_number(self.text, self.start))
    }

    /// An open quotation mark would swallow the rows after it; one behind a blank would be part of the value.
    fn check_quotes(&self, end: u64) -> Result<()> {
        let bytes = self.text.as_bytes().get(self.start as usize..end as usize).unwrap_or_default();
        if bytes.iter().fold(false, |open, &byte| open ^ (byte == b'"')) {
            return Err(Error::mismatch(self.place(), "every quotation mark closed", "one that is not"));
        }
        Ok(())
    }

    fn at(&self, column: usize) -> String {
        format!("{}, column {} (`{}`)", self.place(), column + 1, self.header.names[column])
    }

    /// A field without blanks at its ends.
    fn field<'a>(&self, record: &'a StringRecord, column: usize) -> Result<&'a str> {
        let field = record.get(column).unwrap_or_default();
        let value = field.trim();
        if value.len() < field.len() && value.starts_with('"') {
            return Err(Error::mismatch(self.at(column), "no blank before a quotation mark", format!("{field:?}")));
        }
        Ok(value)
    }

    fn parse(&self, record: &StringRecord, values: &mut [Values]) -> Result<LabelRow> {
        let extra = record.iter().skip(self.header.names.len()).any(|field| !field.trim().is_empty());
        if record.len() < self.header.least || extra {
            let expected = format!("{} fields, as in the header", self.header.least);
            return Err(Error::mismatch(self.place(), expected, record.len()));
        }
        let filename = relative(self.field(record, self.header.filename)?);
        check_filename(|| self.at(self.header.filename), &filename)?;
        let mut objects = Vec::new();
        for (k, columns) in self.header.columns.iter().enumerate() {
            let mut fields = Vec::new();
            for column in columns {
                let field = column.map(|column| Ok((column, self.field(record, column)?))).transpose()?;
                fields.push(field.filter(|(_, field)| !field.is_empty()));
            }
            let Some((first, value)) = fields.iter().copied().flatten().next() else { continue };
            if objects.len() < k {
                let expected = format!("nothing, since object {} is missing", objects.len());
                return Err(Error::mismatch(self.at(first), expected, value));
            }
            let number = |(field, values): (&Option<(usize, &str)>, &mut Values)| {
                field.map(|(column, value)| self.number(column, value, values)).transpose()
            };
            objects.push(fields.iter().zip(values.iter_mut()).map(number).collect::<Result<_>>()?);
        }
        Ok(LabelRow { filename, objects })
    }

    fn number(&self, column: usize, value: &str, values: &mut Values) -> Result<u32> {
        if let Some(&number) = values.get(value) {
            return Ok(number);
        }
        check_name(|| self.at(column), value)?;
        let number = values.len() as u32;
        values.insert(value.to_owned(), number);
        Ok(number)
    }
}

/// `name` in its one spelling: separated by `/`, without `.` and empty parts.
pub(crate) fn relative(name: &str) -> String {
    let name = name.replace('\\', "/");
    let parts = name.split('/').enumerate().filter(|(k, part)| *part != "." && (*k == 0 || !part.is_empty()));
    parts.map(|(_, part)| part).collect::<Vec<_>>().join("/")
}
