//! Which units may carry a binding: all of them estimated, the strongest and some others patched exactly, and what may have been missed.

use super::Direction;
use super::chart::shown;
use super::effect::{deviation, mean};
use super::exact::Exact;
use super::map::FEWEST;
use super::node::{Family, Node};
use super::screen::Estimate;
use crate::measure::columns::{Column, write_columns};
use crate::measure::correlation::pearson;
use crate::measure::{Confidence, Interval};
use crate::model::Tower;
use crate::{Error, Result, random};
use rand::seq::SliceRandom;
use serde::Serialize;
use std::path::Path;

/// Strongest nodes that are listed.
const LISTED: usize = 10;

/// Why a node was patched exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Chosen {
    /// Its estimate is among the largest.
    Top,
    /// It was drawn from the others.
    Sample,
}

/// The nodes of one tower.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitMap {
    /// Which tower.
    pub tower: &'static str,
    /// The world that was shown, where it comes with the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<&'static str>,
    /// Which of the twins is patched.
    pub direction: Direction,
    /// Twins that were patched.
    pub twins: usize,
    /// Why others were not.
    pub refused: Vec<String>,
    /// The standard deviation over twins of the clean margin: all effects are in it.
    pub spread: f64,
    /// Hidden units; queries and keys of heads.
    pub families: Vec<FamilyMap>,
    /// Every node, by layer.
    #[serde(skip)]
    pub nodes: Vec<NodeEffect>,
}

/// Nodes that are ranked among one another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FamilyMap {
    /// Which.
    pub family: Family,
    /// How many were estimated.
    pub nodes: usize,
    /// Exact effects of those that were drawn at random from outside the strongest: mean, smallest and largest.
    pub sampled: Option<Interval>,
    /// The largest of these in size.
    pub largest_sampled: f64,
    /// With this confidence, the largest share of all nodes outside the strongest whose effects are larger in size.
    pub missed_at_most: f64,
    /// As asked for.
    pub confidence: f64,
    /// Correlation of estimates and effects, of the strongest and of those at random; `None` where one is the same of all.
    pub agreement: [Option<f64>; 2],
    /// Those that were patched exactly: the strongest by effect, then those at random by effect.
    pub exact: Vec<NodeEffect>,
}

/// What is known of a node.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NodeEffect {
    /// The layer, from 0.
    pub layer: usize,
    /// The node, at all tokens.
    pub node: Node,
    /// Its effect by gradients, in spreads.
    pub estimate: f64,
    /// Why it was patched, if it was.
    pub chosen: Option<Chosen>,
    /// Its exact effect, in spreads.
    pub effect: Option<Interval>,
    /// Values that the patches changed, of all twins together.
    pub changed: usize,
}

/// Of either family the `top` nodes with the largest estimates, and as many of the others at random: indices of `estimates`.
pub(super) fn choose(estimates: &[Estimate], top: usize, seed: u64) -> Vec<(usize, Chosen)> {
    let mut chosen = Vec::new();
    for (stream, family) in [Family::Units, Family::QueriesAndKeys].into_iter().enumerate() {
        let mut those: Vec<usize> = (0..estimates.len()).filter(|k| estimates[*k].node.family() == family).collect();
        those.sort_by(|a, b| estimates[*b].estimate.abs().total_cmp(&estimates[*a].estimate.abs()));
        let mut others = those.split_off(top.min(those.len()));
        others.sort_unstable();
        let drawn = others.partial_shuffle(&mut random::stream(seed, "nodes at random", stream as u64), top).0;
        chosen.extend(those.into_iter().map(|k| (k, Chosen::Top)));
        chosen.extend(drawn.iter().map(|k| (*k, Chosen::Sample)));
    }
    chosen
}

impl UnitMap {
    /// Of all estimates, and the exact effects of those that were `chosen`, in their order.
    ///
    /// # Errors
    /// Of fewer than four twins, or when all clean margins are the same.
    pub(super) fn of(
        (estimates, chosen, exact): (&[Estimate], &[(usize, Chosen)], &[Exact]),
        clean: &[f64],
        (tower, direction): (Tower, Direction),
        refused: Vec<String>,
        confidence: Confidence,
    ) -> Result<Self> {
        let n = clean.len();
        if n < FEWEST {
            return Err(Error::mismatch("trace", format!("{FEWEST} twins or more"), n));
        }
        let spread = deviation(clean, clean.iter().sum::<f64>() / n as f64);
        if spread <= f64::EPSILON {
            return Err(Error::mismatch("margins of the clean twins", "margins that differ", "the same of all"));
        }
        let plain = |e: &Estimate| NodeEffect {
            layer: e.layer,
            node: e.node,
            estimate: e.estimate / spread,
            chosen: None,
            effect: None,
            changed: 0,
        };
        let mut nodes: Vec<NodeEffect> = estimates.iter().map(plain).collect();
        for ((k, why), exact) in chosen.iter().zip(exact) {
            let effects: Vec<f64> = exact.effects.iter().map(|effect| effect / spread).collect();
            let node = &mut nodes[*k];
            (node.chosen, node.effect, node.changed) = (Some(*why), mean(&effects, confidence)?, exact.changed);
        }
        let families = [Family::Units, Family::QueriesAndKeys].map(|family| FamilyMap::of(family, &nodes, confidence));
        let tower = if tower == Tower::Vision { "vision" } else { "text" };
        Ok(Self { tower, world: None, direction, twins: n, refused, spread, families: families.into(), nodes })
    }

    /// What was found, for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let (tower, twins, world) = (self.tower, self.twins, shown(self.world));
        let mut lines = vec![format!("{tower} tower, {twins} twins{world} ({}), effects in spreads", self.direction)];
        if !self.refused.is_empty() {
            lines.push(format!("{} twins are left out: {}", self.refused.len(), self.refused[0]));
        }
        self.families.iter().for_each(|family| lines.extend(family.lines()));
        lines
    }
}

/// Whether the effect is that of the strongest or of the sample.
fn of_kind(exact: &[NodeEffect], why: Chosen) -> impl Iterator<Item = (f64, f64)> + Clone {
    let those = exact.iter().filter(move |node| node.chosen == Some(why));
    those.filter_map(|node| node.effect.map(|effect| (node.estimate, effect.estimate)))
}

impl FamilyMap {
    fn of(family: Family, nodes: &[NodeEffect], confidence: Confidence) -> Self {
        let those = || nodes.iter().filter(move |node| node.node.family() == family);
        let mut exact: Vec<NodeEffect> = those().filter(|node| node.effect.is_some()).copied().collect();
        let size = |node: &NodeEffect| node.effect.map_or(0.0, |effect| effect.estimate.abs());
        exact.sort_by(|a, b| {
            let first = |node: &NodeEffect| node.chosen == Some(Chosen::Sample);
            first(a).cmp(&first(b)).then(size(b).total_cmp(&size(a)))
        });
        let sample: Vec<f64> = of_kind(&exact, Chosen::Sample).map(|(_, effect)| effect).collect();
        let sampled = (!sample.is_empty()).then(|| Interval {
            estimate: sample.iter().sum::<f64>() / sample.len() as f64,
            lo: sample.iter().copied().fold(f64::INFINITY, f64::min),
            hi: sample.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        });
        let (count, top) = (those().count(), of_kind(&exact, Chosen::Top).count());
        let agreement = [Chosen::Top, Chosen::Sample].map(|why| {
            let (estimates, effects): (Vec<f64>, Vec<f64>) = of_kind(&exact, why).unzip();
            pearson(&estimates, &effects).filter(|r| r.is_finite())
        });
        Self {
            family,
            nodes: count,
            sampled,
            largest_sampled: sample.iter().map(|x| x.abs()).fold(0.0, f64::max),
            missed_at_most: missed_at_most(count - top, sample.len(), confidence),
            confidence: confidence.level(),
            agreement,
            exact,
        }
    }

    fn lines(&self) -> Vec<String> {
        let name = match self.family {
            Family::Units => "hidden units",
            Family::QueriesAndKeys => "queries and keys of heads",
        };
        let top = of_kind(&self.exact, Chosen::Top).count();
        let sample = self.exact.len() - top;
        let mut lines = vec![
            String::new(),
            format!("{name}: {} screened, {top} strongest and {sample} others patched", self.nodes),
            format!("{:<24}{:>9}{:>9}  interval", "", "estimate", "effect"),
        ];
        for node in self.exact.iter().take(top.min(LISTED)) {
            let Some(effect) = node.effect else { continue };
            let name = format!("layer {} {}", node.layer, node.node);
            let interval = format!("[{:+.4}, {:+.4}]", effect.lo, effect.hi);
            lines.push(format!("{name:<24}{:>+9.4}{:>+9.4}  {interval}", node.estimate, effect.estimate));
        }
        if let Some(sampled) = self.sampled {
            let range = format!("[{:+.4}, {:+.4}]", sampled.lo, sampled.hi);
            lines.push(format!("{:<33}{:>+9.4}  {range} (least, most)", "others, mean", sampled.estimate));
            lines.push(format!(
                "with {:.0} % confidence at most {:.1} % of the {} others exceed {:.4}",
                100.0 * self.confidence,
                100.0 * self.missed_at_most,
                self.nodes - top,
                self.largest_sampled
            ));
        }
        let said = |r: Option<f64>| r.map_or("-".to_owned(), |r| format!("{r:.2}"));
        lines.push(format!(
            "estimates and effects: r {} (strongest), {} (others)",
            said(self.agreement[0]),
            said(self.agreement[1])
        ));
        lines
    }
}

/// With this confidence, the largest share of `others` that may exceed the largest of `sample` that were drawn from them.
///
/// If a share s did, none of them would be among the sample with probability (1 - s)^sample.
fn missed_at_most(others: usize, sample: usize, confidence: Confidence) -> f64 {
    if sample >= others {
        return 0.0;
    }
    if sample == 0 {
        return 1.0;
    }
    1.0 - (1.0 - confidence.level()).powf(1.0 / sample as f64)
}

/// Writes `units.parquet`: a row a node, of `towers` one after the other; in one step.
///
/// Columns `tower` (text), `layer` (u32), `node` (text), `estimate`, `effect`, `lo`, `hi`, `null_mean`, `null_lo`, `null_hi` (f64, null where
/// missing; the null is what nodes at random do: mean, least, most), `chosen` (text, null where it wasn't patched), `changed` (u32).
///
/// # Errors
/// When it cannot be written.
pub fn write_units(path: &Path, towers: &[UnitMap]) -> Result<()> {
    write_columns(path, &columns(None, &[]), towers.iter().map(|tower| columns(Some(tower), &tower.nodes)))
}

fn columns(tower: Option<&UnitMap>, nodes: &[NodeEffect]) -> Vec<Column> {
    let rows = nodes.iter();
    let effect = |end: fn(Interval) -> f64| move |node: &NodeEffect| node.effect.map(end);
    let null = |end: fn(Interval) -> f64| {
        move |node: &NodeEffect| {
            let family = tower?.families.iter().find(|family| family.family == node.node.family())?;
            node.effect.and(family.sampled).map(end)
        }
    };
    let number = |name: &str, of: &dyn Fn(&NodeEffect) -> Option<f64>| Column::number(name, rows.clone().map(of));
    let chosen = |node: &NodeEffect| {
        node.chosen.map(|chosen| if chosen == Chosen::Top { "top".to_owned() } else { "sample".to_owned() })
    };
    vec![
        Column::text("tower", rows.clone().map(|_| tower.map_or("", |tower| tower.tower))),
        Column::count("layer", rows.clone().map(|node| node.layer)),
        Column::text("node", rows.clone().map(|node| node.node.to_string())),
        number("estimate", &|node| Some(node.estimate)),
        number("effect", &effect(|x| x.estimate)),
        number("lo", &effect(|x| x.lo)),
        number("hi", &effect(|x| x.hi)),
        number("null_mean", &null(|x| x.estimate)),
        number("null_lo", &null(|x| x.lo)),
        number("null_hi", &null(|x| x.hi)),
        Column::optional_text("chosen", rows.clone().map(chosen)),
        Column::count("changed", rows.map(|node| node.changed)),
    ]
}

#[cfg(test)]
mod tests {
    use super::missed_at_most;
    use crate::Result;
    use crate::measure::Confidence;

    #[test]
    fn what_may_be_missed_is_what_a_sample_could_have_missed() -> Result<()> {
        let confidence = Confidence::new(0.95)?;
        // The rule of three: none of 59 says that at most 5 % do.
        assert!((missed_at_most(10_000, 59, confidence) - 0.0495).abs() < 1e-3);
        assert!(
            missed_at_most(5, 5, confidence).abs() < 1e-12 && (missed_at_most(5, 0, confidence) - 1.0).abs() < 1e-12
        );
        Ok(())
    }
}
