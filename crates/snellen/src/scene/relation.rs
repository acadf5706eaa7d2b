//! Relations in space: which of two objects is left of the other, or above it.

use super::caption::{Phrase, put};
use super::free::settle_apart;
use super::generate::{SwapTwin, arranged, backdrop};
use super::{Combination, Combinations, Scene, World};
use crate::{Error, Result, random};
use serde::{Deserialize, Serialize};

/// A relation of two objects' centres along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// `left of`, and `right of` the other way round.
    LeftOf,
    /// `above`, and `below` the other way round.
    Above,
}

impl Relation {
    /// Both.
    pub const ALL: [Self; 2] = [Self::LeftOf, Self::Above];

    /// The words for it, and for it the other way round.
    #[must_use]
    pub fn words(self) -> [&'static str; 2] {
        match self {
            Self::LeftOf => ["left of", "right of"],
            Self::Above => ["above", "below"],
        }
    }

    /// 0 along x, 1 along y.
    pub(super) fn axis(self) -> usize {
        match self {
            Self::LeftOf => 0,
            Self::Above => 1,
        }
    }
}

/// `count` pairs of two-object scenes that are mirrored along the relation's axis: in the scene the first object is `relation` the second, in
/// the twin it is the other way round. Centres differ by `margin` or more along that axis, a share of the frame, and the objects
/// differ in all that captions say. Objects themselves are not mirrored, nor is the background.
///
/// # Errors
/// When `world` is refused, has no free places for two, `margin` is not below what two of the largest size leave, or no two objects
/// can be drawn.
pub fn relation_twins(
    world: &World,
    relation: Relation,
    margin: f64,
    combinations: &Combinations,
    count: usize,
    seed: u64,
) -> Result<Vec<SwapTwin>> {
    check_relation(world, margin)?;
    (0..count).map(|i| relation_twin(world, relation, margin, combinations, i, seed)).collect()
}

/// Whether two objects of `world` can be so far apart.
pub(super) fn check_relation(world: &World, margin: f64) -> Result<()> {
    world.check()?;
    if world.free.is_none() || world.room() < 2 {
        return Err(Error::mismatch("world: free", "free places for two objects, for relations", "none"));
    }
    let most = 1.0 - world.largest();
    if !(0.0..=most).contains(&margin) {
        return Err(Error::mismatch("relations: margin", format!("a share of the frame from 0 to {most:.6}"), margin));
    }
    Ok(())
}

/// Twin `i` of [`relation_twins`], of arguments that [`check_relation`] accepts.
pub(super) fn relation_twin(
    world: &World,
    relation: Relation,
    margin: f64,
    combinations: &Combinations,
    i: usize,
    seed: u64,
) -> Result<SwapTwin> {
    let rng = &mut random::stream(seed, relation.words()[0], i as u64);
    let drawn = combinations.draw_distinct(2, rng);
    let drawn: Vec<&Combination> = drawn.iter().collect();
    if drawn.len() < 2 {
        return Err(Error::mismatch("combinations", "two in which no value comes twice", drawn.len()));
    }
    let mut objects = arranged(world, combinations, &drawn, rng);
    let axis = relation.axis();
    settle_apart(world, &mut objects, axis, margin, rng);
    let scene = Scene { objects, background: backdrop(world, rng) };
    Ok(SwapTwin { twin: scene.mirrored(axis, world), scene })
}

/// What `scene` says of its two objects: `a red circle left of a blue square`, or `a blue square right of a red circle` where it is said
/// the `other` way round, in place of the `{}` of `template`.
///
/// A scene and its mirror image, said the same way, differ in the order of words alone.
///
/// # Panics
/// If there are fewer than two objects, or the scene is not of `world`.
#[must_use]
pub fn related(scene: &Scene, world: &World, relation: Relation, other: bool, template: &str) -> String {
    let along = |k: usize| [scene.objects[k].x, scene.objects[k].y][relation.axis()];
    let first = usize::from(along(1) < along(0));
    let [said, of] = if other { [1 - first, first] } else { [first, 1 - first] };
    let [said, of] = [said, of].map(|k| Phrase::of(&scene.objects[k], world));
    put(&format!("{said} {} {of}", relation.words()[usize::from(other)]), template)
}
