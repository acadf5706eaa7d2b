//! Twins beyond the swap of one factor: swaps of any two factors, and the foils of compositional benchmarks.
//!
//! A foil is made as a picture of its own, so every caption is right once and wrong once, and a reader of captions alone has nothing to
//! go by, which it has where foils are but texts (Hsieh et al., arXiv 2306.14610).

use super::generate::{SwapTwin, twinned};
use super::swappable::{Rule, swappable};
use super::{Combination, Combinations, Scene, World};
use crate::{Error, Result, random};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// How often objects are drawn until a foil can be made of them.
const TRIES: usize = 1 << 12;

/// What a foil changes, beside the swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Foil {
    /// One object of two has another value of this factor, one that neither has.
    Replaced(usize),
    /// One object of two has the other's value of this factor, so both share it (Auto-Comp, arXiv 2602.02043): `a red circle and a red
    /// square` for `a red circle and a blue square`.
    Repeated(usize),
    /// There is one more object than this many.
    Added(usize),
}

/// `count` pairs of two-object scenes whose objects differ in two factors, `pair`, and in nothing else that captions say, and that
/// exchange these values: which value of one goes with which of the other is all that differs.
///
/// The combinations of each scene come from `scenes`, those of its twin from `twins`.
///
/// # Errors
/// When `world` is refused or has no room for two, the factors are not two that captions say, or no two combinations can be swapped.
pub fn pair_twins(
    world: &World,
    pair: [usize; 2],
    scenes: &Combinations,
    twins: &Combinations,
    count: usize,
    seed: u64,
) -> Result<Vec<SwapTwin>> {
    let choices = swappable(world, pair[0], Rule::Pair(pair), scenes, twins)?;
    if choices.is_empty() && count > 0 {
        let expected = "two that differ in both factors alone, whose swap is allowed as well";
        return Err(Error::mismatch("combinations", expected, "none"));
    }
    let twin = |i: usize| {
        let rng = &mut random::stream(seed, "pair twins", i as u64);
        let drawn = choices.draw(rng);
        let change = |scene: &Scene| scene.swapped(pair[0], 0, 1).resized(scene, world);
        twinned(world, scenes, &drawn, rng, change)
    };
    Ok((0..count).map(twin).collect())
}

/// `count` scenes with their `foil`s: the twin is what the foil's caption says. No value comes twice in a scene that may not, but for
/// what [`Foil::Repeated`] repeats.
///
/// The combinations of each scene come from `scenes`, those of its twin from `twins`.
///
/// # Errors
/// When `world` is refused or has no room, the factor is none that captions say, or no such twins can be made.
pub fn foil_twins(
    world: &World,
    foil: Foil,
    scenes: &Combinations,
    twins: &Combinations,
    count: usize,
    seed: u64,
) -> Result<Vec<SwapTwin>> {
    world.check()?;
    let most = if let Foil::Added(objects) = foil { objects.saturating_add(1) } else { 2 };
    if most < 2 || most > world.room() {
        let expected = format!("1 to {}, so that one more has room", world.room().saturating_sub(1));
        return Err(Error::mismatch("foils: objects", expected, most - 1));
    }
    if let Foil::Replaced(f) | Foil::Repeated(f) = foil
        && !scenes.factors().contains(&f)
    {
        return Err(Error::mismatch("foils: factor", "one that captions say", f));
    }
    (0..count).map(|i| foil_twin(world, foil, [scenes, twins], i, seed)).collect()
}

/// Twin `i` of [`foil_twins`].
fn foil_twin(world: &World, foil: Foil, [scenes, twins]: [&Combinations; 2], i: usize, seed: u64) -> Result<SwapTwin> {
    let rng = &mut random::stream(seed, "foils", i as u64);
    for _ in 0..TRIES {
        match foil {
            Foil::Added(objects) => {
                let drawn = scenes.draw_distinct(objects + 1, rng);
                let drawn: Vec<&Combination> = drawn.iter().collect();
                if drawn.len() < objects + 1 {
                    break;
                }
                let fewer = |scene: &Scene| Scene { objects: scene.objects[..objects].to_vec(), ..scene.clone() };
                let SwapTwin { scene, twin } = twinned(world, scenes, &drawn, rng, fewer);
                return Ok(SwapTwin { scene: twin, twin: scene });
            }
            Foil::Replaced(f) | Foil::Repeated(f) => {
                let drawn = scenes.draw_distinct(2, rng);
                let [a, b] = drawn.as_slice() else { break };
                let k = rng.random_range(0..2);
                let values = replacements(world, foil, f, scenes.factors(), [a, b], k, twins);
                if !values.is_empty() {
                    let value = values[rng.random_range(0..values.len())];
                    let change = |scene: &Scene| scene.replaced(f, k, value).resized(scene, world);
                    return Ok(twinned(world, scenes, &[a, b], rng, change));
                }
            }
        }
    }
    let expected = format!("objects of which a foil can be made ({foil:?})");
    Err(Error::mismatch("combinations", expected, format!("none in {TRIES} tries")))
}

/// The values of factor `f` that object `k` of two can take for `foil`, so that its combination is one of `allowed`.
fn replacements(
    world: &World,
    foil: Foil,
    f: usize,
    factors: &[usize],
    both: [&Combination; 2],
    k: usize,
    allowed: &Combinations,
) -> Vec<u32> {
    let Some(at) = factors.iter().position(|own| *own == f) else { return Vec::new() };
    let (own, other) = (both[k], both[1 - k]);
    let fits = |value: &u32| {
        let repeats = *value == other[at];
        let mut changed = own.clone();
        changed[at] = *value;
        *value != own[at]
            && repeats == matches!(foil, Foil::Repeated(_))
            && changed != *other
            && allowed.contains(&changed)
    };
    (0..world.factors[f].values.len() as u32).filter(fits).collect()
}
