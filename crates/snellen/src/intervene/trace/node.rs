//! What is screened: hidden units, and the queries and keys of heads.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One of many small things of a layer, of all tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Node {
    /// `unit:U`: a unit of [`BlockPoint::MlpPost`](crate::model::BlockPoint::MlpPost).
    Unit(usize),
    /// `query:H`: a head's [`BlockPoint::Q`](crate::model::BlockPoint::Q).
    Query(usize),
    /// `key:H`: a head's [`BlockPoint::K`](crate::model::BlockPoint::K).
    Key(usize),
}

/// Nodes that are ranked among one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Hidden units.
    Units,
    /// Queries and keys of heads.
    QueriesAndKeys,
}

impl Node {
    /// Its family.
    pub fn family(self) -> Family {
        match self {
            Self::Unit(_) => Family::Units,
            Self::Query(_) | Self::Key(_) => Family::QueriesAndKeys,
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(unit) => write!(f, "unit:{unit}"),
            Self::Query(head) => write!(f, "query:{head}"),
            Self::Key(head) => write!(f, "key:{head}"),
        }
    }
}

impl FromStr for Node {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |prefix: &str| text.strip_prefix(prefix)?.parse().ok();
        let found = number("unit:").map(Self::Unit).or_else(|| number("query:").map(Self::Query));
        let found = found.or_else(|| number("key:").map(Self::Key)).filter(|node| node.to_string() == text);
        found.ok_or_else(|| Error::mismatch("node", "unit:U, query:H or key:H, from 0", format!("`{text}`")))
    }
}

impl From<Node> for String {
    fn from(node: Node) -> Self {
        node.to_string()
    }
}

impl TryFrom<String> for Node {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}
