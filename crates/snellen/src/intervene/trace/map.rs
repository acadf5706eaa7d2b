//! The map: where a binding is carried, as numbers.

use super::effect::{Signs, deviation, mean};
use super::sweep::{Patched, Swept};
use super::{Direction, Part};
use crate::intervene::Tokens as Group;
use crate::measure::columns::{Column, write_columns};
use crate::measure::fdr::benjamini_hochberg;
use crate::measure::{Confidence, Interval};
use crate::model::Tower;
use crate::{Error, Result};
use rayon::prelude::*;
use serde::Serialize;
use std::path::Path;

/// The fewest twins whose spread says anything.
pub(super) const FEWEST: usize = 4;

/// What the patches of one tower do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TowerMap {
    /// Which tower.
    pub tower: &'static str,
    /// The world that was shown, where it comes with the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<&'static str>,
    /// Which of the twins is patched.
    pub direction: Direction,
    /// Its blocks.
    pub layers: usize,
    /// Twins that were patched.
    pub twins: usize,
    /// Why others were not.
    pub refused: Vec<String>,
    /// The standard deviation over twins of the clean margin: all effects are in it.
    pub spread: f64,
    /// The margin of the clean inputs, in spreads.
    pub clean: Interval,
    /// The same of the corrupt ones.
    pub corrupt: Interval,
    /// What there is to restore, or of noising to lose: the margin of the source less that of the patched, in spreads.
    pub total: Interval,
    /// Whether that exceeds its own noise, its interval being on one side of 0: only then are shares of it said.
    pub restorable: bool,
    /// By layer, part and group, the last fastest.
    pub entries: Vec<Entry>,
}

/// What a patch does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The layer, from 0.
    pub layer: usize,
    /// What of it.
    pub part: Part,
    /// Of which tokens.
    pub group: Group,
    /// Twins in which there are such tokens.
    pub twins: usize,
    /// The mean change of the margin over twins, in spreads; `None` where a note says why.
    pub effect: Option<Interval>,
    /// The same of the patch from another scene, of the twins for which it was made.
    pub null: Option<Interval>,
    /// That the patch from the twin does no more or less than that from another scene: two-sided, signs of twins at random.
    pub p: Option<f64>,
    /// Adjusted over all entries of the tower (Benjamini & Hochberg).
    pub q: Option<f64>,
    /// The effect as a share of what there is to restore.
    pub share: Option<f64>,
    /// Values that the patches changed, of all twins together.
    pub changed: usize,
    /// Why there is no effect.
    pub note: Option<&'static str>,
}

/// Of a patch that no embedding depends on.
pub const CANNOT_MATTER: &str = "cannot matter: behind the last attention only the token that is read goes on";
/// Of a patch that puts in what was there.
pub const SAME: &str = "changes nothing: twins have the same values there";
/// Of a group that is empty in every twin.
pub const EMPTY: &str = "no twin has such tokens";

impl TowerMap {
    /// Of what a sweep of `tower` found.
    ///
    /// # Errors
    /// Of fewer than four twins, or when all clean margins are the same.
    pub fn of(
        swept: &Swept,
        (tower, layers, direction): (Tower, usize, Direction),
        refused: Vec<String>,
        (confidence, seed): (Confidence, u64),
    ) -> Result<Self> {
        let n = swept.clean.len();
        if n < FEWEST {
            return Err(Error::mismatch("trace", format!("{FEWEST} twins or more"), n));
        }
        let spread = deviation(&swept.clean, swept.clean.iter().sum::<f64>() / n as f64);
        if spread <= f64::EPSILON {
            return Err(Error::mismatch("margins of the clean twins", "margins that differ", "the same of all"));
        }
        let none = || Error::mismatch("trace", "twins", "none");
        let interval = |values: &[f64]| -> Result<Interval> {
            let scaled: Vec<f64> = values.iter().map(|x| x / spread).collect();
            mean(&scaled, confidence)?.ok_or_else(none)
        };
        let sign = if direction == Direction::Denoise { 1.0 } else { -1.0 };
        let total: Vec<f64> = swept.clean.iter().zip(&swept.corrupt).map(|(a, b)| sign * (a - b)).collect();
        let total = interval(&total)?;
        let restorable = total.lo > 0.0 || total.hi < 0.0;
        let signs = Signs::new(n, seed);
        let entry = |patched: &Patched| Entry::of(patched, (spread, confidence), restorable.then_some(total), &signs);
        let mut entries = swept.patches.par_iter().map(entry).collect::<Result<Vec<_>>>()?;
        let p: Vec<Option<f64>> = entries.iter().map(|entry| entry.p).collect();
        entries.iter_mut().zip(benjamini_hochberg(&p)?).for_each(|(entry, q)| entry.q = q);
        let name = if tower == Tower::Vision { "vision" } else { "text" };
        let (clean, corrupt) = (interval(&swept.clean)?, interval(&swept.corrupt)?);
        Ok(Self {
            tower: name,
            world: None,
            direction,
            layers,
            twins: n,
            refused,
            spread,
            clean,
            corrupt,
            total,
            restorable,
            entries,
        })
    }

    /// The entry of one patch.
    pub fn entry(&self, layer: usize, part: Part, group: Group) -> Option<&Entry> {
        self.entries.iter().find(|entry| (entry.layer, entry.part, entry.group) == (layer, part, group))
    }
}

impl Entry {
    fn of(
        patched: &Patched,
        (spread, confidence): (f64, Confidence),
        total: Option<Interval>,
        signs: &Signs,
    ) -> Result<Self> {
        let scaled = |values: &[Option<f64>]| values.iter().flatten().map(|x| x / spread).collect::<Vec<f64>>();
        let effects = scaled(&patched.effects);
        let note = match (effects.is_empty(), patched.matters, patched.changed) {
            (true, ..) => Some(EMPTY),
            (_, false, _) => Some(CANNOT_MATTER),
            (_, _, 0) => Some(SAME),
            _ => None,
        };
        let mut entry = Self {
            layer: patched.layer,
            part: patched.part,
            group: patched.group,
            twins: effects.len(),
            effect: None,
            null: None,
            p: None,
            q: None,
            share: None,
            changed: patched.changed,
            note,
        };
        if note.is_none() {
            entry.effect = mean(&effects, confidence)?;
            entry.null = mean(&scaled(&patched.nulls), confidence)?;
            entry.share = total.and_then(|total| entry.effect.map(|effect| effect.estimate / total.estimate));
            let less = patched.effects.iter().zip(&patched.nulls).map(|(effect, null)| Some((*effect)? - (*null)?));
            entry.p = signs.p(&less.collect::<Vec<_>>());
        }
        Ok(entry)
    }

    /// Whether it does more or less than its null, corrected.
    pub fn beyond_null(&self) -> bool {
        self.q.is_some_and(|q| q < 0.05)
    }
}

/// Writes `trace.parquet`: a row an entry, of `towers` one after the other; in one step.
///
/// Columns `tower` (text), `layer` (u32), `part`, `group` (text), `twins` (u32), `effect`, `lo`, `hi`, `null_mean`, `null_lo`, `null_hi`, `p`,
/// `q`, `share` (f64, null where missing), `changed` (u32), `direction` (text), `note` (text, null where there is an effect). Effects are in spreads.
///
/// # Errors
/// When it cannot be written.
pub fn write_trace(path: &Path, towers: &[TowerMap]) -> Result<()> {
    write_columns(path, &columns(None, &[]), towers.iter().map(|tower| columns(Some(tower), &tower.entries)))
}

fn columns(tower: Option<&TowerMap>, entries: &[Entry]) -> Vec<Column> {
    let rows = entries.iter();
    let number = |name: &str, of: &dyn Fn(&Entry) -> Option<f64>| Column::number(name, rows.clone().map(of));
    let (name, direction) =
        tower.map_or((String::new(), String::new()), |t| (t.tower.to_owned(), t.direction.to_string()));
    let effect = |end: fn(Interval) -> f64| move |entry: &Entry| entry.effect.map(end);
    let null = |end: fn(Interval) -> f64| move |entry: &Entry| entry.null.map(end);
    vec![
        Column::text("tower", rows.clone().map(|_| &name)),
        Column::count("layer", rows.clone().map(|entry| entry.layer)),
        Column::text("part", rows.clone().map(|entry| entry.part.to_string())),
        Column::text("group", rows.clone().map(|entry| entry.group.to_string())),
        Column::count("twins", rows.clone().map(|entry| entry.twins)),
        number("effect", &effect(|x| x.estimate)),
        number("lo", &effect(|x| x.lo)),
        number("hi", &effect(|x| x.hi)),
        number("null_mean", &null(|x| x.estimate)),
        number("null_lo", &null(|x| x.lo)),
        number("null_hi", &null(|x| x.hi)),
        number("p", &|entry| entry.p),
        number("q", &|entry| entry.q),
        number("share", &|entry| entry.share),
        Column::count("changed", rows.clone().map(|entry| entry.changed)),
        Column::text("direction", rows.clone().map(|_| &direction)),
        Column::optional_text("note", rows.map(|entry| entry.note.map(str::to_owned))),
    ]
}
