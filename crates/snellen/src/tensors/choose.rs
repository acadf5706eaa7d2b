//! Which tensors of a file are the user's: those that were named, or those that cannot be anything else.

use super::{Described, Tensors};
use crate::{Error, Result};
use std::path::Path;

/// Tensors that a message lists.
const LISTED: usize = 24;

/// What was chosen of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Names of tensors, in the order in which they were asked for, else in byte order.
    pub names: Vec<String>,
    /// The others, each with type and shape.
    pub left_alone: Vec<String>,
}

impl Tensors {
    /// The matrices with a row for each of `rows` images, of which `whose` speaks ("row of labels.csv").
    ///
    /// These are the tensors in `asked` (each a name, or names separated by commas), of any type of number. Where that is empty: the
    /// only tensor of the file, else all matrices of floats with that many rows.
    ///
    /// # Errors
    /// When what was asked for is not there or of another shape, or nothing can be chosen: with all that is there.
    pub fn choose(&self, asked: &[String], rows: usize, whose: &str) -> Result<Chosen> {
        let mut names: Vec<String> = Vec::new();
        for text in asked {
            for name in self.named(text)? {
                if names.contains(&name) {
                    return Err(Error::mismatch(self.place(&name), "a tensor once", "the same name twice"));
                }
                names.push(name);
            }
        }
        if asked.is_empty() {
            names = match &self.found[..] {
                [only] => vec![only.name.clone()],
                several => several.iter().filter(|x| x.fits(rows)).map(|x| x.name.clone()).collect(),
            };
        }
        for name in &names {
            let [found, columns] = self.shape(name)?;
            if found != rows {
                return Err(Error::mismatch(
                    self.place(name),
                    format!("{rows} rows, one for each {whose}"),
                    wrong_rows(found, columns, rows),
                ));
            }
        }
        if names.is_empty() {
            let expected = format!("a matrix [image, unit] of floats with {rows} rows, one for each {whose}");
            return Err(Error::mismatch(self.path.display(), expected, self.listed()));
        }
        Ok(self.chosen(names))
    }

    /// The one tensor called `asked`; else the one called `usual`, the only one of the file, or the only matrix of floats with `rows` rows.
    ///
    /// # Errors
    /// When there is none or several are left: with all that is there.
    pub fn choose_one(&self, asked: Option<&str>, usual: &str, rows: usize) -> Result<Chosen> {
        if let Some(asked) = asked {
            self.find(asked)?;
            return Ok(self.chosen(vec![asked.to_owned()]));
        }
        let all: Vec<&Described> = self.found.iter().collect();
        let fitting: Vec<&Described> = self.found.iter().filter(|x| x.fits(rows)).collect();
        let only = [all, fitting].into_iter().find_map(|some| (some.len() == 1).then(|| some[0]));
        let Some(one) = self.found.iter().find(|x| x.name == usual).or(only) else {
            let expected = format!("a tensor `{usual}`, or only one matrix of floats with {rows} rows");
            return Err(Error::mismatch(self.path.display(), expected, self.listed()));
        };
        Ok(self.chosen(vec![one.name.clone()]))
    }

    fn chosen(&self, names: Vec<String>) -> Chosen {
        let left = self.found.iter().filter(|x| !names.contains(&x.name));
        Chosen { left_alone: left.map(Described::shown).collect(), names }
    }

    /// The names in a list with commas; names may hold commas themselves, so the longest that are there are taken.
    fn named(&self, list: &str) -> Result<Vec<String>> {
        let parts: Vec<&str> = list.split(',').collect();
        let (mut names, mut at) = (Vec::new(), 0);
        while at < parts.len() {
            let longest = (at + 1..=parts.len()).rev().find_map(|end| {
                let name = parts[at..end].join(",");
                self.found.iter().any(|x| x.name == name).then_some((name, end))
            });
            let Some((name, end)) = longest else {
                return Err(self.find(parts[at]).err().unwrap_or_else(|| self.absent(list)));
            };
            names.push(name);
            at = end;
        }
        Ok(names)
    }

    pub(super) fn absent(&self, name: &str) -> Error {
        Error::mismatch(self.place(name), "a tensor of this file", format!("no such name among {}", self.listed()))
    }

    /// What there is, for messages.
    fn listed(&self) -> String {
        if self.found.is_empty() {
            return "no tensor".to_owned();
        }
        let shown: Vec<String> = self.found.iter().take(LISTED).map(Described::shown).collect();
        let more = self.found.len().saturating_sub(LISTED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}; `--tensors NAME,...` chooses", shown.join(", "))
    }
}

/// A line about tensors of the file at `path` that nobody asked for.
pub(crate) fn left_alone(path: &Path, tensors: &[String]) -> String {
    let shown = tensors.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = tensors.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}: left alone: {shown}{more}", path.display())
}

/// Rows that are too few or too many, and what may have happened.
fn wrong_rows(found: usize, columns: usize, rows: usize) -> String {
    let turned = if columns == rows { "; its columns are as many: numpy.ascontiguousarray(x.T) turns it" } else { "" };
    format!("{found} ([{found}, {columns}]){turned}")
}
