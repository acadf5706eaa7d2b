//! Scenes by design: the study's toys, the full factorial, swap twins, and random scenes for training.
//!
//! Everything is drawn from a [`World`] that [`World::check`] accepts and from a set of [`Pairs`], so that combinations of
//! shape and colour can be held out. Scene `i` of a seed is the same whatever the number of scenes or threads.

use super::{Object, Pairs, Scene, Shape, World};
use crate::{Error, Result, random};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Two scenes with the same bag of concepts: same shapes, sizes and places, the two colours exchanged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SwapTwin {
    /// Two objects of different shapes, colours and positions.
    pub scene: Scene,
    /// The same with the colours exchanged.
    pub twin: Scene,
}

/// The toy scenes of arXiv 2508.16652: `count` scenes that cycle through the numbers of `objects`, no value of any
/// factor twice in a scene.
///
/// # Errors
/// When `world` is refused, or has too few values (or `pairs` too few combinations) for that many objects.
pub fn toy(
    world: &World,
    pairs: &Pairs,
    objects: RangeInclusive<usize>,
    count: usize,
    seed: u64,
) -> Result<Vec<Scene>> {
    check_toy(world, &objects)?;
    (0..count).map(|i| toy_scene(world, pairs, &objects, i, seed)).collect()
}

/// Whether `world` has values enough for toy scenes of that many `objects`.
pub(super) fn check_toy(world: &World, objects: &RangeInclusive<usize>) -> Result<()> {
    world.check()?;
    let values = world.shapes.len().min(world.colors.len()).min(world.positions.len());
    let (fewest, most) = (*objects.start(), *objects.end());
    if fewest == 0 || fewest > most || most > values {
        let expected = format!("1 to {values}, the fewest values of a factor, since none may repeat in a scene");
        return Err(Error::mismatch("toy scenes: objects", expected, format!("{fewest} to {most}")));
    }
    Ok(())
}

/// Scene `i` of [`toy`], of arguments that [`check_toy`] accepts.
pub(super) fn toy_scene(
    world: &World,
    pairs: &Pairs,
    objects: &RangeInclusive<usize>,
    i: usize,
    seed: u64,
) -> Result<Scene> {
    let rng = &mut random::stream(seed, "toy", i as u64);
    let number = objects.start() + i % (objects.end() - objects.start() + 1);
    let drawn = pairs.draw_distinct(number, rng);
    if drawn.len() < number {
        let expected = format!("{number} in which no shape and no colour comes twice");
        return Err(Error::mismatch("combinations of shape and colour", expected, drawn.len()));
    }
    let places = distinct(world.positions.len(), number, rng);
    Ok(Scene { objects: drawn.iter().zip(places).map(|(&pair, at)| place(world, pair, at, rng)).collect() })
}

/// Every combination of `pairs` at every position as a single object, `repeats` times, each time placed anew.
///
/// Order: repeat, shape, colour, position, the last fastest.
///
/// # Errors
/// When `world` is refused.
pub fn factorial(world: &World, pairs: &Pairs, repeats: usize, seed: u64) -> Result<Vec<Scene>> {
    world.check()?;
    let count = repeats * pairs.as_slice().len() * world.positions.len();
    Ok((0..count).map(|i| factorial_scene(world, pairs, i, seed)).collect())
}

/// Scene `i` of [`factorial`], of a world that was checked and pairs that are not empty.
pub(super) fn factorial_scene(world: &World, pairs: &Pairs, i: usize, seed: u64) -> Scene {
    let positions = world.positions.len();
    let pair = pairs.as_slice()[i / positions % pairs.as_slice().len()];
    let rng = &mut random::stream(seed, "factorial", i as u64);
    Scene { objects: vec![place(world, pair, i % positions, rng)] }
}

/// `count` pairs of two-object scenes that differ in nothing but which colour belongs to which shape.
///
/// The combinations of each scene come from `scenes`, those of its twin from `twins`: seen ones in both, or held-out ones in
/// the scene and any in its twin.
///
/// # Errors
/// When `world` is refused, has a single position, or no two combinations can be swapped.
pub fn swap_twins(world: &World, scenes: &Pairs, twins: &Pairs, count: usize, seed: u64) -> Result<Vec<SwapTwin>> {
    let choices = swappable(world, scenes, twins)?;
    if choices.is_empty() && count > 0 {
        let expected = "two of different shape and colour whose swap is allowed as well";
        return Err(Error::mismatch("combinations of shape and colour", expected, "none"));
    }
    Ok((0..count).map(|i| swap_twin(world, &choices, i, seed)).collect())
}

/// Two combinations of shape and colour.
pub(super) type Choice = ((Shape, usize), (Shape, usize));

/// Every two of `scenes` whose swap is in `twins`.
pub(super) fn swappable(world: &World, scenes: &Pairs, twins: &Pairs) -> Result<Vec<Choice>> {
    world.check()?;
    if world.positions.len() < 2 {
        return Err(Error::mismatch("world: positions", "two or more, for swap twins", world.positions.len()));
    }
    let swappable = |&(a, b): &Choice| a.0 != b.0 && a.1 != b.1 && twins.contains(a.0, b.1) && twins.contains(b.0, a.1);
    let from = scenes.as_slice();
    Ok(from.iter().flat_map(|&a| from.iter().map(move |&b| (a, b))).filter(swappable).collect())
}

/// Twin `i` of [`swap_twins`], of `choices` that are not empty.
pub(super) fn swap_twin(world: &World, choices: &[Choice], i: usize, seed: u64) -> SwapTwin {
    let rng = &mut random::stream(seed, "swap twins", i as u64);
    let (a, b) = choices[rng.random_range(0..choices.len())];
    let at = distinct(world.positions.len(), 2, rng);
    let scene = Scene { objects: vec![place(world, a, at[0], rng), place(world, b, at[1], rng)] };
    SwapTwin { twin: scene.with_colors_swapped(0, 1), scene }
}

/// A scene for training: `objects` objects at different positions, each of a combination drawn from `pairs` on its own, so
/// that shapes and colours may repeat.
///
/// `world` is taken as checked: one call per image of a training step has to be fast.
///
/// # Errors
/// When `objects` is 0 or more than there are positions, or `pairs` is empty.
pub fn random(world: &World, pairs: &Pairs, objects: usize, rng: &mut impl Rng) -> Result<Scene> {
    if objects == 0 || objects > world.positions.len() {
        let expected = format!("1 to {}, the number of positions", world.positions.len());
        return Err(Error::mismatch("random scene: objects", expected, objects));
    }
    let places = distinct(world.positions.len(), objects, rng);
    let objects = places.into_iter().map(|at| Ok(place(world, pairs.draw(rng)?, at, rng))).collect::<Result<_>>()?;
    Ok(Scene { objects })
}

/// `count` different numbers below `below`, in random order.
fn distinct(below: usize, count: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..below).collect();
    numbers.partial_shuffle(rng, count).0.to_vec()
}

fn place(world: &World, (shape, color): (Shape, usize), position: usize, rng: &mut impl Rng) -> Object {
    let [smallest, largest] = world.size;
    let mut shifted = |centre: f64| decimal(rng.random_range(-world.jitter..=world.jitter) + centre);
    let (x, y) = (shifted(world.positions[position].x), shifted(world.positions[position].y));
    Object { shape, color, position, x, y, size: decimal(rng.random_range(smallest..=largest)) }
}

/// To nine decimals, which JSON carries without loss.
fn decimal(share: f64) -> f64 {
    (share * 1e9).round() / 1e9
}
