//! Planted causes: networks of which it is known what carries the binding, asked as any model is.
//!
//! A hidden layer of units, a linear read-out of it and an embedding of unit length. Which caption is right is a sign; an embedding's
//! first coordinate is what tells it.

use rand::RngExt;
use snellen::intervene::{
    Action, Against, Asked, Change, CleanMargin, Effect, Effects, Rest, Restored, Set, Target, Term, Tokens, Trial,
};
use snellen::measure::{Confidence, Interval, Matrix};
use snellen::model::Site;
use snellen::random;
use std::ops::Range;

/// Twins of each network.
const TWINS: usize = 32;
/// Coordinates of an embedding.
const WIDTH: usize = 4;

/// What a unit is.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// It moves with the binding, and the read-out has so much of it in the binding's coordinate.
    Bound(f32),
    /// It moves as much between twins, with a sign of its own in each pair; the read-out has nothing of it but noise there.
    Else,
}

/// A network, its activations, and its signs.
pub struct Planted {
    shape: [usize; 3],
    activations: Vec<f32>,
    /// `[unit][coordinate]`.
    readout: Vec<[f32; WIDTH]>,
    signs: Vec<f32>,
}

impl Planted {
    /// Units of these kinds.
    pub fn new(kinds: &[Kind], seed: u64) -> Self {
        let rng = &mut random::stream(seed, "planted", 0);
        let normal = |rng: &mut _| -> f32 {
            // A sum of twelve uniform numbers is near enough.
            (0..12).map(|_| RngExt::random_range(rng, -0.5..0.5f32)).sum()
        };
        let signs: Vec<f32> = (0..TWINS).map(|_| if rng.random_range(0..2) == 0 { 1.0 } else { -1.0 }).collect();
        let mut activations = vec![0.0; 2 * TWINS * kinds.len()];
        for (unit, kind) in kinds.iter().enumerate() {
            for twin in 0..TWINS {
                let sign = match kind {
                    Kind::Bound(_) => signs[twin],
                    Kind::Else => [1.0, -1.0][rng.random_range(0..2)],
                };
                for (k, side) in [1.0, -1.0].into_iter().enumerate() {
                    let value: f32 = 0.5 + 0.8 * sign * side + 0.3 * normal(rng);
                    activations[(2 * twin + k) * kinds.len() + unit] = value.max(0.0);
                }
            }
        }
        let read = |kind: &Kind| {
            let mut row = [0.0; WIDTH];
            row.iter_mut().skip(1).for_each(|x| *x = 0.3 * normal(rng));
            row[0] = match kind {
                Kind::Bound(weight) => *weight,
                Kind::Else => 0.1 * normal(rng),
            };
            row
        };
        let readout = kinds.iter().map(read).collect();
        Self { shape: [TWINS, 1, kinds.len()], activations, readout, signs }
    }

    fn target(&self) -> Target {
        let term = |twin: usize, k: usize| {
            let mut with = vec![0.0; WIDTH];
            with[0] = 0.5 * self.signs[twin] * [1.0, -1.0][k];
            Term { row: 2 * twin + k, with }
        };
        let twins = (0..TWINS).map(|twin| vec![term(twin, 0), term(twin, 1)]).collect();
        Target { name: "swap".to_owned(), twins, constants: Vec::new() }
    }
}

impl Rest for Planted {
    fn site(&self) -> Site {
        "blocks.0.mlp.hook_post".parse().unwrap()
    }

    fn batches(&self) -> Vec<Range<usize>> {
        // More than one.
        vec![0..TWINS, TWINS..2 * TWINS]
    }

    fn values(&self, batch: usize) -> (&[usize], &[f32]) {
        let half = self.activations.len() / 2;
        (&self.shape, &self.activations[batch * half..][..half])
    }

    fn go_on(&self, _: usize, values: Vec<f32>) -> snellen::Result<Matrix> {
        let units = self.shape[2];
        let embed = |row: &[f32]| -> Vec<f32> {
            // What no unit has.
            let mut embedding = [0.0, 2.0, 1.0, 1.0f32];
            for (x, weights) in row.iter().zip(&self.readout) {
                embedding.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
            }
            let length = embedding.iter().map(|x| x * x).sum::<f32>().sqrt();
            embedding.iter().map(|x| x / length).collect()
        };
        Matrix::new(values.len() / units, WIDTH, values.chunks(units).flat_map(embed).collect())
    }
}

/// What mean-ablating `units` of `planted` gives.
pub fn ablated(planted: &Planted, units: Vec<usize>, seed: u64) -> Effects {
    effects(planted, &Action::Mean, &[Set::new("planted", units, false)], seed).unwrap()
}

/// What `action` on `sets` gives.
fn effects(planted: &Planted, action: &Action, sets: &[Set], seed: u64) -> snellen::Result<Effects> {
    let targets = [planted.target()];
    let rows = 2 * TWINS;
    let (positions, strata) = (vec![vec![0]; rows], vec![0; rows]);
    let asked = Asked { tokens: Tokens::All, head: None, positions, strata, targets: &targets };
    let trial = Trial::new(planted, asked).unwrap();
    let against = Against { draws: 100, seed, confidence: Confidence::new(0.95).unwrap(), progress: &() };
    let full = if *action == Action::Mean { Change::Set(trial.means()) } else { Change::Donated };
    trial.effects(action, &full, sets, against)
}

/// The swap margin of `planted` as it is.
pub fn clean(planted: &Planted) -> CleanMargin {
    let values = (0..2).flat_map(|batch| {
        let embeddings = planted.go_on(batch, planted.values(batch).1.to_vec()).unwrap();
        (0..TWINS).map(move |row| f64::from(embeddings.row(row)[0])).collect::<Vec<_>>()
    });
    let values: Vec<f64> = values.collect();
    let margins = values.chunks(2).zip(&planted.signs).map(|(pair, sign)| f64::from(*sign) * (pair[0] - pair[1]) / 2.0);
    let margins: Vec<f64> = margins.collect();
    let mean = margins.iter().sum::<f64>() / margins.len() as f64;
    let squares = margins.iter().map(|m| (m - mean).powi(2)).sum::<f64>();
    let spread = (squares / (margins.len() - 1) as f64).sqrt();
    // Student's quantile with 31 degrees of freedom.
    let half = 2.0395 / (TWINS as f64).sqrt();
    let margin = Interval { estimate: mean / spread, lo: mean / spread - half, hi: mean / spread + half };
    CleanMargin { target: "swap".to_owned(), margin, spread }
}

/// Whether an effect is said to be one, in this direction.
fn claimed(effect: &Effect, sign: f64) -> bool {
    effect.q <= 0.05 && sign * effect.effect.estimate > 0.0 && (effect.effect.lo > 0.0 || effect.effect.hi < 0.0)
}

const SEEDS: u64 = 40;

/// Five units that carry the binding, five that only go with it, and sixty others.
fn network(weight: f32, seed: u64) -> Planted {
    let kinds: Vec<Kind> =
        [Kind::Bound(weight); 5].into_iter().chain([Kind::Bound(0.0); 5]).chain([Kind::Else; 60]).collect();
    Planted::new(&kinds, seed)
}

#[test]
fn a_planted_cause_is_found() {
    let found = (0..SEEDS).filter(|seed| {
        let effects = ablated(&network(0.5, *seed), (0..5).collect(), *seed);
        assert!(effects.left_out.is_empty(), "{:?}", effects.left_out);
        claimed(&effects.rows[0], -1.0)
    });
    let found = found.count();
    assert!(found as f64 >= 0.95 * SEEDS as f64, "{found} of {SEEDS}");
}

#[test]
fn what_only_goes_with_a_cause_is_none() {
    let found = (0..SEEDS).filter(|seed| {
        let effects = ablated(&network(0.5, *seed), (5..10).collect(), *seed);
        assert!(effects.left_out.is_empty(), "{:?}", effects.left_out);
        claimed(&effects.rows[0], 1.0) || claimed(&effects.rows[0], -1.0)
    });
    let found = found.count();
    assert!(found as f64 <= 0.05 * SEEDS as f64, "{found} of {SEEDS}");
}

#[test]
fn what_works_against_the_binding_is_found_to() {
    // The others carry the binding: less of it is left by those that take from it.
    let network = |seed: u64| {
        let kinds = [Kind::Bound(-0.25); 5].into_iter().chain([Kind::Bound(0.5); 5]).chain([Kind::Else; 60]);
        Planted::new(&kinds.collect::<Vec<_>>(), seed)
    };
    let found = (0..SEEDS).filter(|seed| claimed(&ablated(&network(*seed), (0..5).collect(), *seed).rows[0], 1.0));
    let found = found.count();
    assert!(found as f64 >= 0.95 * SEEDS as f64, "{found} of {SEEDS}");
}

#[test]
fn a_patch_of_the_cause_restores_it_and_a_resampled_cause_is_gone() {
    for seed in 0..5 {
        let planted = network(0.5, seed);
        let set = [Set::new("planted", (0..5).collect(), false)];
        let clean = clean(&planted).margin.estimate;
        let patched = effects(&planted, &Action::Patch, &set, seed).unwrap().rows[0].clone();
        let Some(Restored::Share(share)) = patched.restored else { panic!("{patched:?}") };
        assert!((share.estimate - 1.0).abs() < 0.1 && share.lo < share.estimate, "{share:?}");
        assert!((patched.effect.estimate + 2.0 * clean).abs() < 0.2 * clean, "{clean} {patched:?}");
        // Of another twin's values half have the same sign: nothing is left on average.
        let resampled = effects(&planted, &Action::Resample(seed), &set, seed).unwrap().rows[0].clone();
        assert!(resampled.restored.is_none() && resampled.effect.hi < -0.3 * clean, "{clean} {resampled:?}");
        // What doesn't bind has nothing to restore.
        let unbound = Planted::new(&[Kind::Else; 65], seed);
        let patched = effects(&unbound, &Action::Patch, &set, seed).unwrap().rows[0].clone();
        assert_eq!(patched.restored, Some(Restored::NothingToRestore));
    }
}

#[test]
fn more_of_a_cause_does_more() {
    let planted = network(0.5, 3);
    let set = Set::new("planted", (0..5).collect(), true);
    assert_eq!(set.doses, [1, 2]);
    let rows = effects(&planted, &Action::Mean, &[set], 3).unwrap();
    // Of one unit there are not a hundred others that are like it, which is said.
    assert!(rows.left_out.iter().all(|left| left.contains("1 of them")), "{:?}", rows.left_out);
    let rows = rows.rows;
    assert_eq!(rows.iter().map(|row| row.size).collect::<Vec<_>>(), [2, 5]);
    assert!(rows[1].effect.estimate < 2.0 * rows[0].effect.estimate, "{rows:?}");
    for row in &rows {
        // Two tests, both as far out as can be.
        assert!((row.p - 1.0 / 101.0).abs() < 1e-12 && (row.q - row.p).abs() < 1e-12, "{row:?}");
    }
}
