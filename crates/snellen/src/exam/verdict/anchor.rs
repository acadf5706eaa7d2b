//! Of which twins a binding is read.
//!
//! All of them hold one value (a circle), and readers say which of the scene's two colours it has: of two twins that are made of the same
//! values the one answer is right in one and wrong in the other, so that no count and no bag of values says it. Asked of one
//! value a reader learns from few pictures; of all values at once it would have to learn every combination.

use crate::Result;
use crate::exam::question::Asked;
use crate::exam::sitting::Sitting;
use crate::random;
use crate::readers::Task;
use crate::scene::generate::swap_twins;
use crate::scene::{Combinations, Scene};

/// Twins that are drawn at once.
const DRAWN: usize = 256;
/// Draws, at most, for each that would do if every twin held the value.
const TRIES: usize = 64;

/// The value that all scenes hold, and what is asked of the object that has it.
pub(super) struct Anchor {
    held: usize,
    value: u32,
    asked: usize,
}

impl Anchor {
    /// Of factors `f` and `g`: of that with fewer values the one that is recognised best.
    pub(super) fn of(sitting: &Sitting<'_>, [f, g]: [usize; 2], recognition: &Asked) -> Self {
        let count = |f: usize| sitting.world.factors[f].values.len();
        let (held, asked) = if count(g) < count(f) { (g, f) } else { (f, g) };
        let answers = recognition.answers(&sitting.world.factors[held].name);
        let right = |value: u32| -> f64 {
            let scenes = recognition.scenes.iter().zip(answers.iter().flat_map(|of| &of.answers));
            let own = scenes.filter(|(scene, _)| scene.objects[0].values[held] == value);
            let scores: Vec<f64> = own.map(|(_, answer)| answer.score).collect();
            scores.iter().sum::<f64>() / scores.len().max(1) as f64
        };
        let best = |a: u32, b: u32| if right(b) > right(a) { b } else { a };
        Self { held, value: (0..count(held) as u32).reduce(best).unwrap_or_default(), asked }
    }

    /// `count` twins that hold the value, scene and twin side by side, of `known` combinations; fewer where few can be drawn.
    ///
    /// # Errors
    /// As [`swap_twins`].
    pub(super) fn twins(
        &self,
        sitting: &Sitting<'_>,
        swapped: usize,
        known: &Combinations,
        count: usize,
    ) -> Result<Vec<Scene>> {
        let mut scenes = Vec::with_capacity(2 * count);
        for batch in 0..TRIES * count.div_ceil(DRAWN) {
            let seed = random::seed(sitting.seed, "twins to read", batch as u64);
            for twin in swap_twins(sitting.world, swapped, known, known, DRAWN, seed)? {
                if scenes.len() < 2 * count && twin.scene.objects.iter().any(|o| o.values[self.held] == self.value) {
                    scenes.extend([twin.scene, twin.twin]);
                }
            }
            if scenes.len() >= 2 * count {
                break;
            }
        }
        Ok(scenes)
    }

    /// Which value the object has that has the anchor's, among those of the scene.
    pub(super) fn task(&self, sitting: &Sitting<'_>, scenes: &[Scene]) -> Result<Task> {
        let of = |scene: &Scene| {
            let own = scene.objects.iter().find(|o| o.values[self.held] == self.value)?;
            Some(own.values[self.asked] as usize)
        };
        let among = |scene: &Scene| scene.objects.iter().map(|o| o.values[self.asked] as usize).collect();
        let classes = sitting.world.factors[self.asked].values.len();
        let clusters = (0..scenes.len() as u64).map(|i| i / 2).collect();
        let task = Task::new(classes, scenes.iter().map(of).collect(), clusters)?;
        task.among(&scenes.iter().map(among).collect::<Vec<_>>())
    }
}
