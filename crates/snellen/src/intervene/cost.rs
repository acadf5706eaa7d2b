//! Does superposition cost? What becomes of the swap margin without the units that concepts of two factors share.
//!
//! At some sites the units that encode values of two factors that captions say are set to their mean, beside random sets of units that are
//! like them and are shared by no two factors; and of the two concepts that share units and of which one moves the reader of the other most,
//! that one's direction among these units is projected out, beside random directions. Only where that raises the margin, beyond such sets and corrected over sites, does a report
//! say that superposition hinders binding; [`answer`] has the rules.

use super::action::Action;
use super::change::Change;
use super::disentangle::{Activations, Disentangled, strongest};
use super::effect::Effect;
use super::intervention::CleanMargin;
use super::known::MeasuredUnits;
use super::margins::SWAP;
use super::rest::Rest as _;
use super::tokens::Tokens;
use super::trial::{Against, Set, adjust};
use super::twins::Twins;
use crate::model::{Model, Site};
use crate::scene::World;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

/// The q that an effect may not exceed.
const Q: f64 = 0.05;
/// What edits are called that project a concept out.
const DIRECTED: &str = "project-out:";
/// Effects within this of those of random sets are no more than theirs, in spreads between twins.
const ALIKE: f64 = 0.2;

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostConfig {
    /// Swap twins.
    pub twins: usize,
    /// Random sets beside each set.
    pub draws: usize,
    /// Sites, at most, evenly spread over those that are known.
    pub sites: usize,
}

/// What an ablation says of shared units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostAnswer {
    /// Without them the swap margin rises, beyond random sets: superposition hinders binding.
    Hinders,
    /// Without them it falls, beyond random sets: they carry the binding.
    Carries,
    /// At all sites they do what random sets do.
    NoMore,
    /// Neither is shown.
    CantTell,
    /// There is no swap margin that could be lost, and none is gained.
    NothingToRestore,
    /// There was nothing to ask.
    NotAsked,
}

/// The answer and what it stands on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// What is shown.
    pub answer: CostAnswer,
    /// The same in words.
    pub sentence: String,
    /// Swap twins.
    pub twins: usize,
    /// Random sets beside each set.
    pub draws: usize,
    /// The swap margin before anything is edited; `None` where nothing was asked.
    pub clean: Option<CleanMargin>,
    /// Of every site and target.
    pub effects: Vec<Effect>,
    /// The concepts whose directions were projected out, and what that did to their interference.
    pub disentangled: Vec<Disentangled>,
    /// What is not shown, and why.
    pub left_out: Vec<String>,
}

impl Cost {
    /// That it was not asked, and `why`.
    pub fn not_asked(why: &str, config: CostConfig, left_out: Vec<String>) -> Self {
        Self {
            answer: CostAnswer::NotAsked,
            sentence: format!("Whether superposition costs was not asked: {why}."),
            twins: config.twins,
            draws: config.draws,
            clean: None,
            effects: Vec::new(),
            disentangled: Vec::new(),
            left_out,
        }
    }
}

/// Asks `model` at sites of which it is `known` what their units encode; where activations are `seen`, directions are projected out too.
///
/// # Errors
/// When the forward fails, or `against` says so.
pub fn superposition_cost(
    model: &Model,
    (world, templates): (&World, &[&str]),
    known: &[(Site, MeasuredUnits)],
    seen: Option<&Activations<'_>>,
    config: CostConfig,
    against: Against<'_>,
) -> Result<Cost> {
    let said: Vec<&str> = world.said().into_iter().map(|f| world.factors[f].name.as_str()).collect();
    let asked: Vec<(Site, &MeasuredUnits, Vec<usize>)> = known
        .iter()
        .map(|(site, units)| (*site, units, shared(units, &said)))
        .filter(|(.., units)| !units.is_empty())
        .collect();
    if asked.is_empty() || said.len() < 2 {
        return Ok(Cost::not_asked("no unit encodes values of two factors that captions say", config, Vec::new()));
    }
    let twins = match Twins::draw(model, world, templates, config.twins, against.seed) {
        Err(Error::Mismatch { place, expected, got }) => {
            let why = format!("{place}: expected {expected}, got {got}");
            return Ok(Cost::not_asked(&why, config, Vec::new()));
        }
        twins => twins?,
    };
    let (mut effects, mut disentangled, mut left_out, mut clean) = (Vec::new(), Vec::new(), Vec::new(), None);
    let against = Against { draws: config.draws, ..against };
    let asked = spread(&asked, config.sites);
    for (site, known, units) in &asked {
        let rest = twins.rest(*site)?;
        let trial = twins.trial(&rest, None, Tokens::All)?;
        clean = clean.or_else(|| CleanMargin::of(&twins.targets(rest.site().tower)[0], &trial.clean()[0], against));
        let set = Set::new("shared", units.clone(), false);
        let found = trial.effects(&Action::Mean, &Change::Set(trial.means()), &[set], against)?;
        effects.extend(found.rows);
        left_out.extend(found.left_out);
        let Some(seen) = seen else { continue };
        let Some(direction) = strongest(*site, known, &said, seen)? else {
            left_out.push(format!("site `{site}`: no concept moves the reader of another with which it shares units"));
            continue;
        };
        let pair = &direction.found;
        let set = Set::new(format!("{} and {}", pair.read, pair.moved_by), direction.units, false);
        let action = Action::ProjectOut { direction: PathBuf::from(&pair.moved_by) };
        let found = trial.effects(&action, &Change::ProjectOut(direction.values), &[set], against)?;
        effects.extend(found.rows);
        left_out.extend(found.left_out);
        disentangled.push(direction.found);
    }
    let Some(clean) = clean.filter(|_| !effects.is_empty()) else {
        let why = "too few units that are not shared are like those that are";
        return Ok(Cost::not_asked(why, config, left_out));
    };
    adjust(&mut effects)?;
    let shared = asked.iter().map(|(.., units)| units.len()).sum();
    let (answer, sentence) = answer(&effects, &clean, shared, config);
    Ok(Cost {
        answer,
        sentence,
        twins: config.twins,
        draws: config.draws,
        clean: Some(clean),
        effects,
        disentangled,
        left_out,
    })
}

/// The units that encode values of two of the factors `said`.
fn shared(units: &MeasuredUnits, said: &[&str]) -> Vec<usize> {
    let factors = |encoded: &Vec<usize>| -> usize {
        let names = encoded.iter().map(|concept| units.concepts()[*concept].factor.as_str());
        names.filter(|name| said.contains(name)).collect::<BTreeSet<_>>().len()
    };
    let encoded = units.encoded();
    (0..encoded.len()).filter(|unit| factors(&encoded[*unit]) > 1).collect()
}

/// At most `count` of `all`, evenly spread, the last among them.
fn spread<T>(all: &[T], count: usize) -> Vec<&T> {
    let count = count.min(all.len());
    (1..=count).map(|k| &all[k * all.len() / count - 1]).collect()
}

/// What the `effects` on the swap margin say, by these rules, the first that holds:
///
/// 1. at some site an edit raises the margin (interval above 0, q at most .05, above the interval of the random sets): it hinders;
/// 2. at some site it falls likewise without shared units: they carry it;
/// 3. the clean margin's interval is not above 0: nothing to restore;
/// 4. at all sites the interval of the effect of shared units less the random sets' mean lies within .2 spreads of 0: no more than these;
/// 5. else it can't be told.
///
/// That it falls without a concept's direction says that the concept is read, which is no binding yet.
///
/// `shared` is how many units are shared at these sites; where some have no others like them, the words say how many were compared.
pub fn answer(effects: &[Effect], clean: &CleanMargin, shared: usize, config: CostConfig) -> (CostAnswer, String) {
    let (answer, mut said) = of_effects(effects, clean, config);
    let sets = effects.iter().filter(|effect| effect.target == SWAP && !directed(effect));
    let compared = sets.map(|effect| effect.size).sum::<usize>();
    if compared > 0 && compared < shared {
        let _ = write!(
            said,
            " Of the {shared} shared units at these sites {compared} have others like them, and were compared."
        );
    }
    (answer, said)
}

fn directed(effect: &Effect) -> bool {
    effect.edit.starts_with(DIRECTED)
}

fn of_effects(effects: &[Effect], clean: &CleanMargin, config: CostConfig) -> (CostAnswer, String) {
    let swap: Vec<&Effect> = effects.iter().filter(|effect| effect.target == SWAP).collect();
    let raised = |e: &&&Effect| e.q <= Q && e.effect.lo > 0.0 && e.effect.estimate > e.null.hi;
    let lowered = |e: &&&Effect| e.q <= Q && e.effect.hi < 0.0 && e.effect.estimate < e.null.lo;
    let sets: Vec<&Effect> = swap.iter().copied().filter(|e| !directed(e)).collect();
    let (up, down): (Vec<&&Effect>, Vec<&&Effect>) =
        (swap.iter().filter(raised).collect(), sets.iter().filter(lowered).collect());
    let each = |of: &[&&Effect]| {
        let one = |e: &&&Effect| {
            let (x, null) = (&e.effect, &e.null);
            let (what, others) = match e.edit.strip_prefix(DIRECTED) {
                Some(concept) => (format!(", {concept} projected out of the units of {}", e.set), "random directions"),
                None => (String::new(), "random sets"),
            };
            format!(
                "{}{what} ({:+.2} [{:+.2}, {:+.2}] spreads between twins, {others} {:+.2} [{:+.2}, {:+.2}], q = {:.3})",
                e.site, x.estimate, x.lo, x.hi, null.mean, null.lo, null.hi, e.q
            )
        };
        of.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    if swap.is_empty() {
        let said = "Nothing to restore: exchanged captions are the same to it but for rounding, so there is no swap margin that shared \
                    units could carry or hinder.";
        return (CostAnswer::NothingToRestore, said.to_owned());
    }
    let m = &clean.margin;
    let (beside, count) = (format!("{} random sets of units that are like them", config.draws), sets.len());
    let also = if down.is_empty() {
        String::new()
    } else {
        format!(" At {} shared units carry it: without them it falls.", each(&down))
    };
    if !up.is_empty() {
        let said = format!(
            "Superposition hinders binding here: with the units that two factors share set to their mean, or a concept projected out of those \
             that it shares, the swap margin rises beyond that with {beside} and are not shared, at {}.{also}",
            each(&up)
        );
        return (CostAnswer::Hinders, said);
    }
    if !down.is_empty() {
        let said = format!(
            "Units that two factors share carry binding: with them set to their mean the swap margin falls beyond that with {beside} and \
             are not shared, at {}. Nothing shows that sharing hinders it.",
            each(&down)
        );
        return (CostAnswer::Carries, said);
    }
    if m.lo <= 0.0 {
        let said = format!(
            "Nothing to restore: the swap margin is {:+.2} [{:+.2}, {:+.2}] spreads between {} twins, so there is no binding that shared \
             units could carry, and without them it rises at none of {count} sites beyond that with {beside}. That superposition \
             hinders binding is not shown.",
            m.estimate, m.lo, m.hi, config.twins
        );
        return (CostAnswer::NothingToRestore, said);
    }
    let near = |e: &&Effect| e.effect.lo - e.null.mean > -ALIKE && e.effect.hi - e.null.mean < ALIKE;
    if !sets.is_empty() && sets.iter().all(near) {
        let said = format!(
            "Units that two factors share matter no more for binding than others: set to their mean at {count} sites, they change the swap \
             margin within {ALIKE} spreads of what {beside} do."
        );
        return (CostAnswer::NoMore, said);
    }
    let said = format!(
        "Whether units that two factors share help or hinder binding can't be told from {} twins: at none of {count} sites does the swap \
         margin change beyond that with {beside}, and no effect is within {ALIKE} spreads of theirs for certain.",
        config.twins
    );
    (CostAnswer::CantTell, said)
}
