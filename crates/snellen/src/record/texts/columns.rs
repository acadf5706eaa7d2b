//! The columns of a file of texts, and what its rows are called.

use crate::record::source::shown;
use crate::scene::labels::check_filename;
use crate::scene::labels_csv::{MAX_COLUMNS, is_filename, numbered, relative};
use crate::{Error, Result};
use csv::StringRecord;
use std::collections::BTreeMap;

/// What there has to be.
pub(super) const COLUMN: &str = "a column `text` or `caption`";

/// Whether a column of this name holds the texts.
pub(super) fn is_text(name: &str) -> bool {
    ["text", "caption"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// What the columns are.
pub(super) struct Columns {
    /// All names, blanks at their ends dropped.
    pub names: Vec<String>,
    pub text: usize,
    pub filename: Option<usize>,
}

impl Columns {
    pub(super) fn parse(place: &str, record: &StringRecord) -> Result<Self> {
        if record.len() > MAX_COLUMNS {
            return Err(Error::mismatch(place, format!("at most {MAX_COLUMNS} columns"), record.len()));
        }
        let names: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
        let listed = || names.iter().take(20).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
        let only = |is: fn(&str) -> bool, expected: &str| {
            let found: Vec<usize> = (0..names.len()).filter(|column| is(&names[*column])).collect();
            let several = || Error::mismatch(place, format!("{expected}, one only"), format!("[{}]", listed()));
            if found.len() > 1 { Err(several()) } else { Ok(found.first().copied()) }
        };
        let text = only(is_text, COLUMN)?;
        let text = text.ok_or_else(|| Error::mismatch(place, COLUMN, format!("the columns [{}]", listed())))?;
        let filename = only(is_filename, "a column `filename`")?;
        Ok(Self { names, text, filename })
    }

    /// Whether some column is a numbered factor.
    pub(super) fn numbered(&self) -> bool {
        self.names.iter().any(|name| numbered(name).is_some())
    }

    /// Columns with a name that hold neither texts nor file names.
    pub(super) fn others(&self) -> impl Iterator<Item = &String> {
        let other = |(column, _): &(usize, &String)| *column != self.text && Some(*column) != self.filename;
        self.names.iter().enumerate().filter(other).map(|(_, name)| name).filter(|name| !name.is_empty())
    }

    /// Refuses a row with fields that no column has, or without some.
    pub(super) fn check(&self, place: &str, record: &StringRecord) -> Result<()> {
        let extra = record.iter().skip(self.names.len()).any(|field| !field.trim().is_empty());
        let least = self.names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        if !extra && record.len() >= least {
            return Ok(());
        }
        let expected = format!("{least} fields, as in the header (a text with a separator in it is quoted)");
        Err(Error::mismatch(place, expected, record.len()))
    }

    pub(super) fn filename(&self, place: &str, record: &StringRecord) -> Result<Option<String>> {
        let Some(column) = self.filename else { return Ok(None) };
        let name = relative(record.get(column).unwrap_or_default().trim());
        if name.is_empty() {
            return Ok(None);
        }
        check_filename(|| format!("{place}, column {} (`{}`)", column + 1, self.names[column]), &name)?;
        Ok(Some(name))
    }
}

/// What a row of labels is called whose text is of the image `name`: an image may have several texts, the second is `name#2`.
pub(super) fn of_its_own(name: &str, met: &mut BTreeMap<String, usize>) -> String {
    let times = met.entry(name.to_owned()).or_default();
    *times += 1;
    if *times == 1 { name.to_owned() } else { format!("{name}#{times}") }
}
