//! Factors and concepts: the words that every table of this crate speaks in.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An attribute of objects (`shape`, `color`, ...) and the values it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factor {
    /// `shape`, `color`, `texture`, ...
    pub name: String,
    /// Its values, distinct; labels refer to them by index.
    pub values: Vec<String>,
}

/// One value of one factor; displayed `factor=value`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Concept {
    /// The factor's name.
    pub factor: String,
    /// The value's name.
    pub value: String,
}

impl fmt::Display for Concept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.factor, self.value)
    }
}
