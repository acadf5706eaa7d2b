//! A unit of one concept encodes that one, whatever goes together with what.

use super::{confidence, gauss, matrix};
use rand::RngExt;
use snellen::measure::Design;
use snellen::measure::encodes::{Criterion, Partial, encodes};
use snellen::measure::partial::partial_effect;
use snellen::measure::spread::Spread;
use snellen::random::stream;
use snellen::scene::labels::{LabelRow, LabelTable};
use snellen::scene::{Combinations, Factor, World, generate};

fn criterion() -> Criterion {
    Criterion { q: 0.05, min_effect: 0.3, confidence: confidence(0.95), seed: 3 }
}

fn table(world: &World, scenes: &[snellen::scene::Scene]) -> LabelTable {
    let names: Vec<String> = (0..scenes.len()).map(|i| format!("{i:05}.png")).collect();
    LabelTable::from_scenes(world, scenes, &names).unwrap()
}

/// No value comes twice in a picture.
fn excluding(count: usize) -> LabelTable {
    let world = World::toy();
    table(&world, &generate::toy(&world, &Combinations::all(&world), 1..=5, count, 1).unwrap())
}

/// Values are drawn each by itself.
fn independent(count: usize) -> LabelTable {
    let world = World::toy().repeating();
    table(&world, &generate::independent(&world, 5, count, 1).unwrap())
}

/// One object: an animal, and a texture that mostly follows from it.
fn natural(count: usize) -> LabelTable {
    let mut rng = stream(5, "natural", 0);
    let usual = [0, 0, 1, 2];
    let row = |i: usize, rng: &mut _| {
        let animal = rand::Rng::next_u32(rng) % 4;
        let texture =
            if RngExt::random_bool(rng, 0.75) { usual[animal as usize] } else { rand::Rng::next_u32(rng) % 3 };
        LabelRow { filename: format!("{i}.png"), objects: vec![vec![Some(animal), Some(texture)]] }
    };
    let rows = (0..count).map(|i| row(i, &mut rng)).collect();
    let factor = |name: &str, values: &[&str]| Factor {
        name: name.to_owned(),
        values: values.iter().map(ToString::to_string).collect(),
    };
    LabelTable {
        factors: vec![
            factor("animal", &["cat", "dog", "bird", "fish"]),
            factor("texture", &["fur", "feathers", "scales"]),
        ],
        rows,
    }
}

/// Of units that are each moved by one concept alone, in turn: the share that encode just that one, and of the other values of its
/// factor the share that are said to be encoded.
fn pure(labels: &LabelTable, units: usize, strength: f64, seed: u64) -> [f64; 2] {
    let design = Design::from_labels(labels).unwrap();
    let factors = labels.concept_factors();
    let concepts = design.concepts().len();
    let mut rng = stream(seed, "pure", 0);
    let acts = matrix(design.images(), units, |image, unit| {
        let held = f64::from(u8::from(design.present(unit % concepts)[image]));
        let sign = if (unit / concepts).is_multiple_of(2) { 1.0 } else { -1.0 };
        gauss(&mut rng) + sign * strength * held
    });
    let found = encodes(&acts, &design, &criterion()).unwrap();
    let (mut alone, mut siblings, mut asked) = (0, 0, 0);
    for (unit, cells) in found.cells.chunks(concepts).enumerate() {
        let encoded: Vec<usize> = (0..concepts).filter(|c| cells[*c].encodes).collect();
        alone += usize::from(encoded == [unit % concepts]);
        let others = (0..concepts).filter(|c| *c != unit % concepts && factors[*c] == factors[unit % concepts]);
        for other in others {
            asked += 1;
            siblings += usize::from(cells[other].encodes);
        }
    }
    [alone as f64 / units as f64, siblings as f64 / asked as f64]
}

#[test]
fn a_unit_of_one_value_encodes_that_one_only() {
    for (name, labels) in [("excluding", excluding(800)), ("independent", independent(800)), ("natural", natural(800))]
    {
        for (strength, seed) in [(1.5, 1), (3.0, 2), (8.0, 3)] {
            let [alone, siblings] = pure(&labels, 480, strength, seed);
            assert!(alone >= 0.98, "{name}, {strength}: {alone} encode their own alone");
            assert!(siblings <= 0.005, "{name}, {strength}: {siblings} of their siblings");
        }
    }
}

#[test]
fn a_unit_of_two_values_encodes_both_and_no_third() {
    let labels = excluding(800);
    let design = Design::from_labels(&labels).unwrap();
    let mut rng = stream(1, "two", 0);
    let concepts = design.concepts().len();
    let acts = matrix(design.images(), 200, |image, unit| {
        let held = |c: usize| f64::from(u8::from(design.present(c % concepts)[image]));
        gauss(&mut rng) + 2.0 * (held(unit) + held(unit + 1 + unit / concepts))
    });
    let found = encodes(&acts, &design, &criterion()).unwrap();
    let mut right = 0;
    for (unit, cells) in found.cells.chunks(concepts).enumerate() {
        let mut own = vec![unit % concepts, (unit + 1 + unit / concepts) % concepts];
        own.sort_unstable();
        right += usize::from((0..concepts).filter(|c| cells[*c].encodes).eq(own));
    }
    assert!(right >= 190, "{right} of 200");
}

/// Many draws of a unit that concept 0 moves, and as much as `fur` concept 4, which goes with it; it varies less where 0 is.
fn moved(design: &Design, fur: f64, units: usize, seed: u64) -> snellen::measure::encodes::Encodings {
    let mut rng = stream(seed, "draw", 0);
    let acts = matrix(design.images(), units, |image, _| {
        let [cat, furry] = [0, 4].map(|c| f64::from(u8::from(design.present(c)[image])));
        1.2 * cat + fur * furry + (1.0 - 0.6 * cat) * gauss(&mut rng)
    });
    encodes(&acts, design, &criterion()).unwrap()
}

fn partial(found: &snellen::measure::encodes::Encodings, design: &Design, c: usize) -> Vec<Partial> {
    found.cells.iter().skip(c).step_by(design.concepts().len()).map(|cell| cell.partial.unwrap()).collect()
}

#[test]
fn beyond_the_others_p_is_uniform_and_intervals_hold_the_truth() {
    let design = Design::from_labels(&natural(400)).unwrap();
    let units = 3_000;
    let covers = |of: &[Partial], truth: f64| {
        let held = of.iter().filter(|partial| (partial.effect_lo..=partial.effect_hi).contains(&truth)).count();
        held as f64 / units as f64
    };
    let found = moved(&design, 0.0, units, 1);
    let fur = partial(&found, &design, 4);
    let small = fur.iter().filter(|partial| partial.p <= 0.05).count() as f64 / units as f64;
    assert!((0.035..0.065).contains(&small), "{small} of p below .05");
    let zero = covers(&fur, 0.0);
    assert!((0.93..0.97).contains(&zero), "{zero} hold 0");
    // By itself it looks like what moves the unit.
    let marginal = found.cells.iter().skip(4).step_by(7).map(|cell| cell.held_out.unwrap().effect).sum::<f64>();
    assert!(marginal / units as f64 > 0.3, "{marginal}");
    // Where both move it, the truth is that of far more images.
    let found = moved(&design, 0.8, units, 3);
    let many = Design::from_labels(&natural(60_000)).unwrap();
    let truth = moved(&many, 0.8, 4, 4);
    for c in [0, 4] {
        let truth = partial(&truth, &many, c).iter().map(|partial| partial.effect).sum::<f64>() / 4.0;
        let own = covers(&partial(&found, &design, c), truth);
        assert!((0.92..0.98).contains(&own), "{own} hold {truth}");
    }
}

/// `{"objects": [[[value]]], "values": [], "answers": []}`, by another implementation.
fn answers() -> serde_json::Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/evidence.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn number(of: &serde_json::Value) -> f64 {
    of.as_f64().unwrap()
}

#[test]
fn partial_effects_have_the_answers_of_statsmodels() {
    let near = |got: f64, of: &serde_json::Value| {
        let expected = number(of);
        assert!((got - expected).abs() <= 1e-9 * expected.abs().max(1e-3), "{got} {expected}");
    };
    for case in answers()["partial"].as_array().unwrap() {
        let value = |of: &serde_json::Value| of.as_u64().map(|value| value as u32);
        let object = |of: &serde_json::Value| of.as_array().unwrap().iter().map(value).collect();
        let rows = case["objects"].as_array().unwrap().iter().enumerate().map(|(i, objects)| LabelRow {
            filename: i.to_string(),
            objects: objects.as_array().unwrap().iter().map(object).collect(),
        });
        let factor = |name: &str| Factor { name: name.to_owned(), values: ["x", "y", "z"].map(str::to_owned).to_vec() };
        let labels = LabelTable { factors: vec![factor("a"), factor("b")], rows: rows.collect() };
        let design = Design::from_labels(&labels).unwrap();
        let values: Vec<f32> = case["values"].as_array().unwrap().iter().map(|x| number(x) as f32).collect();
        for answer in case["answers"].as_array().unwrap() {
            let others: Vec<usize> =
                answer["others"].as_array().unwrap().iter().map(|c| c.as_u64().unwrap() as usize).collect();
            let concept = answer["concept"].as_u64().unwrap() as usize;
            let got = partial_effect(&values, &design, concept, &others, confidence(0.95)).unwrap().unwrap();
            near(got.estimate, &answer["estimate"]);
            near(got.lo, &answer["lo"]);
            near(got.hi, &answer["hi"]);
            near(got.p, &answer["p"]);
        }
    }
}

#[test]
fn one_more_model_would_lie_where_scipy_says() {
    for case in answers()["spread"].as_array().unwrap() {
        let values: Vec<f64> = case["values"].as_array().unwrap().iter().map(number).collect();
        let got = Spread::of(&values, confidence(0.95)).unwrap();
        for (got, key) in [(got.mean, "mean"), (got.lo, "lo"), (got.hi, "hi")] {
            assert!((got - number(&case[key])).abs() < 1e-9, "{key}: {got}");
        }
    }
    // Counts that agree by chance still vary as counts do.
    let same = Spread::of_counts(&[40, 40, 40], 100, confidence(0.95)).unwrap();
    assert!(same.lo < 25.0 && same.hi > 55.0, "{same:?}");
    let none = Spread::of_counts(&[0, 0, 0], 100, confidence(0.95)).unwrap();
    assert!(none.lo == 0.0 && none.hi > 3.0, "{none:?}");
    let [number, share] = [Spread::of, Spread::of_shares].map(|of| of(&[0.5, 0.9, 0.7], confidence(0.95)).unwrap());
    assert!(number.hi > 1.0 && share.hi == 1.0 && share.lo == number.lo && share.mean == number.mean, "{share:?}");
    assert_eq!(Spread::of(&[], confidence(0.95)), None);
    assert!(Spread::of(&[1.0], confidence(0.95)).unwrap().hi.is_infinite());
}

#[test]
fn another_untrained_model_lies_where_it_is_expected() {
    let mut rng = stream(9, "models", 0);
    let (mut inside, repeats) = (0, 4_000);
    for _ in 0..repeats {
        // Units of a model go together, so that counts vary far more than those of independent draws.
        let mut draw = || gauss(&mut rng) * 300.0 + 20_000.0;
        let models: Vec<usize> = (0..3).map(|_| draw().round() as usize).collect();
        let spread = Spread::of_counts(&models, 40_000, confidence(0.95)).unwrap();
        inside += usize::from((spread.lo..=spread.hi).contains(&draw()));
    }
    let share = f64::from(u32::try_from(inside).unwrap()) / f64::from(repeats);
    assert!((0.94..0.985).contains(&share), "{share}");
}

#[test]
fn of_two_values_the_one_that_raises_is_encoded() {
    let mut rng = stream(2, "binary", 0);
    let rows = (0..300).map(|i| LabelRow { filename: format!("{i}"), objects: vec![vec![Some((i % 2) as u32)]] });
    let factor = Factor { name: "animal".to_owned(), values: vec!["cat".to_owned(), "dog".to_owned()] };
    let labels = LabelTable { factors: vec![factor], rows: rows.collect() };
    let design = Design::from_labels(&labels).unwrap();
    let acts = matrix(300, 2, |image, unit| gauss(&mut rng) + if image % 2 == unit { 3.0 } else { 0.0 });
    let found = encodes(&acts, &design, &criterion()).unwrap();
    let encodes: Vec<bool> = found.cells.iter().map(|cell| cell.encodes).collect();
    // Of the other value nothing is left to say.
    assert_eq!(encodes, [true, false, false, true]);
    assert!(found.cells[1].partial.is_none() && found.cells[1].held_out.unwrap().effect < -0.8);
}

#[test]
fn what_one_object_is_says_nothing_of_the_others() {
    let labels = independent(3_000);
    let counts = labels.object_counts();
    let single: Vec<_> = labels.rows.iter().filter(|row| row.objects.len() == 1).collect();
    assert_eq!(single.len(), 600);
    let whole = |i: usize| single.iter().filter(|row| row.objects[0] == single[i].objects[0]).count();
    assert!((0..150).all(|i| whole(i) == 4), "each combination at each place as often");
    let pairs: Vec<_> = labels.rows.iter().filter(|row| row.objects.len() == 2).collect();
    let same = pairs.iter().filter(|row| row.objects[0][1] == row.objects[1][1]).count() as f64 / pairs.len() as f64;
    let colors = labels.factors[1].values.len() as f64;
    assert!((same - 1.0 / colors).abs() < 0.05, "{same}");
    assert!(labels.rows.iter().all(|row| {
        let mut places: Vec<_> = row.objects.iter().map(|object| object[2]).collect();
        places.sort_unstable();
        places.dedup();
        places.len() == row.objects.len()
    }));
    assert_eq!(counts.iter().max(), Some(&5));
}
