//! What a source passes over: counted and named, so that nothing is lost in silence.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Names that are kept of each kind.
const EXAMPLES: usize = 3;
/// Kinds that are told apart; what is of others counts as [`OTHERS`].
const KINDS: usize = 64;
const OTHERS: &str = "files of other kinds";

/// Some things of one kind that a source passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassedOver {
    /// What they are: `files ending in .txt`, `hidden files`, ...
    pub kind: String,
    /// How many.
    pub count: usize,
    /// The names of the first of them, in the order of the source.
    pub examples: Vec<String>,
}

/// `files ending in .txt: 3 (a.txt, b.txt, c.txt)`, with `...` where there are more; on one line whatever the names are.
impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.examples.iter().map(|name| shown(name)).collect();
        let more = if self.count > names.len() { ", ..." } else { "" };
        write!(f, "{}: {} ({}{more})", self.kind, self.count, names.join(", "))
    }
}

/// What was passed over so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::record) struct Passed(BTreeMap<String, (usize, Vec<String>)>);

impl Passed {
    pub fn add(&mut self, kind: impl Into<String>, name: impl Into<String>) {
        let mut kind = kind.into();
        if self.0.len() >= KINDS && !self.0.contains_key(&kind) {
            OTHERS.clone_into(&mut kind);
        }
        let (count, examples) = self.0.entry(kind).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(name.into());
        }
    }

    /// A file that is nothing to record, by the ending of its name.
    pub fn file(&mut self, name: &str) {
        let base = name.rsplit('/').next().unwrap_or(name);
        let ending = base.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
        match ending.filter(|ending| !ending.is_empty() && ending.len() <= 16) {
            Some(ending) => self.add(format!("files ending in .{}", shown(&ending)), name),
            None => self.add("files without a known ending", name),
        }
    }

    /// By kind.
    pub fn list(self) -> Vec<PassedOver> {
        self.0.into_iter().map(|(kind, (count, examples))| PassedOver { kind, count, examples }).collect()
    }
}

/// What was passed over in one line, for errors: `nothing`, or all of it.
pub(super) fn said(passed: &[PassedOver]) -> String {
    let list: Vec<String> = passed.iter().map(ToString::to_string).collect();
    if list.is_empty() { "nothing".to_owned() } else { list.join("; ") }
}

/// A name on one line, cut where it is long.
pub(in crate::record) fn shown(name: &str) -> String {
    let mut escaped = name.escape_debug().take(200).collect::<String>();
    if name.escape_debug().nth(200).is_some() {
        escaped.push_str("...");
    }
    escaped
}

/// The first few of `names`, and how many more.
pub(super) fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = names.collect();
    let first: Vec<String> = all.iter().take(EXAMPLES).map(|name| shown(name)).collect();
    let more = if all.len() > EXAMPLES { ", ..." } else { "" };
    first.join(", ") + more
}
