//! One edit of a model, from its twins to its effects: what `snellen intervene` prints.

use super::edit::Edit;
use super::effect::{Effect, mean_and_sd, paired};
use super::known::MeasuredUnits;
use super::margins::Target;
use super::trial::{Against, Set, Trial};
use super::twins::Twins;
use super::units::{KnownUnits, Units};
use crate::measure::Interval;
use crate::measure::factorial::UnitClass;
use crate::model::Model;
use crate::scene::{Concept, World};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// What scenes are made of.
    pub world: &'a World,
    /// Captions around what a scene holds, `{}` standing for it.
    pub templates: &'a [&'a str],
    /// Swap twins.
    pub twins: usize,
    /// Whether beginnings of the set are tried as well, of 1, 2, 5, 10, ... units.
    pub doses: bool,
    /// Scenes that linear probes learn from, which are then asked as well; 0 for no probes.
    pub probes: usize,
}

/// A margin before anything is edited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CleanMargin {
    /// What is asked.
    pub target: String,
    /// The mean over twins, in spreads between them; that it is above 0 says that the model tells what is asked.
    pub margin: Interval,
    /// The spread: the standard deviation between twins, as a difference of cosines.
    pub spread: f64,
}

impl CleanMargin {
    /// Of the `margins` of twins; `None` where they don't differ.
    pub(super) fn of(target: &Target, margins: &[f64], against: Against<'_>) -> Option<Self> {
        let spread = mean_and_sd(margins)[1];
        let margin = paired(margins, spread, against.confidence);
        (spread > 0.0).then(|| Self { target: target.name.clone(), margin, spread })
    }
}

/// What came of an edit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intervention {
    /// The edit, as it is written.
    pub edit: String,
    /// The world that was shown, where it comes with the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    /// The number of twins.
    pub twins: usize,
    /// What it is measured against.
    pub clean: Vec<CleanMargin>,
    /// Its effects, of the whole set and of its beginnings.
    pub effects: Vec<Effect>,
    /// What is not shown, and why.
    pub left_out: Vec<String>,
}

/// What `edit` does to `model`.
///
/// # Errors
/// When the model lacks the site, the head, a unit or text tower, scenes the tokens; when the edit changes nothing; when no random sets
/// are like any of those that were asked for.
pub fn intervene(model: &Model, edit: &Edit, shown: Shown<'_>, against: Against<'_>) -> Result<Intervention> {
    // Before anything is computed.
    edit.width(&model.config)?;
    let mut twins = Twins::draw(model, shown.world, shown.templates, shown.twins, against.seed)?;
    if shown.probes > 0 {
        twins.ask_probes(edit.site.tower, (shown.world, shown.templates), shown.probes, against.seed)?;
    }
    let rest = twins.rest(edit.site)?;
    let trial = twins.trial(&rest, edit.head, edit.tokens)?;
    let whole = Edit { units: Units::All, ..edit.clone() };
    let full = whole.prepare(&model.config, &(), Some(&trial.means()))?.change;
    let measured = match &edit.units {
        Units::Class(_) | Units::Shared(_) => {
            Some(MeasuredUnits::on_scenes(model, shown.world, edit.site, edit.head, against.seed)?)
        }
        _ => None,
    };
    let known = Known { trial: &trial, measured: measured.as_ref() };
    let units = edit.units.resolve(&edit.place(), trial.width(), &known)?;
    let set = Set::new(edit.units.to_string(), units, shown.doses);
    let found = trial.effects(&edit.action, &full, &[set], against)?;
    if let (true, Some(left)) = (found.rows.is_empty(), found.left_out.first()) {
        return Err(Error::mismatch("intervene", "an effect that has something to stand beside", left));
    }
    let clean = twins.targets(edit.site.tower).iter().zip(trial.clean());
    let clean = clean.filter_map(|(target, margins)| CleanMargin::of(target, margins, against));
    Ok(Intervention {
        edit: edit.to_string(),
        world: shown.world.name().map(str::to_owned),
        twins: shown.twins,
        clean: clean.collect(),
        effects: found.rows,
        left_out: found.left_out,
    })
}

/// What twins know of units, and what was measured.
struct Known<'a> {
    trial: &'a Trial<'a>,
    measured: Option<&'a MeasuredUnits>,
}

impl KnownUnits for Known<'_> {
    fn ranked(&self) -> Result<Vec<usize>> {
        self.trial.ranked()
    }

    fn of_class(&self, class: UnitClass) -> Result<Vec<usize>> {
        self.measured.map_or_else(|| ().of_class(class), |measured| measured.of_class(class))
    }

    fn sharing(&self, both: &[Concept; 2]) -> Result<Vec<usize>> {
        self.measured.map_or_else(|| ().sharing(both), |measured| measured.sharing(both))
    }
}
