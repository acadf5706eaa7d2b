//! What is known of how an examinee was trained.

use crate::report::TrainingCard;
use crate::scene::{Combinations, World};

/// How an examinee was trained, where that is known: what its questions are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// What it was trained for.
    pub purpose: String,
    /// The seed of its weights and scenes.
    pub seed: u64,
    /// Updates.
    pub steps: usize,
    /// Images that it saw.
    pub images: usize,
    /// What its scenes were made of.
    pub world: World,
    /// Captions around what a scene holds, `{}` standing for it.
    pub templates: Vec<String>,
    /// The combinations that it was shown; their complement it never saw.
    pub seen: Combinations,
}

/// The world that a model is shown where none is named: that of its `training`, where it is known, else [`World::hard`].
pub fn default_world(training: Option<&Training>) -> World {
    training.map_or_else(World::hard, |training| training.world.clone())
}

impl Training {
    /// Whether captions of `world` say the same values of the same factors as those of its own, so that its combinations are known there.
    pub(super) fn speaks_of(&self, world: &World) -> bool {
        let words = |world: &World| -> Vec<_> {
            let factors = world.factors();
            world.said().into_iter().map(|f| (f, factors[f].clone())).collect()
        };
        words(&self.world) == words(world)
    }

    /// What a report says of it.
    pub(super) fn card(&self) -> TrainingCard {
        let held_out = self.seen.complement();
        let name = |values: &Vec<u32>| self.world.combination_name(held_out.factors(), values);
        TrainingCard {
            purpose: self.purpose.clone(),
            seed: self.seed,
            steps: self.steps,
            images: self.images,
            held_out: held_out.as_slice().iter().map(name).collect(),
        }
    }
}
