//! What the numbers say in sentences: each is written only where its interval supports it.

use super::question::Question;
use super::sentences::list;
use crate::intervene::{Cost, CostAnswer};
use crate::measure::control::SiteControl;
use crate::measure::factorial::UnitClass;
use crate::measure::spread::Spread;
use crate::report::{QuestionCard, SiteUnits, Units};
use std::fmt::Write as _;

/// The sentences of all `questions`, in their order.
pub(super) fn of_questions(questions: &[&dyn Question], cards: &[QuestionCard]) -> Vec<String> {
    let of = |card: &QuestionCard| {
        let question = questions.iter().find(|question| question.id() == card.id);
        question.map(|question| question.findings(card, cards)).unwrap_or_default()
    };
    // What was not asked has nothing to say.
    cards.iter().filter(|card| card.left_out.is_none()).flat_map(of).collect()
}

/// The sentences of the unit measures: what exceeds untrained models of the same shape, and what doesn't.
pub(super) fn of_units(of: &Units) -> Vec<String> {
    let units: usize = of.sites.iter().map(|s| s.units).sum();
    let encoding: usize = of.sites.iter().map(|s| s.encoding.any).sum();
    let null: usize = of.sites.iter().map(|s| s.null.any).sum();
    let counted = format!(
        "{encoding} of {units} units at {} {} encode a concept beyond the others (held-out effect of at least {}; with permuted labels {null})",
        of.sites.len(),
        if of.sites.len() == 1 { "site" } else { "sites" },
        of.min_effect
    );
    if of.controls.is_empty() {
        return vec![
            format!("{counted}."),
            "No untrained model stands beside these counts, and random weights tell concepts apart as well: they are no evidence of learning.".to_owned(),
        ];
    }
    if of.controls.iter().any(|control| !control.encoding.lo.is_finite() || control.models < 2) {
        return vec![
            format!("{counted}."),
            "One untrained model of each kind doesn't say how much others would differ: nothing is said of learning; three would tell more."
                .to_owned(),
        ];
    }
    let beside = of.controls.iter().map(|control| format!("{} {}", control.name, range(&control.encoding)));
    let beside = list(&beside.collect::<Vec<_>>());
    let verdict = match against(encoding, of.controls.iter().map(|control| &control.encoding)) {
        Against::More => "more than untrained models of its shape",
        Against::Fewer => "fewer than untrained models of its shape",
        Against::Same => "no more than untrained models of its shape, so the count is no evidence of learning",
    };
    let mut said = vec![format!("{counted}: {verdict} ({beside}).")];
    let count = |class: UnitClass| of.sites.iter().filter_map(|site| site.classes.get(&class)).sum::<usize>();
    let classed = |side: Against| {
        let told = UnitClass::ALL.into_iter().filter(|class| {
            let spreads = of.controls.iter().filter_map(|control| control.classes.get(class));
            against(count(*class), spreads) == side
        });
        let one = |class: UnitClass| {
            let spreads = of.controls.iter().filter_map(|control| control.classes.get(&class));
            format!("{class} ({}; untrained {})", count(class), list(&spreads.map(range).collect::<Vec<_>>()))
        };
        list(&told.map(one).collect::<Vec<_>>())
    };
    let [more, fewer] = [classed(Against::More), classed(Against::Fewer)];
    let told = match (more.is_empty(), fewer.is_empty()) {
        (true, true) => "By class its units are no others than those of untrained models.".to_owned(),
        (false, true) => format!("More of its units than of untrained models' are {more}."),
        (true, false) => format!("Fewer of its units than of untrained models' are {fewer}."),
        (false, false) => format!("More of its units than of untrained models' are {more}; fewer are {fewer}."),
    };
    said.push(told);
    said.extend(of.sites.last().and_then(|site| of_geometry(site, of.pixels.as_ref())));
    said
}

/// What is said of causes: what an ablation showed, or that there was none.
pub(super) fn of_cause(cause: Option<&Cost>) -> String {
    match cause {
        Some(cause) if cause.answer != CostAnswer::NotAsked => cause.sentence.clone(),
        Some(cause) => format!("{CORRELATION} {}", cause.sentence),
        None => CORRELATION.to_owned(),
    }
}

/// What counts of units are where no unit was changed.
const CORRELATION: &str = "This is correlation: no unit was changed, so none is shown to cause what the model answers.";

/// What a linear reader of the last site finds beyond what it finds in untrained models.
fn of_geometry(site: &SiteUnits, pixels: Option<&SiteUnits>) -> Option<String> {
    let together = site.together.as_ref()?;
    let spreads = |of: fn(&SiteControl) -> Option<Spread>| site.controls.iter().map(of).collect::<Option<Vec<_>>>();
    let decodable = spreads(|control| control.decodable)?;
    let ranges = list(&decodable.iter().map(range).collect::<Vec<_>>());
    let told = match against(together.decodable, decodable.iter()) {
        Against::More => "more than in",
        Against::Fewer => "fewer than in",
        Against::Same => "as in",
    };
    let mut said = format!(
        "At `{}` a linear reader tells {} concepts, {told} untrained models ({ranges}){}",
        site.site,
        together.decodable,
        pixels
            .and_then(|of| of.together.as_ref())
            .map_or(String::new(), |of| format!("; of raw pixels it tells {}", of.decodable))
    );
    if let (Some(gain), Some(of)) = (together.conjunction_gain, spreads(|control| control.conjunction_gain)) {
        let percent = |spread: &Spread| {
            format!("{:.1} [{:.1}, {:.1}] %", 100.0 * spread.mean, 100.0 * spread.lo, 100.0 * spread.hi)
        };
        let ranges = list(&of.iter().map(percent).collect::<Vec<_>>());
        let told = if of.iter().all(|spread| gain.lo > spread.hi) {
            "more than"
        } else if of.iter().all(|spread| gain.hi < spread.lo) {
            "less than"
        } else {
            "which can't be told from"
        };
        let _ = write!(
            said,
            "; binding adds {:.1} [{:.1}, {:.1}] % to what a sum of concepts explains there, {told} what it adds in these ({ranges})",
            100.0 * gain.estimate,
            100.0 * gain.lo,
            100.0 * gain.hi
        );
    }
    said.push('.');
    Some(said)
}

/// A number beside where those of untrained models lie.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Against {
    More,
    Fewer,
    Same,
}

/// More or fewer than what every kind of control leads to expect of another model.
fn against<'a>(number: usize, mut controls: impl Iterator<Item = &'a Spread> + Clone) -> Against {
    let number = number as f64;
    if controls.clone().all(|spread| number > spread.hi) {
        Against::More
    } else if controls.all(|spread| number < spread.lo) {
        Against::Fewer
    } else {
        Against::Same
    }
}

/// `1,571 [1,540, 1,600]` without the commas.
fn range(spread: &Spread) -> String {
    if spread.lo.is_finite() {
        format!("{:.0} [{:.0}, {:.0}]", spread.mean, spread.lo, spread.hi)
    } else {
        format!("{:.0}", spread.mean)
    }
}
