//! Which units of a site an edit is made to.

use crate::measure::factorial::UnitClass;
use crate::scene::Concept;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The largest file of indices that is read, in bytes.
const MAX_BYTES: u64 = 1 << 24;

/// Units of a site, by index or by what is known of them.
///
/// An index is one of the site's last axis: of q, k, v and z of one head where a head is named, else of all heads together, head
/// after head; of attention scores and patterns a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Units {
    /// `all`.
    All,
    /// `0,5,7-9`: these, in this order, each once.
    Listed(Vec<usize>),
    /// `top:N`: the first N of the ranking, by how far a unit differs between twins.
    Top(usize),
    /// `class:NAME`: those of a class, such as `class:polysemantic`.
    Class(UnitClass),
    /// `shared:color=red,shape=circle`: those that encode both.
    Shared([Concept; 2]),
    /// `file:PATH`: the indices in a text file, such as `0`, `5` and `7-9`, in their order, with blanks, commas or lines between them;
    /// what follows a `#` in a line is a comment.
    File(PathBuf),
}

/// What is known of the units of a site beside their number.
pub trait KnownUnits {
    /// All of them, those that twins move most first.
    ///
    /// # Errors
    /// When that is not known here.
    fn ranked(&self) -> Result<Vec<usize>> {
        Err(unknown("`top:N`", "twins by which units are ranked"))
    }

    /// Those of a class.
    ///
    /// # Errors
    /// When that is not known here.
    fn of_class(&self, class: UnitClass) -> Result<Vec<usize>> {
        Err(unknown(&format!("`class:{class}`"), "unit measures, which give units their classes"))
    }

    /// Those that encode both concepts.
    ///
    /// # Errors
    /// When that is not known here, or a concept is none of the labels.
    fn sharing(&self, [a, b]: &[Concept; 2]) -> Result<Vec<usize>> {
        Err(unknown(&format!("`shared:{a},{b}`"), "unit measures, which say what units encode"))
    }
}

/// Nothing is known.
impl KnownUnits for () {}

fn unknown(asked: &str, expected: &str) -> Error {
    Error::mismatch(format!("units {asked}"), expected, "none")
}

impl Units {
    /// The indices, of a site of `width` units at `place`, in the order in which they are given: the ranking's, the list's, or ascending.
    ///
    /// # Errors
    /// When there are none, one is out of range or comes twice, or what is needed to tell is not known.
    pub fn resolve(&self, place: &str, width: usize, known: &dyn KnownUnits) -> Result<Vec<usize>> {
        let units = match self {
            Self::All => (0..width).collect(),
            Self::Listed(units) => units.clone(),
            Self::Top(count) => {
                let ranked = known.ranked()?;
                if *count > ranked.len() {
                    let got = format!("{} that have a rank", ranked.len());
                    return Err(Error::mismatch(format!("{place}, units `{self}`"), format!("{count} units"), got));
                }
                ranked[..*count].to_vec()
            }
            Self::Class(class) => known.of_class(*class)?,
            Self::Shared(both) => known.sharing(both)?,
            Self::File(path) => read(path)?,
        };
        let place = format!("{place}, units `{self}`");
        if units.is_empty() {
            return Err(Error::mismatch(place, "at least one unit", "none"));
        }
        let mut met = BTreeSet::new();
        for unit in &units {
            if *unit >= width {
                return Err(Error::mismatch(place, format!("indices below {width}"), unit));
            }
            if !met.insert(unit) {
                return Err(Error::mismatch(place, "each unit once", format!("{unit} again")));
            }
        }
        Ok(units)
    }
}

fn read(path: &Path) -> Result<Vec<usize>> {
    let size = fs::metadata(path).map_err(Error::io(path))?.len();
    if size > MAX_BYTES {
        return Err(Error::mismatch(path.display(), format!("at most {MAX_BYTES} bytes of indices"), size));
    }
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut units = Vec::new();
    for (line, text) in text.lines().enumerate() {
        let said = text.split_once('#').map_or(text, |(said, _)| said);
        for word in said.split([' ', '\t', ',', ';', '[', ']']).filter(|word| !word.is_empty()) {
            let malformed = || {
                let shown: String = word.chars().take(40).collect();
                let expected = "indices of units, such as 0 or 7-9";
                Error::mismatch(format!("{}: line {}", path.display(), line + 1), expected, format!("`{shown}`"))
            };
            units.extend(indices(word).ok_or_else(malformed)?);
        }
    }
    Ok(units)
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Listed(units) => f.write_str(&listed(units)),
            Self::Top(count) => write!(f, "top:{count}"),
            Self::Class(class) => write!(f, "class:{class}"),
            Self::Shared([a, b]) => write!(f, "shared:{a},{b}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// Indices as they are written: runs that ascend by one as `7-9`.
fn listed(units: &[usize]) -> String {
    let mut text = String::new();
    let mut rest = units;
    while let Some(&first) = rest.first() {
        let run = rest.iter().zip(first..).take_while(|(unit, expected)| **unit == *expected).count();
        let comma = if text.is_empty() { "" } else { "," };
        let _ = match run {
            1 | 2 => write!(text, "{comma}{first}"),
            _ => write!(text, "{comma}{first}-{}", first + run - 1),
        };
        rest = &rest[if run > 2 { run } else { 1 }..];
    }
    text
}

impl FromStr for Units {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            let expected =
                "all, indices such as 0,5,7-9, top:N, class:NAME, shared:FACTOR=VALUE,FACTOR=VALUE or file:PATH";
            let shown: String = text.chars().take(100).collect();
            Error::mismatch("units", expected, format!("`{shown}`"))
        };
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            None => indices(text).map(Self::Listed).ok_or_else(malformed),
            Some(("top", count)) => count.parse().ok().filter(|count| *count > 0).map(Self::Top).ok_or_else(malformed),
            Some(("class", name)) => {
                let class = UnitClass::ALL.into_iter().find(|class| class.name() == name);
                let known = || UnitClass::ALL.map(UnitClass::name).join(", ");
                class
                    .map(Self::Class)
                    .ok_or_else(|| Error::mismatch("units: class", format!("one of {}", known()), format!("`{name}`")))
            }
            Some(("shared", both)) => {
                let concept = |text: &str| {
                    let (factor, value) = text.split_once('=')?;
                    Some(Concept { factor: factor.to_owned(), value: value.to_owned() })
                };
                let both = both.split_once(',').and_then(|(a, b)| Some([concept(a)?, concept(b)?]));
                both.filter(|[a, b]| a != b).map(Self::Shared).ok_or_else(malformed)
            }
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(_) => Err(malformed()),
        }
    }
}

/// The most indices that are written as ranges on a command line.
const MOST: usize = 1 << 20;

fn indices(text: &str) -> Option<Vec<usize>> {
    let mut units = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last < first || (last - first).saturating_add(units.len()) >= MOST {
            return None;
        }
        units.extend(first..=last);
    }
    Some(units)
}

impl From<Units> for String {
    fn from(units: Units) -> Self {
        units.to_string()
    }
}

impl TryFrom<String> for Units {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}
