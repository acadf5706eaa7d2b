use super::super::{floats, known, near, number};
use super::{Data, data, some_data};
use proptest::prelude::*;
use rand::seq::SliceRandom;
use snellen::measure::stream::{Batch, Measure, Monosemanticity, MonosemanticityScores};
use snellen::random::stream;

fn empty(data: &Data) -> Monosemanticity {
    Monosemanticity::new(data.units, data.width).unwrap()
}

/// The double sum of the definition, with activations scaled to [0, 1].
fn by_definition(activations: &[f32], embeddings: &[f32], width: usize) -> Option<f64> {
    let wide: Vec<f64> = activations.iter().map(|&a| f64::from(a)).collect();
    let (min, max) = wide.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &a| (l.min(a), h.max(a)));
    let scaled: Vec<f64> = wide.iter().map(|a| (a - min) / (max - min)).collect();
    let unit = |e: &[f32]| -> Vec<f64> {
        let length = e.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        e.iter().map(|&x| f64::from(x) / length).collect()
    };
    let embeddings: Vec<_> = embeddings.chunks(width).map(unit).collect();
    let mut sums = [0.0; 2];
    for i in 0..scaled.len() {
        for j in i + 1..scaled.len() {
            let cosine: f64 = embeddings[i].iter().zip(&embeddings[j]).map(|(a, b)| a * b).sum();
            sums[0] += scaled[i] * scaled[j] * cosine;
            sums[1] += scaled[i] * scaled[j];
        }
    }
    (sums[1] > 0.0).then(|| sums[0] / sums[1])
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    a.is_some() == b.is_some() && a.zip(b).is_none_or(|(a, b)| (a - b).abs() < 1e-9)
}

#[test]
fn scores_have_the_answers_of_numpy() {
    for case in known("monosemanticity") {
        let floats = |key: &str| -> Vec<f32> { floats(&case[key]).iter().map(|&x| x as f32).collect() };
        let (values, embeddings, width) =
            (floats("activations"), floats("embeddings"), number(&case, "width") as usize);
        let images = embeddings.len() / width;
        let data = Data { images, units: values.len() / images, values, width, embeddings };
        let got = data.once(empty(&data));
        for (got, expected) in got.units.iter().zip(case["scores"].as_array().unwrap()) {
            match expected.as_f64() {
                Some(expected) => near(got.unwrap(), expected),
                None => assert_eq!(*got, None),
            }
        }
        near(got.by_chance.unwrap(), number(&case, "by_chance"));
    }
}

#[test]
fn a_dead_unit_has_no_score() {
    // Constant; above its smallest value once, twice; not finite.
    let values = [1.0, 0.0, 0.1, 0.0, 1.0, 0.0, 0.1, 1.0, 1.0, 7.0, 0.3, f32::NAN, 1.0, 0.0, 0.7, 0.0];
    let embeddings = [1.0, 0.0, 0.0, 2.0, 3.0, 3.0, 1.0, 1.0];
    let data = Data { images: 4, units: 4, values: values.to_vec(), width: 2, embeddings: embeddings.to_vec() };
    let MonosemanticityScores { units, by_chance } = data.once(empty(&data));
    assert_eq!([units[0], units[1], units[3]], [None; 3]);
    near(units[2].unwrap(), 1.0);
    near(by_chance.unwrap(), (4.0 * 0.5_f64.sqrt() + 1.0) / 6.0);
    let none = empty(&data).finish();
    assert_eq!(none, MonosemanticityScores { units: vec![None; 4], by_chance: None });
}

#[test]
fn activations_dealt_out_at_random_score_what_chance_gives() {
    let data = data(60, false, 5);
    let by_chance = data.once(empty(&data)).by_chance.unwrap();
    let mut rng = stream(6, "dealt", 0);
    let mut sums = vec![0.0; data.units];
    for _ in 0..400 {
        let mut rows: Vec<_> = data.values.chunks(data.units).collect();
        rows.shuffle(&mut rng);
        let shuffled = Data { values: rows.concat(), ..data.clone() };
        let scores = shuffled.once(empty(&data)).units;
        sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score.unwrap_or(by_chance) / 400.0);
    }
    // Unit 2, heavy-tailed, is active on hardly more than two images.
    for (unit, mean) in sums.iter().enumerate() {
        assert!((mean - by_chance).abs() < if unit == 2 { 0.05 } else { 0.01 }, "unit {unit}: {mean}, {by_chance}");
    }
}

#[test]
fn batches_without_usable_embeddings_are_refused() {
    let data = data(3, false, 1);
    let mut measure = empty(&data);
    let mut said = |batch: Batch<'_>| measure.observe(batch).unwrap_err().to_string();
    let bare = Batch::new(7, 9, &data.values).unwrap();
    assert_eq!(said(bare), "monosemanticity: batch: expected 5 numbers in an embedding, got 0");
    let mut embeddings = data.embeddings.clone();
    embeddings[5..10].fill(0.0);
    let zero = "monosemanticity: embedding of image 8: expected finite numbers, not all 0, got length 0";
    assert_eq!(said(bare.with_embeddings(5, &embeddings).unwrap()), zero);
    embeddings[2] = f32::NAN;
    assert!(said(bare.with_embeddings(5, &embeddings).unwrap()).contains("embedding of image 7"));
    assert!(Monosemanticity::new(3, 0).is_err());
    assert!(measure.merge(Monosemanticity::new(9, 4).unwrap()).is_err());
    assert!(measure.merge(Monosemanticity::new(8, 5).unwrap()).is_err());
}

proptest! {
    #[test]
    fn scores_are_the_same_any_way_and_those_of_the_definition(data in some_data(), seed: u64) {
        let once = data.once(empty(&data));
        let split = data.split(&empty(&data), seed);
        prop_assert!(close(split.by_chance, once.by_chance));
        for unit in 0..data.units {
            let column = data.column(unit);
            let expected = column.iter().all(|x| x.is_finite());
            let expected = expected.then(|| by_definition(&column, &data.embeddings, data.width)).flatten();
            prop_assert!(close(once.units[unit], expected), "unit {unit}: {:?}, {expected:?}", once.units[unit]);
            prop_assert!(close(once.units[unit], split.units[unit]), "unit {unit}");
        }
    }
}
