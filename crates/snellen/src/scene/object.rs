//! Objects and scenes: a value for each factor of a [`World`], and where exactly it is drawn.

use super::{Concept, Look, World};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// One object: a value per factor, and where exactly it is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Per factor of the world: the index of its value.
    pub values: Vec<u32>,
    /// Drawn centre, 0 (left) to 1 (right): its place's, plus jitter, or anywhere where places are free.
    pub x: f64,
    /// Drawn centre, 0 (top) to 1 (bottom).
    pub y: f64,
    /// Width and height of its box, as a share of the frame's width and height.
    pub size: f64,
}

/// What one image shows: objects that do not overlap, first drawn first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// The objects, at least one.
    pub objects: Vec<Object>,
    /// The seed of the background, 0 where the world has a plain one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub background: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
fn is_zero(seed: &u32) -> bool {
    *seed == 0
}

impl From<Vec<Object>> for Scene {
    /// The scene of these objects, its background of seed 0.
    fn from(objects: Vec<Object>) -> Self {
        Self { objects, background: 0 }
    }
}

impl Object {
    /// Its concepts in `world`, one for each factor in their order.
    ///
    /// # Panics
    /// If it is not of this world ([`Scene::check`]).
    #[must_use]
    pub fn concepts(&self, world: &World) -> Vec<Concept> {
        let concept =
            |f: usize| Concept { factor: world.factors[f].name.clone(), value: self.name(world, f).to_owned() };
        (0..world.factors.len()).map(concept).collect()
    }

    /// The name of its value of factor `factor`.
    ///
    /// # Panics
    /// If it is not of this world.
    #[must_use]
    pub fn name<'a>(&self, world: &'a World, factor: usize) -> &'a str {
        &world.factors[factor].values[self.values[factor] as usize].name
    }

    /// Its values of `factors`.
    ///
    /// # Panics
    /// If it has no such factor.
    #[must_use]
    pub fn combination(&self, factors: &[usize]) -> Vec<u32> {
        factors.iter().map(|f| self.values[*f]).collect()
    }
}

impl Scene {
    /// Whether every object is of `world` and has a finite place and a size in (0, 1].
    ///
    /// # Errors
    /// Names the object and the field.
    pub fn check(&self, world: &World) -> Result<()> {
        if self.objects.is_empty() {
            return Err(Error::mismatch("scene: objects", "at least one", "none"));
        }
        for (k, object) in self.objects.iter().enumerate() {
            let place = |field: &str| format!("scene: objects[{k}].{field}");
            if object.values.len() != world.factors.len() {
                let expected = format!("{}, one per factor", world.factors.len());
                return Err(Error::mismatch(place("values"), expected, object.values.len()));
            }
            for (factor, value) in world.factors.iter().zip(&object.values) {
                if *value as usize >= factor.values.len() {
                    let expected = format!("an index below {}", factor.values.len());
                    return Err(Error::mismatch(place(&factor.name), expected, value));
                }
            }
            for (field, value) in [("x", object.x), ("y", object.y), ("size", object.size)] {
                if !(0.0..=1.0).contains(&value) || (field == "size" && value == 0.0) {
                    return Err(Error::mismatch(place(field), "a share of the frame from 0 to 1", value));
                }
            }
        }
        Ok(())
    }

    /// The bag of concepts that it shows: object after object, in the order of the world's factors, repeats kept.
    ///
    /// # Panics
    /// If it is not of this world ([`Scene::check`]).
    #[must_use]
    pub fn concepts(&self, world: &World) -> Vec<Concept> {
        self.objects.iter().flat_map(|object| object.concepts(world)).collect()
    }

    /// The same scene with the values that objects `a` and `b` have of `factor` exchanged: its attribute swap. What
    /// is drawn stays ([`Scene::resized`] changes that).
    ///
    /// # Panics
    /// If there is no such object or factor.
    #[must_use]
    pub fn swapped(&self, factor: usize, a: usize, b: usize) -> Self {
        let mut twin = self.clone();
        twin.objects[a].values[factor] = self.objects[b].values[factor];
        twin.objects[b].values[factor] = self.objects[a].values[factor];
        twin
    }

    /// The same scene with sizes that suit its values, given that it was made of `before` by changing some: an object that was small
    /// and is large now grows, around its centre.
    ///
    /// # Panics
    /// If `before` has fewer objects.
    #[must_use]
    pub fn resized(mut self, before: &Self, world: &World) -> Self {
        for (k, object) in self.objects.iter_mut().enumerate() {
            let (new, old) = (world.scale(&object.values), world.scale(&before.objects[k].values));
            if new.to_bits() != old.to_bits() {
                object.size = decimal(object.size / old * new);
            }
        }
        self
    }

    /// The same scene with every centre mirrored along `axis` (0: left and right, 1: top and bottom). Objects themselves and the background
    /// stay as they are.
    #[must_use]
    pub fn mirrored(&self, axis: usize, world: &World) -> Self {
        let mut scene = self.clone();
        for object in &mut scene.objects {
            let along = if axis == 0 { &mut object.x } else { &mut object.y };
            *along = decimal(1.0 - *along);
            label(world, object);
        }
        scene
    }

    /// The same scene with the value that object `k` has of `factor` replaced.
    ///
    /// # Panics
    /// If there is no such object or factor.
    #[must_use]
    pub fn replaced(&self, factor: usize, k: usize, value: u32) -> Self {
        let mut scene = self.clone();
        scene.objects[k].values[factor] = value;
        scene
    }
}

/// To nine decimals, which JSON carries without loss.
pub(super) fn decimal(share: f64) -> f64 {
    (share * 1e9).round() / 1e9
}

/// Sets the object's value of the factor of places, if there is one, to the nearest place; of two the first.
pub(super) fn label(world: &World, object: &mut Object) {
    let Some(f) = world.places() else { return };
    let distance = |look: Look| match look {
        Look::Place([x, y]) => (object.x - x).hypot(object.y - y),
        _ => f64::INFINITY,
    };
    let distances = world.factors[f].values.iter().map(|value| distance(value.look));
    let nearest = (0_u32..).zip(distances).min_by(|a, b| a.1.total_cmp(&b.1));
    object.values[f] = nearest.map_or(0, |(value, _)| value);
}
