//! Whether a reader still finds in embeddings what was to be taken out of them.

use super::shown::{Bare, Pair};
use crate::measure::{Confidence, Matrix};
use crate::readers::{Ladder, Mlp, Prepared, Reader, Split, Task, curves, scene_splits};
use crate::scene::generate::swap_twins;
use crate::scene::{Combinations, Scene, World};
use crate::{Result, random};
use faer::Mat;

/// Swap twins that are read: other ones than those that directions are estimated on.
const TWINS: usize = 6000;
/// Of the pictures one in so many is asked, of the others readers learn.
const FOLDS: usize = 3;

/// What readers are asked: of the two objects of swap twins that hold a value (a circle), which of the scene's two colours that object has. The
/// twins of a pair are made of the same values and have opposite answers.
pub(super) struct Readable {
    /// `[scene, width]`: what the projection is given.
    rows: Mat<f64>,
    held: Vec<Held>,
    seed: u64,
}

/// The twins that hold one value.
struct Held {
    rows: Vec<usize>,
    task: Task,
    split: Split,
}

impl Readable {
    pub(super) fn of(bare: &Bare<'_>, pair: Pair, seed: u64) -> Result<Self> {
        let world = bare.world();
        let (all, seed) = (Combinations::all(world), random::seed(seed, "operation: twins to read", 0));
        let twins = swap_twins(world, pair.swapped, &all, &all, TWINS, seed)?;
        let scenes: Vec<Scene> = twins.into_iter().flat_map(|twin| [twin.scene, twin.twin]).collect();
        let values = |f: usize| world.factors[f].values.len();
        let (held, asked) = if values(pair.other) <= values(pair.swapped) {
            (pair.other, pair.swapped)
        } else {
            (pair.swapped, pair.other)
        };
        let of = |value: usize| Held::of(world, &scenes, (held, value as u32), asked, seed);
        let held = (0..values(held)).map(of).collect::<Result<_>>()?;
        Ok(Self { rows: bare.rows(&scenes, 2, seed)?, held, seed })
    }

    /// How often `reader` is right, .5 being chance, of the value of which it is right most often; as soon as that is more than `enough`, of that
    /// value. Embeddings `[embedding, width]` times what is given are read as directions, of length 1.
    pub(super) fn most(&self, projection: &Mat<f64>, reader: &Reader, enough: f64) -> Result<f64> {
        let embeddings = &self.rows * projection.transpose();
        let mut most: f64 = 0.0;
        for held in &self.held {
            most = most.max(held.read(&embeddings, reader, self.seed)?);
            if most > enough {
                break;
            }
        }
        Ok(most)
    }

    /// A linear reader.
    pub(super) fn linear() -> Reader {
        Reader::logistic()
    }

    /// A network.
    pub(super) fn network() -> Reader {
        Reader::Mlp(Mlp { members: 1, ..Mlp::standard() })
    }
}

impl Held {
    fn of(world: &World, scenes: &[Scene], (held, value): (usize, u32), asked: usize, seed: u64) -> Result<Self> {
        let holds = |i: &usize| scenes[*i].objects.iter().any(|object| object.values[held] == value);
        let rows: Vec<usize> = (0..scenes.len()).filter(holds).collect();
        let own = |i: &usize| {
            let object = scenes[*i].objects.iter().find(|object| object.values[held] == value)?;
            Some(object.values[asked] as usize)
        };
        let among = |i: &usize| scenes[*i].objects.iter().map(|object| object.values[asked] as usize).collect();
        let clusters = rows.iter().map(|i| *i as u64 / 2).collect();
        let task = Task::new(world.factors[asked].values.len(), rows.iter().map(own).collect(), clusters)?
            .among(&rows.iter().map(among).collect::<Vec<_>>())?;
        let split = scene_splits(&task, FOLDS, seed)?.swap_remove(0);
        Ok(Self { rows, task, split })
    }

    fn read(&self, embeddings: &Mat<f64>, reader: &Reader, seed: u64) -> Result<f64> {
        let row = |i: &usize| {
            let length = embeddings.row(*i).norm_l2().max(f64::MIN_POSITIVE);
            embeddings.row(*i).iter().map(move |x| (x / length) as f32).collect::<Vec<_>>()
        };
        let values: Vec<f32> = self.rows.iter().flat_map(row).collect();
        let matrix = Matrix::new(self.rows.len(), embeddings.ncols(), values)?;
        let ladder = Ladder { null: false, ..Ladder::all(Confidence::new(0.95)?) };
        let splits = std::slice::from_ref(&self.split);
        let found = curves(&[Prepared::new("embedding", &matrix)?], &self.task, splits, &ladder, reader, seed)?;
        Ok(found[0].points.last().map_or(0.0, |point| point.accuracy.estimate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Recipe;

    /// What a projection of identity gives: numbers that may say the answer to the question of the second value; of the first they say
    /// nothing but in twins that hold both.
    fn planted(number: impl Fn(bool, usize) -> [f64; 2]) -> Result<Readable> {
        let recipe = Recipe::named_or_read("healthy")?;
        let (world, pair) = (&recipe.world, Pair::of(&recipe.world)?);
        let all = Combinations::all(world);
        let twins = swap_twins(world, pair.swapped, &all, &all, 1500, 3)?;
        let scenes: Vec<Scene> = twins.into_iter().flat_map(|twin| [twin.scene, twin.twin]).collect();
        let held = [0, 1].map(|value| Held::of(world, &scenes, (pair.other, value), pair.swapped, 4));
        // Whether the object with the second held value has the larger of both values.
        let larger = |scene: &Scene| {
            let own = scene.objects.iter().find(|object| object.values[pair.other] == 1);
            own.is_some_and(|own| scene.objects.iter().all(|o| o.values[pair.swapped] <= own.values[pair.swapped]))
        };
        // The last column is long, so that length 1 changes the others little.
        let row = |i: usize| number(larger(&scenes[i]), i);
        let rows = Mat::from_fn(scenes.len(), 3, |i, j| if j < 2 { row(i)[j] } else { 20.0 });
        Ok(Readable { rows, held: held.into_iter().collect::<Result<_>>()?, seed: 5 })
    }

    /// Drawn per pair of twins.
    fn coin(i: usize) -> f64 {
        if random::seed(1, "coin", i as u64 / 2).is_multiple_of(2) { 1.0 } else { -1.0 }
    }

    #[test]
    fn a_line_is_found_by_both_a_product_by_a_network_and_nothing_by_none() -> Result<()> {
        let sign = |larger: bool| if larger { 1.0 } else { -1.0 };
        let (line, product, nothing) = (
            planted(|larger, i| [sign(larger), coin(i)])?,
            planted(|larger, i| [coin(i), coin(i) * sign(larger)])?,
            planted(|_, i| [coin(i), coin(i + 7)])?,
        );
        let own = Mat::<f64>::identity(3, 3);
        let of = |readable: &Readable, reader: &Reader| readable.most(&own, reader, 1.0);
        assert!(of(&line, &Readable::linear())? > 0.95 && of(&line, &Readable::network())? > 0.95);
        assert!(of(&product, &Readable::linear())? < 0.6, "{}", of(&product, &Readable::linear())?);
        assert!(of(&product, &Readable::network())? > 0.9, "{}", of(&product, &Readable::network())?);
        for reader in [Readable::linear(), Readable::network()] {
            assert!((of(&nothing, &reader)? - 0.5).abs() < 0.08, "{}", of(&nothing, &reader)?);
        }
        // What is projected out is not found.
        let without = Mat::from_fn(3, 3, |i, j| f64::from(u8::from(i == j && i > 0)));
        assert!(line.most(&without, &Readable::network(), 1.0)? < 0.6);
        Ok(())
    }
}
