//! Does superposition cost? What becomes of the swap margin without the units that concepts of two factors share.
//!
//! At some sites the units that encode values of two factors that captions say are set to their mean, beside random sets of units that are
//! like them and are shared by no two factors. Only where that raises the margin, beyond such sets and corrected over sites, does a report
//! say that superposition hinders binding; [`answer`] has the rules.

use super::action::Action;
use super::change::Change;
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

/// The q that an effect may not exceed.
const Q: f64 = 0.05;
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
    /// What is not shown, and why.
    pub left_out: Vec<String>,
}

impl Cost {
    fn not_asked(why: &str, config: CostConfig, left_out: Vec<String>) -> Self {
        Self {
            answer: CostAnswer::NotAsked,
            sentence: format!("Whether superposition costs was not asked: {why}."),
            twins: config.twins,
            draws: config.draws,
            clean: None,
            effects: Vec::new(),
            left_out,
        }
    }
}

/// Asks `model` at sites of which it is `known` what their units encode.
///
/// # Errors
/// When the forward fails, or `against` says so.
pub fn superposition_cost(
    model: &Model,
    (world, templates): (&World, &[&str]),
    known: &[(Site, MeasuredUnits)],
    config: CostConfig,
    against: Against<'_>,
) -> Result<Cost> {
    let said: Vec<&str> = world.said().into_iter().map(|f| world.factors[f].name.as_str()).collect();
    let asked: Vec<(Site, Vec<usize>)> = known
        .iter()
        .map(|(site, units)| (*site, shared(units, &said)))
        .filter(|(_, units)| !units.is_empty())
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
    let (mut effects, mut left_out, mut clean) = (Vec::new(), Vec::new(), None);
    let against = Against { draws: config.draws, ..against };
    for (site, units) in spread(&asked, config.sites) {
        let rest = twins.rest(*site)?;
        let trial = twins.trial(&rest, None, Tokens::All)?;
        clean = clean.or_else(|| CleanMargin::of(&twins.targets(rest.site().tower)[0], &trial.clean()[0], against));
        let set = Set::new("shared", units.clone(), false);
        let found = trial.effects(&Action::Mean, &Change::Set(trial.means()), &[set], against)?;
        effects.extend(found.rows);
        left_out.extend(found.left_out);
    }
    let Some(clean) = clean.filter(|_| !effects.is_empty()) else {
        let why = "too few units that are not shared are like those that are";
        return Ok(Cost::not_asked(why, config, left_out));
    };
    adjust(&mut effects)?;
    let (answer, sentence) = answer(&effects, &clean, config);
    Ok(Cost { answer, sentence, twins: config.twins, draws: config.draws, clean: Some(clean), effects, left_out })
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
/// 1. some site raises the margin (interval above 0, q at most .05, above the interval of the random sets): it hinders;
/// 2. some site lowers it likewise: they carry it;
/// 3. the clean margin's interval is not above 0: nothing to restore;
/// 4. at all sites the interval of the effect less the random sets' mean lies within .2 spreads of 0: no more than these;
/// 5. else it can't be told.
pub fn answer(effects: &[Effect], clean: &CleanMargin, config: CostConfig) -> (CostAnswer, String) {
    let swap: Vec<&Effect> = effects.iter().filter(|effect| effect.target == SWAP).collect();
    let raised = |e: &&&Effect| e.q <= Q && e.effect.lo > 0.0 && e.effect.estimate > e.null.hi;
    let lowered = |e: &&&Effect| e.q <= Q && e.effect.hi < 0.0 && e.effect.estimate < e.null.lo;
    let (up, down): (Vec<&&Effect>, Vec<&&Effect>) =
        (swap.iter().filter(raised).collect(), swap.iter().filter(lowered).collect());
    let each = |of: &[&&Effect]| {
        let one = |e: &&&Effect| {
            let (x, null) = (&e.effect, &e.null);
            format!(
                "{} ({:+.2} [{:+.2}, {:+.2}] spreads between twins, random sets {:+.2} [{:+.2}, {:+.2}], q = {:.3})",
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
    let (beside, sets) = (format!("{} random sets of units that are like them", config.draws), swap.len());
    let also = if down.is_empty() {
        String::new()
    } else {
        format!(" At {} shared units carry it: without them it falls.", each(&down))
    };
    if !up.is_empty() {
        let said = format!(
            "Superposition hinders binding here: with the units that two factors share set to their mean, the swap margin rises beyond \
             that with {beside} and are not shared, at {}.{also}",
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
             units could carry, and without them it rises at none of {sets} sites beyond that with {beside}. That superposition \
             hinders binding is not shown.",
            m.estimate, m.lo, m.hi, config.twins
        );
        return (CostAnswer::NothingToRestore, said);
    }
    let near = |e: &&Effect| e.effect.lo - e.null.mean > -ALIKE && e.effect.hi - e.null.mean < ALIKE;
    if swap.iter().all(near) {
        let said = format!(
            "Units that two factors share matter no more for binding than others: set to their mean at {sets} sites, they change the swap \
             margin within {ALIKE} spreads of what {beside} do."
        );
        return (CostAnswer::NoMore, said);
    }
    let said = format!(
        "Whether units that two factors share help or hinder binding can't be told from {} twins: at none of {sets} sites does the swap \
         margin change beyond that with {beside}, and no effect is within {ALIKE} spreads of theirs for certain.",
        config.twins
    );
    (CostAnswer::CantTell, said)
}
