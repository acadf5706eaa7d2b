//! What the texts show: from columns of their own file, or from a `labels.csv` beside it.

use super::Texts;
use super::columns::{Columns, of_its_own};
use crate::record::LABELS;
use crate::record::source::Passed;
use crate::scene::labels::{LabelRow, LabelTable};
use crate::scene::labels_csv::{self, LabelFile, line_ends, write_labels};
use crate::{Error, Result};
use csv::StringRecord;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file without its texts, as a `labels.csv` whose rows stand in the same lines and columns: so that it is read as any other, and
/// what is refused is named where it stands.
pub(super) struct Rest {
    bytes: Vec<u8>,
    /// The line that the next byte is in.
    line: usize,
    text: usize,
    filename: Option<usize>,
    width: usize,
}

impl Rest {
    /// Of a file with these columns, whose header is in line `line`.
    pub fn begin(columns: &Columns, line: usize) -> Self {
        let (text, filename, width) = (columns.text, columns.filename, columns.names.len());
        let mut rest = Self { bytes: Vec::new(), line: 1, text, filename, width };
        let names: Vec<&str> = columns.names.iter().map(String::as_str).collect();
        rest.write(line, &names, "filename");
        rest
    }

    /// Adds row `row`, which begins in line `line` and is called `here`, under the file name `filename`; a row without one goes by its
    /// number.
    pub fn row(
        &mut self,
        here: &str,
        (line, row): (usize, usize),
        record: &StringRecord,
        filename: Option<&str>,
    ) -> Result<()> {
        if self.filename.is_some() && filename.is_none() {
            return Err(Error::mismatch(here, "a file name, as the file has labels (or --labels none)", "none"));
        }
        let fields: Vec<&str> = record.iter().collect();
        let numbered = format!("{row:06}");
        self.write(line, &fields, filename.unwrap_or(&numbered));
        Ok(())
    }

    /// One row under the file name `name`; of the header, what a column of file names is called.
    fn write(&mut self, line: usize, fields: &[&str], name: &str) {
        let before = line.saturating_sub(self.line);
        self.bytes.resize(self.bytes.len() + before, b'\n');
        self.line += before;
        for column in 0..self.width {
            let field = fields.get(column).copied().filter(|_| column != self.text).unwrap_or_default();
            self.field(if Some(column) == self.filename { name } else { field });
            self.bytes.push(b',');
        }
        // Behind them, so that columns keep their numbers.
        self.field(if self.filename.is_none() { name } else { "" });
        self.bytes.push(b'\n');
        self.line += 1;
    }

    fn field(&mut self, field: &str) {
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(field.replace('"', "\"\"").as_bytes());
        self.bytes.push(b'"');
        self.line += line_ends(field.as_bytes());
    }

    /// The labels as a `labels.csv`, where there is a factor among the columns.
    pub fn labels(self, texts: &Texts, passed: &mut Passed) -> Result<Option<Vec<u8>>> {
        let LabelFile { table, ignored, .. } = LabelFile::parse(&texts.place, &self.bytes)?;
        ignored
            .into_iter()
            .for_each(|column| passed.add(format!("columns of {} that are no factors", texts.name()), column));
        if table.factors.is_empty() {
            return Ok(None);
        }
        written(&table).map(Some)
    }
}

/// A `labels.csv` in the folder of the texts.
pub(super) struct Beside(PathBuf);

impl Beside {
    /// That of the texts in `path`, where there is one.
    pub fn find(path: &Path) -> Option<Self> {
        let file = path.with_file_name(LABELS);
        (file.is_file() && path.file_name() != file.file_name()).then_some(Self(file))
    }

    pub fn name(&self) -> String {
        self.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The labels of the texts' images as a `labels.csv`, in the order of the texts.
    pub fn labels(&self, texts: &Texts, columns: &Columns, passed: &mut Passed) -> Result<Vec<u8>> {
        let file = self.0.display().to_string();
        if columns.filename.is_none() {
            let expected = format!("a column `filename` to look up labels by in {file}, or --labels none");
            return Err(Error::mismatch(&texts.place, expected, "no such column"));
        }
        let LabelFile { table, ignored, .. } = LabelFile::parse(&file, &labels_csv::read_bytes(&self.0)?)?;
        ignored
            .into_iter()
            .for_each(|column| passed.add(format!("columns of {} that are no factors", self.name()), column));
        let known: BTreeMap<&str, &LabelRow> = table.rows.iter().map(|row| (row.filename.as_str(), row)).collect();
        let (mut rows, mut met) = (Vec::with_capacity(texts.rows.len()), BTreeMap::new());
        for (row, text) in texts.rows.iter().enumerate() {
            let found = text.filename.as_ref().and_then(|name| known.get(name.as_str()));
            let missing = || {
                let expected = format!("the file name of a row of {file}, or --labels none");
                let got = text.filename.as_ref().map_or("none", |_| "one without labels");
                Error::mismatch(texts.place(row), expected, got)
            };
            let found = *found.ok_or_else(missing)?;
            rows.push(LabelRow { filename: of_its_own(&found.filename, &mut met), ..found.clone() });
        }
        known
            .into_keys()
            .filter(|name| !met.contains_key(*name))
            .for_each(|name| passed.add(format!("rows of {} without a text", self.name()), name));
        written(&LabelTable { factors: table.factors, rows }.canonical())
    }
}

fn written(table: &LabelTable) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_labels(table, &mut bytes)?;
    Ok(bytes)
}
