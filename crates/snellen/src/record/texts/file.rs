//! Texts from a CSV file, in whatever encoding and with whatever separator `labels.csv` may have.

use super::columns::{COLUMN, Columns, is_text, of_its_own};
use super::labels::{Beside, Rest};
use super::{TextRow, Texts};
use crate::record::picture::read_bytes;
use crate::record::source::{LabelsFrom, Passed};
use crate::scene::labels_csv::{decode, line_ends, separator};
use crate::{Error, Result};
use csv::StringRecord;
use std::collections::BTreeMap;
use std::path::Path;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 30;
/// The longest text, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// As [`Texts::read`] says.
pub(super) fn read(path: &Path, labels: LabelsFrom) -> Result<Texts> {
    let place = path.display().to_string();
    if labels == LabelsFrom::Folders {
        return Err(Error::mismatch(place, "--labels file or none, with texts", "folders"));
    }
    if path.is_dir() {
        let got = "a folder (--texts captions --images FOLDER takes the captions of a scene folder)";
        return Err(Error::mismatch(place, "a CSV file", got));
    }
    let bytes = read_bytes(path, MAX_BYTES)?;
    let contents = decode(&place, &bytes)?;
    let separator = separator(&contents, is_text);
    let malformed = |source| Error::malformed(&place, source);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(contents.as_bytes());
    let mut record = StringRecord::new();
    if !reader.read_record(&mut record).map_err(malformed)? {
        return Err(Error::mismatch(&place, format!("a header with {COLUMN}"), "an empty file"));
    }
    let mut lines = Lines { contents: contents.as_bytes(), byte: 0, line: 1 };
    let first = lines.of(&record);
    let columns = Columns::parse(&format!("{place}:{first}"), &record)?;
    let beside = Beside::find(path).filter(|_| labels != LabelsFrom::Nothing);
    let own = labels != LabelsFrom::Nothing && (columns.numbered() || beside.is_none());
    let mut rest = own.then(|| Rest::begin(&columns, first));
    let (mut rows, mut files) = (Vec::new(), BTreeMap::<String, usize>::new());
    while reader.read_record(&mut record).map_err(malformed)? {
        let line = lines.of(&record);
        let here = format!("{place}:{line}");
        let last = reader.position().byte() as usize >= contents.len();
        if last && is_open(&contents.as_bytes()[lines.byte..], separator) {
            return Err(Error::mismatch(here, "every quotation mark closed", "one that is not"));
        }
        // Spreadsheets leave rows of nothing but separators.
        if record.iter().all(|field| field.trim().is_empty()) && record.len() > 1 {
            continue;
        }
        columns.check(&here, &record)?;
        let text = record.get(columns.text).unwrap_or_default();
        if text.trim().is_empty() {
            return Err(Error::mismatch(here, "a text", "an empty one"));
        }
        if text.len() > MAX_TEXT {
            return Err(Error::mismatch(here, format!("a text of at most {MAX_TEXT} bytes"), text.len()));
        }
        let filename = columns.filename(&here, &record)?;
        let name = filename.as_ref().map(|name| of_its_own(name, &mut files));
        if let Some(rest) = &mut rest {
            rest.row(&here, (line, rows.len()), &record, name.as_deref())?;
        }
        rows.push(TextRow { filename, text: text.to_owned(), line });
    }
    if rows.is_empty() {
        return Err(Error::mismatch(place, "a row with a text", "none below the header"));
    }
    let mut passed = Passed::default();
    let mut texts = Texts { place, rows, labels: None, scenes: None, passed_over: Vec::new() };
    texts.labels = match (rest, beside) {
        (Some(rest), beside) => {
            beside.iter().for_each(|beside| passed.add("files of labels beside labels of its own", beside.name()));
            rest.labels(&texts, &mut passed)?
        }
        (None, Some(beside)) => {
            columns.others().for_each(|name| passed.add(format!("columns of {}", texts.name()), name));
            Some(beside.labels(&texts, &columns, &mut passed)?)
        }
        (None, None) => None,
    };
    texts.passed_over = passed.list();
    Ok(texts)
}

/// The line of each row, counted on from the row before.
struct Lines<'a> {
    contents: &'a [u8],
    /// The first of the row, empty lines before it passed.
    byte: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line in which `record` begins, which follows those that were asked for.
    fn of(&mut self, record: &StringRecord) -> usize {
        let start = (record.position().map_or(0, csv::Position::byte) as usize).min(self.contents.len());
        let empty = self.contents[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.line += line_ends(&self.contents[self.byte..start + empty]);
        self.byte = start + empty;
        self.line
    }
}

impl Texts {
    /// The name of its file.
    pub(super) fn name(&self) -> &str {
        let file = Path::new(&self.place).file_name();
        file.and_then(|name| name.to_str()).unwrap_or(&self.place)
    }
}

/// Whether a quoted field of `rest` is still open at its end.
fn is_open(rest: &[u8], separator: u8) -> bool {
    let mut at = 0;
    while at < rest.len() {
        if rest[at] == b'"' {
            at += 1;
            loop {
                match (rest.get(at), rest.get(at + 1)) {
                    (None, _) => return true,
                    (Some(b'"'), Some(b'"')) => at += 2,
                    (Some(b'"'), _) => break,
                    _ => at += 1,
                }
            }
        }
        let ends = |byte: &u8| *byte == separator || matches!(byte, b'\r' | b'\n');
        at += rest[at..].iter().position(ends).map_or(rest.len(), |end| end + 1);
    }
    false
}
