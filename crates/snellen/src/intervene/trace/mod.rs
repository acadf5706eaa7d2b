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
use crate::progress::Progress;
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
    /// Token groups; none for all that the twins have.
    pub groups: Vec<Tokens>,
    /// Which of the twins is patched.
    pub direction: Direction,
    /// Of the intervals.
    pub confidence: Confidence,
    /// Of scenes, wordings, other scenes and signs.
    pub seed: u64,
}

/// Told which stage begins; gives who is told how far it has come.
pub type Begin<'a> = &'a dyn Fn(&str) -> Box<dyn Progress + 'a>;

/// The maps of a model's towers.
///
/// # Errors
/// When the model or the world has no such thing, a group is empty in every twin, no captions of twins are of equal length (of the text
/// tower), and [`Error::Interrupted`](crate::Error::Interrupted).
pub fn trace(model: &Model, config: &TraceConfig, begin: Begin<'_>) -> Result<Vec<TowerMap>> {
    let twins = Twins::draw(&config.world, config.twins, config.seed)?;
    let one = |tower: &Tower| {
        let (pairs, refused) = twins.of(model, *tower)?;
        let has = pairs.groups(&model.config);
        // A group that was asked for by name is an error where it isn't; others are in the map with a note.
        let groups = if config.groups.is_empty() { has } else { asked(&config.groups, &has, *tower)? };
        let plan = Plan {
            parts: config.parts.clone(),
            groups,
            direction: config.direction,
            nulls: config.nulls,
            seed: config.seed,
        };
        let stage = if *tower == Tower::Vision { "patching images" } else { "patching captions" };
        let swept = sweep(&model.towers, &model.config, &pairs, &plan, begin(stage).as_ref())?;
        let layers = pairs::shape(&model.config, *tower)?.layers;
        TowerMap::of(&swept, (*tower, layers, config.direction), refused, (config.confidence, config.seed))
    };
    config.towers.iter().map(one).collect()
}

/// All hidden units of a model's towers, and all queries and keys of their heads, screened by gradients; of either the `top` strongest, and
/// as many others at random, patched exactly.
///
/// # Errors
/// As [`trace`].
pub fn trace_units(model: &Model, config: &TraceConfig, top: usize, begin: Begin<'_>) -> Result<Vec<UnitMap>> {
    let twins = Twins::draw(&config.world, config.twins, config.seed)?;
    let one = |tower: &Tower| {
        let (pairs, refused) = twins.of(model, *tower)?;
        let (towers, direction) = (&model.towers, config.direction);
        let estimates = screen(towers, &model.config, &pairs, direction, begin("screening units").as_ref())?;
        let chosen = units::choose(&estimates, top, config.seed);
        let nodes: Vec<(usize, Node)> = chosen.iter().map(|(k, _)| (estimates[*k].layer, estimates[*k].node)).collect();
        let patched = exact(towers, &model.config, &pairs, (&nodes, direction), begin("patching units").as_ref())?;
        let clean: Vec<usize> = (0..pairs.len()).map(|i| 2 * i).collect();
        let mut margins = Vec::with_capacity(pairs.len());
        for (first, rows) in clean.chunks(TOGETHER).enumerate() {
            let embeds = pairs.input.rows(rows).embed(towers, &mut Tape::off(), &mut ())?;
            let each = embeds.data().chunks(embeds.width()).enumerate();
            margins.extend(each.map(|(k, embedding)| pairs.margin(first * TOGETHER + k, embedding)));
        }
        UnitMap::of((&estimates, &chosen, &patched), &margins, (*tower, direction), refused, config.confidence)
    };
    config.towers.iter().map(one).collect()
}

fn asked(groups: &[Tokens], has: &[Tokens], tower: Tower) -> Result<Vec<Tokens>> {
    let known = |group: &Tokens| has.contains(group) || *group == Tokens::Patches && tower == Tower::Vision;
    match groups.iter().find(|group| !known(group)) {
        Some(group) => {
            let names: Vec<String> = has.iter().map(ToString::to_string).collect();
            let which = if tower == Tower::Vision { "vision" } else { "text" };
            Err(crate::Error::mismatch(
                format!("groups of tokens of the {which} tower"),
                names.join(", "),
                format!("`{group}`"),
            ))
        }
        None => Ok(groups.to_vec()),
    }
}
