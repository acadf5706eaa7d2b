//! The map: in which layers, heads and tokens of which tower a binding is carried.
//!
//! Swap twins are the same but for what is bound to what. [`trace`] patches one of them, place by place, with the values of the other:
//! every layer x part (residual stream, attention, MLP, each head) x token group. What the patch does to the swap margin is exact: the
//! forward goes on from it to the embedding. Prefixes are shared, and the patches of a layer are rows of one forward
//! (see `layer`). Each effect stands in spreads between twins, with an interval, beside the same patch from another scene.

mod chart;
mod effect;
mod exact;
mod layer;
mod map;
mod node;
mod pairs;
mod part;
mod picture;
mod prefix;
mod screen;
mod seen;
mod sweep;
mod twins;
mod units;

pub use exact::{Exact, exact};
pub use map::{CANNOT_MATTER, EMPTY, Entry, SAME, TowerMap, write_trace};
pub use node::{Family, Node};
pub use pairs::{Input, Pairs};
pub use part::{Direction, Part, PartKind};
pub use picture::picture;
pub use screen::{Estimate, screen};
pub use sweep::{Patched, Plan, Swept, sweep};
pub use twins::Twins;
pub use units::{Chosen, FamilyMap, NodeEffect, UnitMap, write_units};

use super::Tokens;
use crate::Result;
use crate::engine::Tape;
use crate::measure::Confidence;
use crate::model::{Model, Tower};
use crate::progress::{Progress, Stages};
use crate::scene::World;

/// Tokens of a forward that goes on, at most: more are cut into several.
const TOKENS: usize = 4096;

/// Rows of a plain forward.
const TOGETHER: usize = 64;

/// What is traced, and with what.
#[derive(Clone, Debug)]
pub struct TraceConfig {
    /// What scenes are made of.
    pub world: World,
    /// Swap twins.
    pub twins: usize,
    /// The first of them, beside whose patches stand the same from another scene.
    pub nulls: usize,
    /// Which towers.
    pub towers: Vec<Tower>,
    /// Of each layer.
    pub parts: Vec<PartKind>,
    /// Token groups, of two towers each those that it has; none for all that the twins have.
    pub groups: Vec<Tokens>,
    /// Which of the twins is patched.
    pub direction: Direction,
    /// Of the intervals.
    pub confidence: Confidence,
    /// Of scenes, wordings, other scenes and signs.
    pub seed: u64,
}

/// The maps of a model's towers.
///
/// # Errors
/// When the model or the world has no such thing, a group is empty in every twin, no captions of twins are of equal length (of the text
/// tower), and [`Error::Interrupted`](crate::Error::Interrupted).
pub fn trace(model: &Model, config: &TraceConfig, stages: &dyn Stages) -> Result<Vec<TowerMap>> {
    let (twins, world) = (Twins::draw(&config.world, config.twins, config.seed)?, config.world.name());
    let one = |tower: &Tower| {
        let progress = stages.begin(if *tower == Tower::Vision { "patching images" } else { "patching captions" });
        let mut found: Option<Swept> = None;
        let refused = twins.each((model, *tower), |pairs| {
            let done = found.as_ref().map_or(0, |found| found.clean.len());
            // A group that was asked for by name is an error where it isn't; others are in the map with a note.
            let has = pairs.groups(&model.config);
            let groups = if config.groups.is_empty() { has } else { asked(config, &has, *tower)? };
            let plan = Plan {
                parts: config.parts.clone(),
                groups,
                direction: config.direction,
                nulls: config.nulls.saturating_sub(done),
                seed: config.seed.wrapping_add(done as u64),
            };
            let further = Further { progress: progress.as_ref(), done, total: config.twins };
            let more = sweep(&model.towers, &model.config, pairs, &plan, &further)?;
            match &mut found {
                Some(found) => found.extend(more),
                found => *found = Some(more),
            }
            Ok(())
        })?;
        let layers = pairs::shape(&model.config, *tower)?.layers;
        let swept = found.ok_or_else(|| crate::Error::mismatch("trace", "twins", "none"))?;
        let map = TowerMap::of(&swept, (*tower, layers, config.direction), refused, (config.confidence, config.seed))?;
        Ok(TowerMap { world, ..map })
    };
    config.towers.iter().map(one).collect()
}

/// Progress of twins behind others.
struct Further<'a> {
    progress: &'a dyn Progress,
    done: usize,
    total: usize,
}

impl Progress for Further<'_> {
    fn advance(&self, done: usize, _: usize) {
        self.progress.advance(self.done + done, self.total);
    }

    fn is_cancelled(&self) -> bool {
        self.progress.is_cancelled()
    }
}

/// All hidden units of a model's towers, and all queries and keys of their heads, screened by gradients; of either the `top` strongest, and
/// as many others at random, patched exactly.
///
/// # Errors
/// As [`trace`].
pub fn trace_units(model: &Model, config: &TraceConfig, top: usize, stages: &dyn Stages) -> Result<Vec<UnitMap>> {
    let (twins, world) = (Twins::draw(&config.world, config.twins, config.seed)?, config.world.name());
    let one = |tower: &Tower| {
        let (towers, direction) = (&model.towers, config.direction);
        let mut estimates: Vec<Estimate> = Vec::new();
        let (mut done, mut margins) = (0, Vec::new());
        let progress = stages.begin("screening units");
        let refused = twins.each((model, *tower), |pairs| {
            let further = Further { progress: progress.as_ref(), done, total: config.twins };
            let more = screen(towers, &model.config, pairs, direction, &further)?;
            let share = pairs.len() as f64 / (done + pairs.len()) as f64;
            if estimates.is_empty() {
                estimates.clone_from(&more);
            }
            for (all, more) in estimates.iter_mut().zip(more) {
                all.estimate += share * (more.estimate - all.estimate);
                all.plain += share * (more.plain - all.plain);
            }
            margins.extend(clean_margins(model, pairs)?);
            done += pairs.len();
            Ok(())
        })?;
        drop(progress);
        let chosen = units::choose(&estimates, top, config.seed);
        let nodes: Vec<(usize, Node)> = chosen.iter().map(|(k, _)| (estimates[*k].layer, estimates[*k].node)).collect();
        let progress = stages.begin("patching units");
        let mut patched: Vec<Exact> = Vec::new();
        twins.each((model, *tower), |pairs| {
            let done = patched.first().map_or(0, |exact| exact.effects.len());
            let further = Further { progress: progress.as_ref(), done, total: config.twins };
            let more = exact(towers, &model.config, pairs, (&nodes, direction), &further)?;
            if patched.is_empty() {
                patched = more;
                return Ok(());
            }
            for (all, more) in patched.iter_mut().zip(more) {
                all.effects.extend(more.effects);
                all.changed += more.changed;
            }
            Ok(())
        })?;
        let found = (estimates.as_slice(), chosen.as_slice(), patched.as_slice());
        let map = UnitMap::of(found, &margins, (*tower, direction), refused, config.confidence)?;
        Ok(UnitMap { world, ..map })
    };
    config.towers.iter().map(one).collect()
}

fn clean_margins(model: &Model, pairs: &Pairs) -> Result<Vec<f64>> {
    let clean: Vec<usize> = (0..pairs.len()).map(|i| 2 * i).collect();
    let mut margins = Vec::with_capacity(pairs.len());
    for (part, rows) in clean.chunks(TOGETHER).enumerate() {
        let embeds = pairs.input.rows(rows).embed(&model.towers, &mut Tape::off(), &mut ())?;
        let each = embeds.data().chunks(embeds.width()).enumerate();
        margins.extend(each.map(|(k, embedding)| pairs.margin(part * TOGETHER + k, embedding)));
    }
    Ok(margins)
}

/// The groups that were asked for; of several towers those that are any of this one's.
fn asked(config: &TraceConfig, has: &[Tokens], tower: Tower) -> Result<Vec<Tokens>> {
    let known = |group: &Tokens| has.contains(group) || *group == Tokens::Patches && tower == Tower::Vision;
    let own: Vec<Tokens> = config.groups.iter().copied().filter(known).collect();
    if config.towers.len() > 1 && !own.is_empty() {
        return Ok(own);
    }
    match config.groups.iter().find(|group| !known(group)) {
        Some(group) => {
            let names: Vec<String> = has.iter().map(ToString::to_string).collect();
            let which = if tower == Tower::Vision { "vision" } else { "text" };
            Err(crate::Error::mismatch(
                format!("groups of tokens of the {which} tower"),
                names.join(", "),
                format!("`{group}`"),
            ))
        }
        None => Ok(own),
    }
}
