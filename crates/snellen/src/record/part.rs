//! A part of a run: a stretch of its rows, recorded by itself and put together with the others by [`merge()`](super::merge()).

use crate::{Error, Result};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Part `index` of `of`, counted from 1: `2/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    index: usize,
    of: usize,
}

impl Part {
    /// Part `index` of `of`.
    ///
    /// # Errors
    /// When `index` is not 1 to `of`.
    pub fn new(index: usize, of: usize) -> Result<Self> {
        if (1..=of).contains(&index) {
            return Ok(Self { index, of });
        }
        Err(Error::mismatch("part of a run", format!("a number of 1 to {of}"), index))
    }

    /// Its number, from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// Number of parts.
    pub fn of(self) -> usize {
        self.of
    }

    /// Its rows of `count`: parts follow one another, and their numbers of rows differ by one at most.
    ///
    /// # Errors
    /// When there are more parts than rows, so that some would have none.
    pub fn rows(self, count: usize) -> Result<Range<usize>> {
        let end = |part: usize| (count as u128 * part as u128 / self.of as u128) as usize;
        let rows = end(self.index - 1)..end(self.index);
        if self.of > count {
            return Err(Error::mismatch(
                format!("part {self}"),
                format!("at most {count} parts of {count} images"),
                self.of,
            ));
        }
        Ok(rows)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Part {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let unspelt = || Error::mismatch("part of a run", "two numbers, as in 2/5", format!("`{text}`"));
        let (index, of) = numbers.ok_or_else(unspelt)?;
        Self::new(index, of)
    }
}
