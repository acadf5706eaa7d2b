//! An edit while a forward runs: which values become what, and how many were changed.

use super::token_map::TokenMap;
use super::tokens::Tokens;
use crate::model::{ActivationMut, BlockPoint, Hook, ModelConfig, Point, Site};
use crate::{Error, Result};

/// What becomes of the values of some units at one token.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// They become 0.
    Zero,
    /// Each unit has a number of its own.
    Set(Vec<f32>),
    /// They are those of another row.
    Donated,
    /// A number for each unit is added.
    Add(Vec<f32>),
    /// What lies along this direction of length 1 is taken away.
    ProjectOut(Vec<f32>),
    /// They are multiplied.
    Rescale(f32),
}

impl Change {
    /// Along `direction`, of any length above 0.
    pub fn project_out(direction: &[f32]) -> Option<Self> {
        let length = direction.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let unit = direction.iter().map(|x| (f64::from(*x) / length) as f32).collect();
        (length > 0.0 && length.is_finite()).then_some(Self::ProjectOut(unit))
    }
}

/// An edit that is ready: everything in it is a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Where.
    pub site: Site,
    /// One head; `None` for all.
    pub head: Option<usize>,
    /// Which tokens.
    pub tokens: Tokens,
    /// Which units; `None` for all.
    pub units: Option<Vec<usize>>,
    /// What becomes of them; numbers for each unit in the order of `units`.
    pub change: Change,
}

/// The rows that values come from, one for each row that is edited.
#[derive(Clone, Copy, Debug)]
pub struct Donors<'a> {
    /// Values at the site, as [`Site::shape`] documents, of any number of rows, all of the edited rows' shape.
    pub values: &'a [f32],
    /// For each edited row: which of these gives.
    pub rows: &'a [usize],
    /// For each edited row: the giving row's tokens; token after token, from the first again where there are fewer.
    pub positions: &'a [Vec<usize>],
}

/// How much an edit changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Changed {
    /// Values that are others now.
    pub values: u64,
    /// The largest difference.
    pub largest: f32,
}

impl Changed {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { values: self.values + other.values, largest: self.largest.max(other.largest) }
    }
}

impl Prepared {
    /// Where it is made in a row with this `map`.
    ///
    /// # Errors
    /// As [`Tokens::positions`].
    pub fn positions(&self, config: &ModelConfig, map: &TokenMap) -> Result<Vec<usize>> {
        self.tokens.positions(config, self.site, map)
    }

    /// The hook that makes it in one forward of a batch, in the tokens at `positions` of each row.
    pub fn on<'a>(&'a self, positions: &'a [Vec<usize>], donors: Option<Donors<'a>>) -> Editing<'a> {
        Editing { edit: self, positions, donors, changed: Changed::default() }
    }

    /// BLAKE3, in hexadecimal, of its units (their number and each, u64, little-endian; of all units only 2^64 - 1) and of what becomes of
    /// them: the change's name, and its numbers (f32, little-endian).
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        match &self.units {
            None => {
                hasher.update(&u64::MAX.to_le_bytes());
            }
            Some(units) => {
                hasher.update(&(units.len() as u64).to_le_bytes());
                units.iter().for_each(|unit| {
                    hasher.update(&(*unit as u64).to_le_bytes());
                });
            }
        }
        let (name, values): (&str, &[f32]) = match &self.change {
            Change::Zero => ("zero", &[]),
            Change::Set(values) => ("set", values),
            Change::Donated => ("donated", &[]),
            Change::Add(values) => ("add", values),
            Change::ProjectOut(values) => ("project-out", values),
            Change::Rescale(factor) => ("rescale", std::slice::from_ref(factor)),
        };
        hasher.update(name.as_bytes());
        values.iter().for_each(|x| {
            hasher.update(&x.to_le_bytes());
        });
        hasher.finalize().to_hex().to_string()
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        let head = self.head.map(|head| format!(", head {head}")).unwrap_or_default();
        let units = match &self.units {
            None => "all units".to_owned(),
            Some(units) if units.len() == 1 => format!("unit {}", units[0]),
            Some(units) => format!("{} units from {}", units.len(), units.iter().min().unwrap_or(&0)),
        };
        format!("site `{}`{head}, tokens `{}`, {units}", self.site, self.tokens)
    }

    /// Refuses an edit that changed nothing in all that it was shown.
    ///
    /// # Errors
    /// Names site, tokens and units.
    pub fn check(&self, changed: Changed) -> Result<()> {
        if changed.values == 0 {
            return Err(Error::mismatch(self.name(), "an edit that changes values", "one that changes none"));
        }
        Ok(())
    }
}

/// One forward's edit.
#[derive(Debug)]
pub struct Editing<'a> {
    edit: &'a Prepared,
    positions: &'a [Vec<usize>],
    donors: Option<Donors<'a>>,
    changed: Changed,
}

impl Editing<'_> {
    /// What it changed so far.
    pub fn changed(&self) -> Changed {
        self.changed
    }

    /// Changes `x`, which has this `shape` at the edit's site.
    ///
    /// # Errors
    /// When the forward has other rows than the edit, a token or unit is out of range, or donors are missing or of another shape.
    pub fn apply(&mut self, shape: &[usize], x: &mut [f32]) -> Result<()> {
        let edit = self.edit;
        let axes = Axes::of(edit.site, shape);
        let refuse = |expected: String, got: String| Err(Error::mismatch(edit.name(), expected, got));
        if self.positions.len() != shape[0] {
            return refuse(format!("a batch of {} rows", self.positions.len()), format!("{}", shape[0]));
        }
        if let Some(head) = edit.head.filter(|head| *head >= axes.heads) {
            return refuse(format!("heads below {}", axes.heads), head.to_string());
        }
        let width = axes.width(edit.head);
        let all: Vec<usize>;
        let units = if let Some(units) = &edit.units {
            units
        } else {
            all = (0..width).collect();
            &all
        };
        if let Some(unit) = units.iter().find(|unit| **unit >= width) {
            return refuse(format!("units below {width}"), unit.to_string());
        }
        let given = match &edit.change {
            Change::Donated => Some(self.donors(&axes)?),
            Change::Set(values) | Change::Add(values) | Change::ProjectOut(values) if values.len() != units.len() => {
                return refuse(format!("a number for each of {} units", units.len()), values.len().to_string());
            }
            _ => None,
        };
        let hidden =
            matches!(edit.site.point, Point::Block(_, BlockPoint::AttnScores) | Point::Head(BlockPoint::AttnScores));
        let (mut new, mut changed) = (vec![0.0; units.len()], Changed::default());
        for (row, positions) in self.positions.iter().enumerate() {
            for (k, &token) in positions.iter().enumerate() {
                if token >= axes.tokens {
                    return refuse(format!("tokens below {}", axes.tokens), token.to_string());
                }
                for heads in axes.heads(edit.head) {
                    let at = |unit: usize| axes.at(row, token, heads, unit);
                    units.iter().zip(&mut new).for_each(|(unit, new)| *new = x[at(*unit)]);
                    match (&edit.change, &given) {
                        (Change::Donated, Some(donors)) => {
                            let from = donors.positions[row][k % donors.positions[row].len()];
                            let from = |unit: usize| axes.at(donors.rows[row], from, heads, unit);
                            units.iter().zip(&mut new).for_each(|(unit, new)| *new = donors.values[from(*unit)]);
                        }
                        (change, _) => change.make(&mut new),
                    }
                    for (unit, new) in units.iter().zip(&new) {
                        let old = &mut x[at(*unit)];
                        // What attention does not see stays hidden.
                        if (hidden && *old == f32::NEG_INFINITY) || old.to_bits() == new.to_bits() {
                            continue;
                        }
                        changed.values += u64::from((*old - *new).abs() > 0.0 || new.is_nan());
                        changed.largest = changed.largest.max((*old - *new).abs());
                        *old = *new;
                    }
                }
            }
        }
        self.changed = self.changed.and(changed);
        Ok(())
    }

    /// The donors, which fit.
    fn donors(&self, axes: &Axes) -> Result<Donors<'_>> {
        let place = || self.edit.name();
        let donors =
            self.donors.ok_or_else(|| Error::mismatch(place(), "scenes that values are taken from", "none"))?;
        let rows = donors.values.len() / axes.row.max(1);
        if donors.rows.len() != self.positions.len() || donors.positions.len() != self.positions.len() {
            let got = donors.rows.len();
            return Err(Error::mismatch(place(), format!("a donor for each of {} rows", self.positions.len()), got));
        }
        if donors.values.len() != rows * axes.row || donors.rows.iter().any(|row| *row >= rows) {
            let expected = format!("donors of as many tokens, {} values a row", axes.row);
            return Err(Error::mismatch(place(), expected, format!("{} values", donors.values.len())));
        }
        let empty = |positions: &Vec<usize>| positions.is_empty() || positions.iter().any(|at| *at >= axes.tokens);
        if donors.positions.iter().any(empty) {
            let expected = format!("donors with tokens of the group, below {}", axes.tokens);
            return Err(Error::mismatch(place(), expected, "others"));
        }
        Ok(donors)
    }
}

impl Hook for Editing<'_> {
    fn wants(&self, site: Site) -> bool {
        site == self.edit.site
    }

    fn at(&mut self, _: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        self.apply(x.shape, x.data)
    }
}

impl Change {
    /// Makes new values of old ones.
    fn make(&self, values: &mut [f32]) {
        match self {
            Self::Zero => values.fill(0.0),
            Self::Set(new) => values.copy_from_slice(new),
            Self::Add(by) => values.iter_mut().zip(by).for_each(|(x, by)| *x += by),
            Self::Rescale(factor) => values.iter_mut().for_each(|x| *x *= factor),
            Self::ProjectOut(direction) => {
                let along: f64 = values.iter().zip(direction).map(|(x, d)| f64::from(*x) * f64::from(*d)).sum();
                values.iter_mut().zip(direction).for_each(|(x, d)| *x = (f64::from(*x) - along * f64::from(*d)) as f32);
            }
            Self::Donated => {}
        }
    }
}

/// Where in the values of a site a token's units are.
pub(super) struct Axes {
    /// Values of a row.
    row: usize,
    pub(super) tokens: usize,
    heads: usize,
    units: usize,
    /// `[row, head, query, key]` rather than `[row, token, head, unit]`.
    attends: bool,
}

impl Axes {
    pub(super) fn of(site: Site, shape: &[usize]) -> Self {
        let row = shape[1..].iter().product();
        let attends = matches!(site.point, Point::Block(_, p) | Point::Head(p) if p.is_attention());
        let (tokens, heads, units) = match *shape {
            [_, heads, queries, keys] if attends => (queries, heads, keys),
            [_, tokens, heads, units] => (tokens, heads, units),
            [_, tokens, units] => (tokens, 1, units),
            _ => (1, 1, row),
        };
        Self { row, tokens, heads, units, attends }
    }

    /// Units that an edit can name.
    pub(super) fn width(&self, head: Option<usize>) -> usize {
        if self.attends || head.is_some() { self.units } else { self.heads * self.units }
    }

    /// The heads that are gone through one after another: where units name them as well, all are one.
    pub(super) fn heads(&self, head: Option<usize>) -> std::ops::Range<usize> {
        match head {
            Some(head) => head..head + 1,
            None if self.attends => 0..self.heads,
            None => 0..1,
        }
    }

    pub(super) fn at(&self, row: usize, token: usize, head: usize, unit: usize) -> usize {
        let within = if self.attends {
            (head * self.tokens + token) * self.units + unit
        } else {
            (token * self.heads + head) * self.units + unit
        };
        row * self.row + within
    }
}
