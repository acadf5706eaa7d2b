//! Streaming measures: however images are split, dealt out and merged, the answer is that of one pass.

mod auroc;
mod moments;
mod monosemanticity;
mod top;

use super::{concepts, gauss};
use proptest::prelude::*;
use rand::RngExt;
use rand::seq::SliceRandom;
use snellen::measure::Design;
use snellen::measure::stream::{Batch, Measure};
use snellen::random::stream;
use std::fmt;

/// Activations `[image, unit]` and embeddings `[image, width]` of some images.
#[derive(Clone)]
struct Data {
    images: usize,
    units: usize,
    values: Vec<f32>,
    width: usize,
    embeddings: Vec<f32>,
}

/// Short, for the cases that fail.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let odd = self.values.iter().any(|x| !x.is_finite());
        write!(f, "{} images, odd: {odd}, first value {}", self.images, self.values[0])
    }
}

impl Data {
    fn batch(&self, from: usize, to: usize) -> Batch<'_> {
        let values = &self.values[from * self.units..to * self.units];
        let embeddings = &self.embeddings[from * self.width..to * self.width];
        Batch::new(from, self.units, values).unwrap().with_embeddings(self.width, embeddings).unwrap()
    }

    fn column(&self, unit: usize) -> Vec<f32> {
        self.values.iter().skip(unit).step_by(self.units).copied().collect()
    }

    /// The answer of one pass over one batch.
    fn once<M: Measure>(&self, mut measure: M) -> M::Output {
        measure.observe(self.batch(0, self.images)).unwrap();
        measure.finish()
    }

    /// The answer when the images are cut anywhere, dealt out to up to five measures in any order, some of them as lists, and
    /// these merged in any order and grouping; all drawn from `seed`.
    fn split<M: Measure + Clone>(&self, empty: &M, seed: u64) -> M::Output {
        let mut rng = stream(seed, "split", 0);
        let mut cuts: Vec<usize> = (0..rng.random_range(0..8)).map(|_| rng.random_range(0..=self.images)).collect();
        cuts.extend([0, self.images]);
        cuts.sort_unstable();
        let mut parts: Vec<_> = cuts.windows(2).map(|cut| (cut[0], cut[1])).collect();
        parts.shuffle(&mut rng);
        let mut measures = vec![empty.clone(); rng.random_range(1..=5)];
        for (from, to) in parts {
            let at = rng.random_range(0..measures.len());
            if rng.random() {
                measures[at].observe(self.batch(from, to)).unwrap();
            } else {
                let mut images: Vec<usize> = (from..to).collect();
                images.shuffle(&mut rng);
                let pick = |values: &[f32], n: usize| -> Vec<f32> {
                    images.iter().flat_map(|image| values[image * n..][..n].to_vec()).collect()
                };
                let (values, embeddings) = (pick(&self.values, self.units), pick(&self.embeddings, self.width));
                let batch = Batch::listed(&images, self.units, &values).unwrap();
                measures[at].observe(batch.with_embeddings(self.width, &embeddings).unwrap()).unwrap();
            }
        }
        while measures.len() > 1 {
            let other = measures.swap_remove(rng.random_range(0..measures.len()));
            let into = rng.random_range(0..measures.len());
            measures[into].merge(other).unwrap();
        }
        measures.remove(0).finish()
    }

    /// One to four objects, three concepts that are in some of them, and one that is in none.
    fn design(&self, seed: u64) -> Design {
        let mut rng = stream(seed, "design", 0);
        let strata: Vec<usize> = (0..self.images).map(|_| rng.random_range(1..=4)).collect();
        let mut present: Vec<Vec<bool>> =
            [0.1, 0.3, 0.5].map(|p| strata.iter().map(|_| rng.random_bool(p)).collect()).to_vec();
        present.push(vec![false; self.images]);
        Design::new(concepts(4), present, strata).unwrap()
    }
}

/// Units of every kind: around 0, far from it, heavy-tailed, rectified, of few levels, tiny, constant; and where `odd`, one
/// that is not always finite.
fn data(images: usize, odd: bool, seed: u64) -> Data {
    let mut rng = stream(seed, "data", 0);
    let (units, width) = (9, 5);
    let mut values = Vec::new();
    for image in 0..images {
        for unit in 0..units {
            let x = gauss(&mut rng);
            values.push(match unit {
                0 => x as f32,
                1 => (x + 5.0) as f32,
                2 => (x / rng.random::<f64>().powi(2).max(1e-9)) as f32,
                3 => (x - 1.0).max(0.0) as f32,
                4 => x.round() as f32 * if rng.random() { 1.0 } else { -1.0 },
                5 => (x * 1e-42) as f32,
                6 => 0.25,
                7 if odd && image % 7 == 3 => [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][image % 3],
                _ => (x.abs() * 1e30) as f32,
            });
        }
    }
    let embeddings = (0..images * width).map(|i| (gauss(&mut rng) + 0.5 * (i % 2) as f64) as f32).collect();
    Data { images, units, values, width, embeddings }
}

fn some_data() -> impl Strategy<Value = Data> {
    (1..120_usize, any::<bool>(), any::<u64>()).prop_map(|(images, odd, seed)| data(images, odd, seed))
}
