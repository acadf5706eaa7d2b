//! Scenes by design: the study's toys, the full factorial, swap twins, and random scenes for training.
//!
//! Everything is drawn from a [`World`] that [`World::check`] accepts and from a set of [`Combinations`] of the factors that captions
//! say, so that some can be held out. Values of other factors are drawn on their own, and so are free places. Scene `i` of a seed is
//! the same whatever the number of scenes or threads.

use super::free::{settle, sizes};
use super::object::decimal;
use super::swappable::{Rule, Swappable, swappable};
use super::{Combination, Combinations, Object, Scene, World};
use crate::{Error, Result, random};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Two scenes with the same bag of concepts: two objects, and the same with their values of one factor exchanged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SwapTwin {
    /// Two objects that differ in all that captions say but what may repeat, and in place; of [`foils`](super::foils) and
    /// [`relation`](super::relation) what these say.
    pub scene: Scene,
    /// The same with the values of one factor exchanged, or its other foil.
    pub twin: Scene,
}

/// The toy scenes of arXiv 2508.16652: `count` scenes that cycle through the numbers of `objects`, no value of any
/// factor twice in a scene.
///
/// # Errors
/// When `world` is refused, or has too few values (or `combinations` too few combinations) for that many objects.
pub fn toy(
    world: &World,
    combinations: &Combinations,
    objects: RangeInclusive<usize>,
    count: usize,
    seed: u64,
) -> Result<Vec<Scene>> {
    check_toy(world, &objects)?;
    (0..count).map(|i| toy_scene(world, combinations, &objects, i, seed)).collect()
}

/// The most objects in a scene of `world` in which no value of any factor comes twice that may not.
pub fn most_objects(world: &World) -> usize {
    let bound = world.factors.iter().enumerate().filter(|(f, factor)| !factor.repeats && world.places() != Some(*f));
    bound.map(|(_, factor)| factor.values.len()).min().map_or(world.room(), |values| values.min(world.room()))
}

/// Whether `world` has values and room enough for toy scenes of that many `objects`.
pub(super) fn check_toy(world: &World, objects: &RangeInclusive<usize>) -> Result<()> {
    world.check()?;
    let values = most_objects(world);
    let (fewest, most) = (*objects.start(), *objects.end());
    if fewest == 0 || fewest > most || most > values {
        let expected = format!("1 to {values}, so that each has a place and no value comes twice that may not");
        return Err(Error::mismatch("toy scenes: objects", expected, format!("{fewest} to {most}")));
    }
    Ok(())
}

/// Scene `i` of [`toy`], of arguments that [`check_toy`] accepts.
pub(super) fn toy_scene(
    world: &World,
    combinations: &Combinations,
    objects: &RangeInclusive<usize>,
    i: usize,
    seed: u64,
) -> Result<Scene> {
    let rng = &mut random::stream(seed, "toy", i as u64);
    let number = objects.start() + i % (objects.end() - objects.start() + 1);
    let drawn = combinations.draw_distinct(number, rng);
    if drawn.len() < number {
        let expected = format!("{number} in which no value comes twice");
        return Err(Error::mismatch("combinations", expected, drawn.len()));
    }
    let drawn: Vec<&Combination> = drawn.iter().collect();
    let objects = arranged(world, combinations, &drawn, rng);
    let room = sizes(&objects);
    Ok(settled(world, objects, &room, rng))
}

/// Every combination at every place (anywhere, where these are free) as a single object, `repeats` times, each time placed anew.
///
/// Order: repeat, combination, place, the last fastest.
///
/// # Errors
/// When `world` is refused.
pub fn factorial(world: &World, combinations: &Combinations, repeats: usize, seed: u64) -> Result<Vec<Scene>> {
    world.check()?;
    let count = repeats * combinations.as_slice().len() * places(world);
    Ok((0..count).map(|i| factorial_scene(world, combinations, i, seed)).collect())
}

/// Scene `i` of [`factorial`], of a world that was checked and combinations that are not empty.
pub(super) fn factorial_scene(world: &World, combinations: &Combinations, i: usize, seed: u64) -> Scene {
    let places = places(world);
    let values = &combinations.as_slice()[i / places % combinations.as_slice().len()];
    let rng = &mut random::stream(seed, "factorial", i as u64);
    let others = others(world, combinations, 1, rng).swap_remove(0);
    let objects = vec![place(world, (combinations, values), i % places, others, rng)];
    let room = sizes(&objects);
    settled(world, objects, &room, rng)
}

/// `count` pairs of two-object scenes that differ in nothing but which object has which value of `factor` (and what follows from it:
/// of a factor of sizes, the sizes). The two objects differ in `factor` and in all that may not repeat in a scene, and share what may.
///
/// The combinations of each scene come from `scenes`, those of its twin from `twins`: seen ones in both, or held-out ones in
/// the scene and any in its twin.
///
/// # Errors
/// When `world` is refused, has no room for two, `factor` is none that captions say, or no two combinations can be swapped.
pub fn swap_twins(
    world: &World,
    factor: usize,
    scenes: &Combinations,
    twins: &Combinations,
    count: usize,
    seed: u64,
) -> Result<Vec<SwapTwin>> {
    let choices = swappable(world, factor, Rule::Design, scenes, twins)?;
    if choices.is_empty() && count > 0 {
        let expected = "two that differ in every value that may not repeat, whose swap is allowed as well";
        return Err(Error::mismatch("combinations", expected, "none"));
    }
    Ok((0..count).map(|i| swap_twin(world, &choices, i, seed)).collect())
}

/// Twin `i` of [`swap_twins`], of `choices` that are not empty.
pub(super) fn swap_twin(world: &World, choices: &Swappable, i: usize, seed: u64) -> SwapTwin {
    let rng = &mut random::stream(seed, "swap twins", i as u64);
    let drawn = choices.draw(rng);
    let exchanged = |scene: &Scene| scene.swapped(choices.factor(), 0, 1).resized(scene, world);
    twinned(world, choices.combinations(), &drawn, rng, exchanged)
}

/// A scene of the combinations `drawn`, and what `change` makes of it, whose objects are the first of the scene's and have room too.
pub(super) fn twinned(
    world: &World,
    combinations: &Combinations,
    drawn: &[&Combination],
    rng: &mut impl Rng,
    change: impl Fn(&Scene) -> Scene,
) -> SwapTwin {
    let objects = arranged(world, combinations, drawn, rng);
    let mut room = sizes(&objects);
    let changed = change(&Scene::from(objects.clone()));
    room.iter_mut().zip(&changed.objects).for_each(|(room, object)| *room = room.max(object.size));
    let scene = settled(world, objects, &room, rng);
    SwapTwin { twin: change(&scene), scene }
}

/// Objects of the combinations `drawn`, at places; where these are free, [`settled`] comes later.
pub(super) fn arranged(
    world: &World,
    combinations: &Combinations,
    drawn: &[&Combination],
    rng: &mut impl Rng,
) -> Vec<Object> {
    let places = spots(world, drawn.len(), rng);
    let others = others(world, combinations, drawn.len(), rng);
    let drawn = drawn.iter().zip(places).zip(others);
    drawn.map(|((values, at), others)| place(world, (combinations, values), at, others, rng)).collect()
}

/// The scene of `objects`: placed with as much `room` each, where places are free, before a background of its own, where the world has
/// one.
fn settled(world: &World, mut objects: Vec<Object>, room: &[f64], rng: &mut impl Rng) -> Scene {
    settle(world, &mut objects, room, rng);
    Scene { objects, background: backdrop(world, rng) }
}

/// The seed of a background.
pub(super) fn backdrop(world: &World, rng: &mut impl Rng) -> u32 {
    if world.background.is_plain() { 0 } else { rng.random_range(1..=u32::MAX) }
}

/// A scene for training: `objects` objects at different places, each of a combination drawn from `combinations` on its own, so
/// that values may repeat.
///
/// `world` is taken as checked: one call per image of a training step has to be fast.
///
/// # Errors
/// When `objects` is 0 or more than there is room for, or `combinations` is empty.
pub fn random(world: &World, combinations: &Combinations, objects: usize, rng: &mut impl Rng) -> Result<Scene> {
    let room = world.room();
    if objects == 0 || objects > room {
        let expected = format!("1 to {room}, the number of places");
        return Err(Error::mismatch("random scene: objects", expected, objects));
    }
    let at = spots(world, objects, rng);
    let mut placed = Vec::with_capacity(objects);
    for at in at {
        let values = combinations.draw(rng)?;
        let other = |f: usize, rng: &mut _| (f, one(world, f, rng));
        let others = free(world, combinations).map(|f| other(f, rng)).collect();
        placed.push(place(world, (combinations, values), at, others, rng));
    }
    let room = sizes(&placed);
    Ok(settled(world, placed, &room, rng))
}

/// `count` scenes in which concepts do not go together: beside the number of objects, what one object is says nothing of the others, but
/// that no two are at one place. Single objects are a full grid of combinations and places, each as often as the others, as
/// far as a fifth of the scenes goes; the others cycle through two objects and more. A grid that is shown whole is that of [`factorial`].
///
/// Units are measured on these: where values exclude each other, a unit of one has an effect for every other by design.
///
/// # Errors
/// When `world` is refused or has fewer than `most` places, or `most` is 0.
pub fn independent(world: &World, most: usize, count: usize, seed: u64) -> Result<Vec<Scene>> {
    world.check()?;
    let combinations = Combinations::all(world);
    let grid = combinations.as_slice().len() * places(world);
    let single = if most < 2 { count } else { count / 5 };
    let whole = if grid > single { single } else { single / grid * grid };
    let scene = |i: usize| {
        // A grid that is too large is seen in part: in steps that share no divisor with it, so that all values come.
        let at = if grid > single { i * coprime(grid) % grid } else { i };
        if i < whole {
            return Ok(factorial_scene(world, &combinations, at, seed));
        }
        let objects = if most < 2 { 1 } else { 2 + (i - whole) % (most - 1) };
        random(world, &combinations, objects, &mut random::stream(seed, "independent", i as u64))
    };
    (0..count).map(scene).collect()
}

/// `count` scenes of one to `most` objects that are all alike but in place and size, as many of each number, and which of `combinations`
/// they are of: all of them in turn.
///
/// # Errors
/// When `world` is refused or has no room for so many.
pub fn alike(
    world: &World,
    combinations: &Combinations,
    most: usize,
    count: usize,
    seed: u64,
) -> Result<Vec<(usize, Scene)>> {
    let world = &world.repeating();
    world.check()?;
    if !(1..=world.room()).contains(&most) {
        return Err(Error::mismatch("scenes of objects alike", format!("1 to {} objects", world.room()), most));
    }
    let scene = |i: usize| {
        let class = i / most % combinations.as_slice().len();
        let drawn = vec![&combinations.as_slice()[class]; 1 + i % most];
        let rng = &mut random::stream(seed, "alike", i as u64);
        let mut objects = arranged(world, combinations, &drawn, rng);
        // What captions don't say is the same too, but for the place.
        let (first, place) = (objects[0].values.clone(), world.places());
        for object in &mut objects {
            let own = place.map(|f| object.values[f]);
            object.values.clone_from(&first);
            place.into_iter().zip(own).for_each(|(f, value)| object.values[f] = value);
            object.size = decimal(rng.random_range(world.size[0]..=world.size[1]) * world.scale(&first));
        }
        let room = sizes(&objects);
        (class, settled(world, objects, &room, rng))
    };
    Ok((0..count).map(scene).collect())
}

/// A number near the golden section of `n` that shares no divisor with it.
fn coprime(n: usize) -> usize {
    let divisor = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let from = (n as f64 * 0.618) as usize;
    (from.max(1)..=n.max(1)).find(|step| divisor(n, *step) == 1).unwrap_or(1)
}

/// Number of places.
///
/// One where they are free: anywhere.
pub(super) fn places(world: &World) -> usize {
    if world.free.is_some() { 1 } else { world.room() }
}

/// A place for each of `count` objects, different ones; where places are free, [`settle`] comes later.
fn spots(world: &World, count: usize, rng: &mut impl Rng) -> Vec<usize> {
    if world.free.is_some() { vec![0; count] } else { distinct(places(world), count, rng) }
}

/// The factors that are neither combined nor places.
fn free<'a>(world: &'a World, combinations: &'a Combinations) -> impl Iterator<Item = usize> + 'a {
    let places = world.places();
    (0..world.factors.len()).filter(move |f| Some(*f) != places && !combinations.factors().contains(f))
}

fn one(world: &World, factor: usize, rng: &mut impl Rng) -> u32 {
    rng.random_range(0..world.factors[factor].values.len() as u32)
}

/// For each of `count` objects: its values of the [`free`] factors.
fn others(world: &World, combinations: &Combinations, count: usize, rng: &mut impl Rng) -> Vec<Vec<(usize, u32)>> {
    let mut objects = vec![Vec::new(); count];
    for f in free(world, combinations) {
        let values: Vec<u32> = if world.factors[f].repeats {
            (0..count).map(|_| one(world, f, rng)).collect()
        } else {
            distinct(world.factors[f].values.len(), count, rng).into_iter().map(|value| value as u32).collect()
        };
        objects.iter_mut().zip(values).for_each(|(object, value)| object.push((f, value)));
    }
    objects
}

/// `count` different numbers below `below`, in random order.
fn distinct(below: usize, count: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..below).collect();
    numbers.partial_shuffle(rng, count).0.to_vec()
}

/// An object of the combined values at place `at`, in the middle where places are free, with those of the other factors.
fn place(
    world: &World,
    (combinations, combined): (&Combinations, &[u32]),
    at: usize,
    others: Vec<(usize, u32)>,
    rng: &mut impl Rng,
) -> Object {
    let mut values = vec![0; world.factors.len()];
    combinations.factors().iter().zip(combined).for_each(|(f, value)| values[*f] = *value);
    others.into_iter().for_each(|(f, value)| values[f] = value);
    if let Some(f) = world.places() {
        values[f] = at as u32;
    }
    let [smallest, largest] = world.size;
    let mut shifted = |centre: f64| decimal(rng.random_range(-world.jitter..=world.jitter) + centre);
    let [x, y] = if world.free.is_some() { [0.5; 2] } else { world.place(at as u32).map(&mut shifted) };
    let size = decimal(rng.random_range(smallest..=largest) * world.scale(&values));
    Object { values, x, y, size }
}
