//! Edits of one site in one group of tokens, set of units after set, and what they do to margins.

use super::action::Action;
use super::change::{Axes, Change, Changed, Donors, Prepared};
use super::effect::{Effect, Null, mean_and_sd, p_value, paired, restored};
use super::margins::Target;
use super::rest::Rest;
use super::similar::{Profile, Similar};
use super::tokens::Tokens;
use super::units::KnownUnits;
use crate::measure::fdr::benjamini_hochberg;
use crate::measure::{Confidence, Matrix};
use crate::progress::Progress;
use crate::{Error, Result, random};
use rand::RngExt;
use std::collections::BTreeSet;

/// The fewest twins that a spread is taken over.
const FEWEST: usize = 8;

/// Cosines nearer to one another than this differ by rounding, as in the exam's questions.
const ROUNDING: f64 = 1e-5;

/// How effects are measured.
#[derive(Clone, Copy)]
pub struct Against<'a> {
    /// Random sets beside each, at least 19.
    pub draws: usize,
    /// Of the draws.
    pub seed: u64,
    /// Of every interval.
    pub confidence: Confidence,
    /// Told of every edit, asked whether to stop.
    pub progress: &'a dyn Progress,
}

/// What is edited, and what is asked.
pub struct Asked<'a> {
    /// The tokens that are edited, for messages.
    pub tokens: Tokens,
    /// One head; `None` for all.
    pub head: Option<usize>,
    /// For each row: where these tokens are.
    pub positions: Vec<Vec<usize>>,
    /// For each row: rows with one number can stand for one another.
    pub strata: Vec<usize>,
    /// What is asked.
    pub targets: &'a [Target],
}

/// A set of units that is edited.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// What it is called.
    pub name: String,
    /// Its units, most wanted first.
    pub units: Vec<usize>,
    /// The sizes of its beginnings that are tried beside the whole.
    pub doses: Vec<usize>,
    /// Units that no random set may have, beside its own.
    pub excluded: BTreeSet<usize>,
}

impl Set {
    /// All of `units`, and where `doses` are wanted the first 1, 2, 5, 10, 20, 50, ... of them.
    pub fn new(name: impl Into<String>, units: Vec<usize>, doses: bool) -> Self {
        let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_usize.pow(power)));
        let doses = if doses { steps.take_while(|size| *size < units.len()).collect() } else { Vec::new() };
        Self { name: name.into(), units, doses, excluded: BTreeSet::new() }
    }
}

/// What came of some edits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// Each beside its null.
    pub rows: Vec<Effect>,
    /// What is not shown, and why: what there is nothing to compare with.
    pub left_out: Vec<String>,
}

/// One site and group of tokens, seen clean.
pub struct Trial<'a> {
    rest: &'a dyn Rest,
    asked: Asked<'a>,
    /// For each target: the margin of every twin.
    clean: Vec<Vec<f64>>,
    width: usize,
}

impl<'a> Trial<'a> {
    /// Looks at the clean forward.
    ///
    /// # Errors
    /// When rows are no pairs of twins, there are fewer than 8, a token is beyond the site's, or nothing is asked.
    pub fn new(rest: &'a dyn Rest, asked: Asked<'a>) -> Result<Self> {
        let rows = rest.batches().last().map_or(0, |batch| batch.end);
        let place = || format!("site `{}`, tokens `{}`", rest.site(), asked.tokens);
        let per_row = [asked.positions.len(), asked.strata.len()];
        if per_row != [rows; 2] || rest.batches().iter().any(|batch| !batch.len().is_multiple_of(2)) {
            return Err(Error::mismatch(place(), format!("pairs of {rows} rows"), format!("{per_row:?}")));
        }
        let twins = asked.targets.first().map_or(0, |target| target.twins.len());
        if twins < FEWEST || asked.targets.iter().any(|target| target.twins.len() != twins) {
            return Err(Error::mismatch(place(), format!("at least {FEWEST} twins of every target"), twins));
        }
        let axes = Axes::of(rest.site(), rest.values(0).0);
        if asked.positions.iter().flatten().any(|at| *at >= axes.tokens) || asked.positions.iter().any(Vec::is_empty) {
            return Err(Error::mismatch(place(), format!("tokens below {} in every row", axes.tokens), "others"));
        }
        let width = axes.width(asked.head);
        let mut trial = Self { rest, asked, clean: Vec::new(), width };
        let embeddings: Vec<Matrix> = (0..trial.rest.batches().len())
            .map(|batch| trial.rest.go_on(batch, trial.rest.values(batch).1.to_vec()))
            .collect::<Result<_>>()?;
        trial.clean = trial.asked.targets.iter().map(|target| target.margins(&embeddings)).collect();
        Ok(trial)
    }

    /// Units that sets can be of.
    pub fn width(&self) -> usize {
        self.width
    }

    /// For each target the clean margin of every twin.
    pub fn clean(&self) -> &[Vec<f64>] {
        &self.clean
    }

    fn place(&self) -> String {
        let head = self.asked.head.map(|head| format!(", head {head}")).unwrap_or_default();
        format!("site `{}`{head}, tokens `{}`", self.rest.site(), self.asked.tokens)
    }

    /// Shows every unit's value at every edited token of every head, with its row.
    fn each(&self, mut see: impl FnMut(usize, usize, f32)) {
        for (number, rows) in self.rest.batches().into_iter().enumerate() {
            let (shape, values) = self.rest.values(number);
            let axes = Axes::of(self.rest.site(), shape);
            for row in rows.clone() {
                for token in &self.asked.positions[row] {
                    for head in axes.heads(self.asked.head) {
                        for unit in 0..self.width {
                            let value = values[axes.at(row - rows.start, *token, head, unit)];
                            // Scores of what attention does not see count as nothing.
                            see(row, unit, if value.is_finite() { value } else { 0.0 });
                        }
                    }
                }
            }
        }
    }

    /// The mean of every unit over the edited tokens of all rows.
    pub fn means(&self) -> Vec<f32> {
        let (mut sums, mut count) = (vec![0.0; self.width], 0.0);
        self.each(|_, unit, value| {
            sums[unit] += f64::from(value);
            count += f64::from(u8::from(unit == 0));
        });
        sums.iter().map(|sum| (sum / count) as f32).collect()
    }

    /// What units are compared by, with what `action` changes of each by itself.
    fn profiles(&self, action: &Action, donors: Option<&[usize]>) -> Vec<Profile> {
        let means = self.means();
        let mut sums = vec![[0.0; 3]; self.width];
        let mut count = 0.0;
        self.each(|_, unit, value| {
            let value = f64::from(value);
            let change = match action {
                Action::Mean => value - f64::from(means[unit]),
                Action::Rescale(factor) => value * (1.0 - f64::from(*factor)),
                // Of directions what a unit takes part with is the direction's.
                _ => value,
            };
            let add = [value * value, change * change, f64::from(u8::from(value > 0.0))];
            sums[unit].iter_mut().zip(add).for_each(|(sum, add)| *sum += add);
            count += f64::from(u8::from(unit == 0));
        });
        if let Some(donors) = donors {
            sums.iter_mut().for_each(|sums| sums[1] = 0.0);
            self.differences(donors, |unit, difference| sums[unit][1] += difference * difference);
        }
        let profile = |[square, change, firing]: [f64; 3]| Profile {
            norm: (square / count).sqrt(),
            change: (change / count).sqrt(),
            firing: firing / count,
        };
        sums.into_iter().map(profile).collect()
    }

    /// Shows for every edited token how much each unit differs from what its donor has there.
    fn differences(&self, donors: &[usize], mut see: impl FnMut(usize, f64)) {
        let batches = self.rest.batches();
        let of_row = |row: usize| batches.iter().position(|batch| batch.contains(&row)).unwrap_or_default();
        for (row, &donor) in donors.iter().enumerate() {
            let [own, other] = [row, donor].map(|row| {
                let batch = of_row(row);
                let (shape, values) = self.rest.values(batch);
                (Axes::of(self.rest.site(), shape), values, row - batches[batch].start, &self.asked.positions[row])
            });
            for k in 0..own.3.len() {
                for head in own.0.heads(self.asked.head) {
                    for unit in 0..self.width {
                        let value = |(axes, values, row, positions): &(Axes, &[f32], usize, &Vec<usize>)| {
                            f64::from(values[axes.at(*row, positions[k % positions.len()], head, unit)])
                        };
                        let difference = value(&own) - value(&other);
                        if difference.is_finite() {
                            see(unit, difference);
                        }
                    }
                }
            }
        }
    }

    /// For each row the one that it is given values of; `None` for edits that take none.
    fn donors(&self, action: &Action) -> Result<Option<Vec<usize>>> {
        let strata = &self.asked.strata;
        match action {
            Action::Patch => {
                let aligned = |row: usize| self.asked.positions[row] == self.asked.positions[row ^ 1];
                if let Some(row) = (0..strata.len()).find(|row| !aligned(*row)) {
                    let expected = "twins whose tokens stand at the same places, to be patched";
                    let got = format!("other places in rows {} and {}", row.min(row ^ 1), row.max(row ^ 1));
                    return Err(Error::mismatch(self.place(), expected, got));
                }
                Ok(Some((0..strata.len()).map(|row| row ^ 1).collect()))
            }
            Action::Resample(seed) => {
                let donor = |row: usize| {
                    let others: Vec<usize> = (0..strata.len())
                        .filter(|other| other / 2 != row / 2 && strata[*other] == strata[row])
                        .collect();
                    let rng = &mut random::stream(*seed, "resampled rows", row as u64);
                    let none = || Error::mismatch(self.place(), "another scene of as many objects", "none");
                    (!others.is_empty()).then(|| others[rng.random_range(0..others.len())]).ok_or_else(none)
                };
                (0..strata.len()).map(donor).collect::<Result<_>>().map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The change of every target's margins, twin for twin, and how many values `edit` changed.
    fn changes(&self, edit: &Prepared, donors: Option<&[usize]>) -> Result<(Vec<Vec<f64>>, Changed)> {
        let (mut embeddings, mut changed) = (Vec::new(), Changed::default());
        let batches = self.rest.batches();
        for (number, rows) in batches.iter().enumerate() {
            let (shape, clean) = self.rest.values(number);
            let mut values = clean.to_vec();
            let positions = &self.asked.positions[rows.clone()];
            let length = values.len() / rows.len();
            let (mut given, mut from) = (Vec::new(), Vec::new());
            for donor in donors.map(|donors| &donors[rows.clone()]).unwrap_or_default() {
                let batch = batches.iter().position(|batch| batch.contains(donor)).unwrap_or_default();
                given
                    .extend_from_slice(&self.rest.values(batch).1[(donor - batches[batch].start) * length..][..length]);
                from.push(self.asked.positions[*donor].clone());
            }
            let numbers: Vec<usize> = (0..from.len()).collect();
            let donors = donors.map(|_| Donors { values: &given, rows: &numbers, positions: &from });
            let mut editing = edit.on(positions, donors);
            editing.apply(shape, &mut values)?;
            changed = changed.and(editing.changed());
            embeddings.push(self.rest.go_on(number, values)?);
        }
        let change = |(target, clean): (&Target, &Vec<f64>)| -> Vec<f64> {
            target.margins(&embeddings).iter().zip(clean).map(|(new, old)| new - old).collect()
        };
        Ok((self.asked.targets.iter().zip(&self.clean).map(change).collect(), changed))
    }

    /// An edit of `units`: with the numbers of these from `full`, which has one for each unit.
    fn edit(&self, units: &[usize], full: &Change) -> Prepared {
        let some = |values: &Vec<f32>| -> Vec<f32> { units.iter().map(|unit| values[*unit]).collect() };
        let change = match full {
            Change::Set(values) => Change::Set(some(values)),
            Change::Add(values) => Change::Add(some(values)),
            Change::ProjectOut(values) => {
                Change::project_out(&some(values)).unwrap_or(Change::Add(vec![0.0; units.len()]))
            }
            other => other.clone(),
        };
        let (site, head, tokens) = (self.rest.site(), self.asked.head, self.asked.tokens);
        Prepared { site, head, tokens, units: Some(units.to_vec()), change }
    }

    /// What `action` does to each of `sets`, and to their beginnings, on every target; q over all sets of a target. `full` is the change of all
    /// units of the site that the action stands for.
    ///
    /// Random sets are of units: their norm, what the edit changes of them and how often they fire are those of the set's. Where a
    /// direction is added or taken away, random are the directions instead: differences of two rows, as long as it is. Units that have none
    /// like them are left out of their set, which is noted.
    ///
    /// # Errors
    /// When an edit changes nothing anywhere, a forward fails, or `against` says so.
    pub fn effects(&self, action: &Action, full: &Change, sets: &[Set], against: Against<'_>) -> Result<Effects> {
        if against.draws < 19 {
            return Err(Error::mismatch("draws", "at least 19 random sets", against.draws));
        }
        let donors = self.donors(action)?;
        let directed = action.direction().is_some();
        let profiles = if directed { Vec::new() } else { self.profiles(action, donors.as_deref()) };
        let mut found = Effects::default();
        let varies: Vec<bool> = self.clean.iter().map(|clean| mean_and_sd(clean)[1] > ROUNDING).collect();
        for (target, _) in self.asked.targets.iter().zip(&varies).filter(|(_, varies)| !**varies) {
            let same = "the clean margin of all twins is the same but for rounding, so that nothing can be said in its spreads";
            found.left_out.push(format!("{}, `{}`: {same}", self.place(), target.name));
        }
        let mut work = Vec::new();
        for set in sets {
            let excluded = set.units.iter().chain(&set.excluded).copied().collect();
            let similar = (!directed).then(|| Similar::of(&profiles, &set.units, &excluded));
            let kept = similar.as_ref().map_or(&set.units, |similar| &similar.kept).clone();
            if let Some(dropped) = similar.as_ref().map(|similar| similar.dropped.len()).filter(|count| *count > 0) {
                let (place, all) = (self.place(), set.units.len());
                let few = "too few units like them (norm, change, firing) to compare with";
                found.left_out.push(format!("{place}, units `{}`: {dropped} of {all} have {few}", set.name));
            }
            let doses = set.doses.iter().copied().filter(|size| *size < kept.len());
            let sizes = doses.chain((!kept.is_empty()).then_some(kept.len())).collect::<Vec<_>>();
            work.push((set, similar, kept, sizes));
        }
        let total: usize = work.iter().map(|(.., sizes)| sizes.len() * (against.draws + 1)).sum();
        let mut done = 0;
        for (set, similar, kept, sizes) in &work {
            for size in sizes {
                let units = &kept[..*size];
                let own = self.edit(units, full);
                let (changes, changed) = self.changes(&own, donors.as_deref())?;
                own.check(changed)?;
                let alike = match similar {
                    None => self.directions(units, full, against),
                    Some(similar) => {
                        let sets = similar.sets(*size, against.draws, against.seed);
                        sets.map(|sets| sets.iter().map(|units| self.edit(units, full)).collect())
                    }
                };
                let alike: Vec<Prepared> = match alike {
                    Ok(alike) => alike,
                    Err(error) => {
                        found.left_out.push(format!("{}, units `{}`, {size} of them: {error}", self.place(), set.name));
                        done += against.draws + 1;
                        continue;
                    }
                };
                let mut null = vec![Vec::new(); self.asked.targets.len()];
                for edit in &alike {
                    done += 1;
                    against.progress.advance(done, total);
                    if against.progress.is_cancelled() {
                        return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
                    }
                    let (changes, _) = self.changes(edit, donors.as_deref())?;
                    null.iter_mut().zip(changes).for_each(|(null, changes)| null.push(mean_and_sd(&changes)[0]));
                }
                done += 1;
                // To the bit: where anything goes on to an embedding, rounding differs.
                let nothing = |of: &[f64]| of.iter().all(|change| change.abs() <= 0.0);
                if changes.iter().all(|changes| nothing(changes)) && null.iter().all(|null| nothing(null)) {
                    let unread = "neither it nor any random set reaches an embedding (behind the last attention only the token that is \
                                  read does)";
                    let said = format!("{unread}, though it changes {} values", changed.values);
                    found.left_out.push(format!("{}, units `{}`, {size} of them: {said}", self.place(), set.name));
                    continue;
                }
                for (t, (changes, null)) in changes.iter().zip(&null).enumerate().filter(|(t, _)| varies[*t]) {
                    let named = (set.name.as_str(), action);
                    found.rows.push(self.effect(named, (units, changed), (t, changes, null), against));
                }
            }
        }
        adjust(&mut found.rows)?;
        Ok(found)
    }

    fn effect(
        &self,
        (name, action): (&str, &Action),
        (units, changed): (&[usize], Changed),
        (target, changes, null): (usize, &[f64], &[f64]),
        against: Against<'_>,
    ) -> Effect {
        let asked = &self.asked.targets[target];
        let spread = mean_and_sd(&self.clean[target])[1];
        let null: Vec<f64> = null.iter().map(|mean| mean / spread).collect();
        let effect = paired(changes, spread, against.confidence);
        // Of attributes a twin has as much: nothing was taken that could be brought back.
        let patched = *action == Action::Patch && asked.is_exchanged();
        Effect {
            site: match self.asked.head {
                Some(head) => format!("{} head={head}", self.rest.site()),
                None => self.rest.site().to_string(),
            },
            tokens: self.asked.tokens.to_string(),
            set: name.to_owned(),
            size: units.len(),
            edit: action.to_string(),
            target: asked.name.clone(),
            effect,
            p: p_value(effect.estimate, &null),
            q: 1.0,
            null: Null::of(&null, against.confidence),
            changed: changed.values,
            largest: changed.largest,
            restored: patched.then(|| restored(changes, &self.clean[target], against.confidence)),
        }
    }

    /// The same edit along random directions: differences of two rows' means over the edited tokens, as long as the own direction is
    /// among `units`.
    fn directions(&self, units: &[usize], full: &Change, against: Against<'_>) -> Result<Vec<Prepared>> {
        let rows = self.asked.strata.len();
        let mut means = vec![vec![0.0; self.width]; rows];
        self.each(|row, unit, value| means[row][unit] += f64::from(value) / self.asked.positions[row].len() as f64);
        let length = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
        let own = self.edit(units, full);
        let scale = match &own.change {
            Change::Add(values) => length(&values.iter().map(|x| f64::from(*x)).collect::<Vec<_>>()),
            _ => 1.0,
        };
        let rng = &mut random::stream(against.seed, "random directions", units.len() as u64);
        let mut drawn = Vec::new();
        for _ in 0..against.draws * 20 {
            let [a, b] = [(); 2].map(|()| rng.random_range(0..rows));
            let direction: Vec<f64> = units.iter().map(|unit| means[a][*unit] - means[b][*unit]).collect();
            let long = length(&direction);
            if a == b || long <= 1e-12 {
                continue;
            }
            let values = direction.iter().map(|x| (scale * x / long) as f32).collect();
            let change =
                if matches!(own.change, Change::Add(_)) { Change::Add(values) } else { Change::ProjectOut(values) };
            drawn.push(Prepared { change, ..own.clone() });
            if drawn.len() == against.draws {
                return Ok(drawn);
            }
        }
        let expected = format!("{} differences of rows as random directions", against.draws);
        Err(Error::mismatch(self.place(), expected, drawn.len()))
    }
}

/// Fills in q: all effects on one target are a family.
pub(super) fn adjust(rows: &mut [Effect]) -> Result<()> {
    let targets: BTreeSet<String> = rows.iter().map(|row| row.target.clone()).collect();
    for target in targets {
        let own = |row: &Effect| row.target == target;
        let p: Vec<Option<f64>> = rows.iter().map(|row| own(row).then_some(row.p)).collect();
        let q = benjamini_hochberg(&p)?;
        rows.iter_mut().zip(q).filter(|(row, _)| own(row)).for_each(|(row, q)| row.q = q.unwrap_or(1.0));
    }
    Ok(())
}

impl KnownUnits for Trial<'_> {
    fn ranked(&self) -> Result<Vec<usize>> {
        let donors = self.donors(&Action::Patch)?.unwrap_or_default();
        let mut squares = vec![0.0; self.width];
        self.differences(&donors, |unit, difference| squares[unit] += difference * difference);
        let mut units: Vec<usize> = (0..self.width).filter(|unit| squares[*unit] > 0.0).collect();
        units.sort_by(|a, b| squares[*b].total_cmp(&squares[*a]).then(a.cmp(b)));
        Ok(units)
    }
}
