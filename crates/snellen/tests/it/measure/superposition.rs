//! The concepts of a site together: known answers from numpy, invariance, planted directions, and noise.

use super::{confidence, floats, gauss, matrix, near};
use rand::RngExt;
use serde_json::Value;
use snellen::Error;
use snellen::measure::encodes::Criterion;
use snellen::measure::superposition::{SiteGeometry, Superposition};
use snellen::measure::{Interval, Matrix};
use snellen::random::stream;
use snellen::scene::Factor;
use snellen::scene::labels::{LabelRow, LabelTable};

fn criterion(seed: u64) -> Criterion {
    Criterion { q: 0.05, min_effect: 0.3, confidence: confidence(0.95), seed }
}

fn table(values: &[usize], objects: Vec<Vec<Vec<Option<u32>>>>) -> LabelTable {
    let factor = |(f, n): (usize, &usize)| Factor {
        name: format!("factor {f}"),
        values: (0..*n).map(|v| format!("value {v}")).collect(),
    };
    let row = |(i, objects)| LabelRow { filename: format!("{i}.png"), objects };
    LabelTable {
        factors: values.iter().enumerate().map(factor).collect(),
        rows: objects.into_iter().enumerate().map(row).collect(),
    }
}

/// Images of one to four objects in three factors; no value comes twice.
fn toys(images: usize, seed: u64) -> LabelTable {
    let values = [5, 6, 4];
    let mut rng = stream(seed, "toys", 0);
    let objects = (0..images).map(|i| {
        let deals: Vec<Vec<u32>> = values
            .iter()
            .map(|n| {
                let mut left: Vec<u32> = (0..*n as u32).collect();
                (0..=i % 4).map(|_| left.swap_remove(rng.random_range(0..left.len()))).collect()
            })
            .collect();
        (0..=i % 4).map(|k| deals.iter().map(|deal| Some(deal[k])).collect()).collect()
    });
    table(&values, objects.collect())
}

fn of(labels: &LabelTable, matrix: &Matrix, seed: u64) -> SiteGeometry {
    let superposition = Superposition::of(labels, &criterion(seed)).unwrap().unwrap();
    superposition.measure(matrix.units(), [Ok::<_, Error>(matrix)]).unwrap()
}

/// To 1e-6: inner products of f32 activations, and the rounding of scores to f32.
#[track_caller]
fn interval(got: Option<Interval>, expected: &Value) {
    if expected.is_null() {
        assert_eq!(got, None);
        return;
    }
    let got = got.unwrap_or_else(|| panic!("nothing for {expected}"));
    for (got, expected) in [got.estimate, got.lo, got.hi].into_iter().zip(floats(expected)) {
        assert!((got - expected).abs() <= 1e-6 * expected.abs().max(1.0), "expected {expected}, got {got}");
    }
}

#[test]
fn concepts_together_have_the_answers_of_numpy() {
    let cases: Value = serde_json::from_str(include_str!("../../fixtures/superposition.json")).unwrap();
    let mut fewer = 0;
    for case in cases.as_array().unwrap() {
        let values: Vec<usize> =
            case["factors"].as_array().unwrap().iter().map(|values| values.as_array().unwrap().len()).collect();
        let labels = table(&values, serde_json::from_value(case["objects"].clone()).unwrap());
        let units = case["units"].as_u64().unwrap() as usize;
        let acts = floats(&case["activations"]).into_iter().map(|x| x as f32).collect();
        let acts = Matrix::new(labels.rows.len(), units, acts).unwrap();
        let halves: [Vec<usize>; 2] = serde_json::from_value(case["halves"].clone()).unwrap();
        let rows = (0..labels.rows.len()).collect();
        let together = Superposition::in_halves(&labels, rows, halves, &criterion(0)).unwrap();
        let got = together.measure(units, [Ok::<_, Error>(&acts)]).unwrap();
        near(got.together.participation_ratio.unwrap(), case["participation_ratio"].as_f64().unwrap());
        assert_eq!(got.together.k95, case["k95"].as_u64().map(|k| k as usize));
        interval(got.together.count_r2, &case["count_r2"]);
        interval(got.together.linear_r2, &case["linear_r2"]);
        interval(got.together.linear_r2_white, &case["linear_r2_white"]);
        interval(got.together.conjunction_gain, &case["conjunction_gain"]);
        let pair = case["conjunction_factors"].as_array().unwrap();
        let pair: Vec<String> = pair.iter().map(|f| format!("factor {f}")).collect();
        assert_eq!(got.together.conjunction_factors.clone().map(Vec::from), Some(pair));
        for (c, concept) in got.concepts.iter().enumerate() {
            let number = |got: Option<f64>, expected: &Value| {
                assert_eq!(got.is_some(), expected.is_number(), "concept {c}");
                got.iter().zip(expected.as_f64()).for_each(|(got, expected)| near(*got, expected));
            };
            number(concept.interference, &case["interference"][c]);
            number(concept.dimensionality, &case["dimensionality"][c]);
            near(concept.probe.as_ref().unwrap().auroc, case["probe"][c].as_f64().unwrap());
            interval(concept.d_prime, &case["d_prime"][c]);
        }
        let pairs = case["pairs"].as_array().unwrap();
        assert_eq!(pairs.len(), got.pairs.len());
        for (got, expected) in got.pairs.iter().zip(pairs) {
            assert_eq!(
                (got.a as u64, got.b as u64),
                (expected["a"].as_u64().unwrap(), expected["b"].as_u64().unwrap())
            );
            interval(got.cos_cv, &expected["cos_cv"]);
            near(got.overlap.unwrap().overlap.estimate, expected["overlap"].as_f64().unwrap());
            interval(got.interference_ab, &expected["interference_ab"]);
            interval(got.interference_ba, &expected["interference_ba"]);
            fewer += usize::from(got.cos_cv.is_none());
        }
    }
    assert!(fewer > 0, "a direction that does not stand out is among them");
}

/// Directions `[concept, unit]`, and images as sums of those of their concepts; noise of deviation `noise`, 1 for the number of objects.
fn sums(labels: &LabelTable, directions: &[Vec<f64>], noise: f64, seed: u64) -> Matrix {
    let mut rng = stream(seed, "sums", 0);
    let present: Vec<Vec<bool>> = labels.concepts().iter().map(|c| labels.present(c).unwrap()).collect();
    let units = directions[0].len();
    let of_count: Vec<f64> = (0..units).map(|_| gauss(&mut rng)).collect();
    let rows: Vec<Vec<f64>> = (0..labels.rows.len())
        .map(|i| {
            let shown = || directions.iter().zip(&present).filter(|(_, present)| present[i]).map(|(d, _)| d);
            let objects = labels.rows[i].objects.len() as f64;
            (0..units)
                .map(|u| shown().map(|d| d[u]).sum::<f64>() + objects * of_count[u] + noise * gauss(&mut rng))
                .collect()
        })
        .collect();
    matrix(labels.rows.len(), units, |i, u| rows[i][u])
}

fn random_directions(concepts: usize, units: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = stream(seed, "directions", 0);
    (0..concepts).map(|_| (0..units).map(|_| gauss(&mut rng)).collect()).collect()
}

/// What can be known of planted directions: those of a factor less their mean.
fn known(directions: &[Vec<f64>], values: &[usize]) -> Vec<Vec<f64>> {
    let mut known = Vec::new();
    let mut first = 0;
    for n in values {
        let of_factor = &directions[first..first + n];
        let mean = |u: usize| of_factor.iter().map(|d| d[u]).sum::<f64>() / *n as f64;
        known.extend(of_factor.iter().map(|d| (0..d.len()).map(|u| d[u] - mean(u)).collect::<Vec<_>>()));
        first += n;
    }
    known
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

#[test]
fn planted_cosines_come_back_without_bias() {
    let labels = toys(1000, 1);
    let (mut errors, mut inside) = (Vec::new(), 0);
    for seed in 0..4 {
        let mut directions = random_directions(15, 60, seed);
        // A shared part for a shape and a colour.
        let shared: Vec<f64> = directions[0].iter().map(|x| 1.2 * x).collect();
        directions[7].iter_mut().zip(&shared).for_each(|(x, more)| *x += more);
        let truth = known(&directions, &[5, 6, 4]);
        // A ratio of signal and noise of about 1/9 per concept and unit.
        let got = of(&labels, &sums(&labels, &directions, 3.0, seed), seed);
        for pair in &got.pairs {
            let (found, truth) = (pair.cos_cv.unwrap(), cosine(&truth[pair.a], &truth[pair.b]));
            errors.push(found.estimate - truth);
            inside += usize::from(found.lo <= truth && truth <= found.hi);
        }
    }
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    assert!(mean.abs() < 0.01, "{mean}");
    let share = inside as f64 / errors.len() as f64;
    assert!((0.92..0.98).contains(&share), "{share}");
}

/// A site of no more units than images is decomposed by its units, a wider one by its images.
#[test]
fn a_site_is_the_same_by_its_units_and_by_its_images() {
    let labels = toys(240, 11);
    let mut rng = stream(12, "directions", 0);
    let directions: Vec<Vec<f64>> = (0..15).map(|_| (0..40).map(|_| gauss(&mut rng)).collect()).collect();
    let narrow = sums(&labels, &directions, 1.0, 13);
    // Units that are the same on all images say nothing, and make it wide.
    let wide = matrix(240, 300, |i, u| if u < 40 { f64::from(narrow.row(i)[u]) } else { 1.0 });
    let [narrow, wide] = [&narrow, &wide].map(|acts| of(&labels, acts, 14));
    let close = |a: Option<Interval>, b: Option<Interval>| {
        let (a, b) = (a.unwrap(), b.unwrap());
        for (a, b) in [(a.estimate, b.estimate), (a.lo, b.lo), (a.hi, b.hi)] {
            assert!((a - b).abs() < 1e-8 * a.abs().max(1.0), "{a} and {b}");
        }
    };
    let number = |value: f64| Some(Interval { estimate: value, lo: value, hi: value });
    let [a, b] = [&narrow.together, &wide.together];
    assert_eq!((a.k95, a.decodable, a.decodable_by_chance), (b.k95, b.decodable, b.decodable_by_chance));
    assert!(a.decodable > 5, "{a:?}");
    close(a.participation_ratio.and_then(number), b.participation_ratio.and_then(number));
    close(a.count_r2, b.count_r2);
    close(a.linear_r2, b.linear_r2);
    close(a.linear_r2_white, b.linear_r2_white);
    close(a.conjunction_gain, b.conjunction_gain);
    for (a, b) in narrow.concepts.iter().zip(&wide.concepts) {
        assert_eq!((a.probe.unwrap().auroc, a.decodable), (b.probe.unwrap().auroc, b.decodable));
        close(a.d_prime, b.d_prime);
        close(a.dimensionality.and_then(number), b.dimensionality.and_then(number));
    }
    for (a, b) in narrow.pairs.iter().zip(&wide.pairs).filter(|(a, _)| a.a < 5 && a.b >= 5) {
        close(a.cos_cv, b.cos_cv);
        close(a.interference_ab, b.interference_ab);
        close(a.interference_ba, b.interference_ba);
    }
}

#[test]
fn nothing_depends_on_the_basis_but_the_overlap() {
    let labels = toys(300, 2);
    // Units that stand for one concept each.
    let mut rng = stream(3, "units", 0);
    let alone: Vec<Vec<f64>> =
        (0..15).map(|c| (0..60).map(|u| if u % 15 == c { 2.0 + gauss(&mut rng) } else { 0.0 }).collect()).collect();
    let acts = sums(&labels, &alone, 0.5, 4);
    let frame = random_directions(60, 60, 5);
    // Gram and Schmidt.
    let mut q: Vec<Vec<f64>> = Vec::new();
    for mut column in frame {
        for done in &q {
            let along: f64 = column.iter().zip(done).map(|(a, b)| a * b).sum();
            column.iter_mut().zip(done).for_each(|(x, d)| *x -= along * d);
        }
        let length = column.iter().map(|x| x * x).sum::<f64>().sqrt();
        q.push(column.into_iter().map(|x| x / length).collect());
    }
    let turned = matrix(300, 60, |i, u| acts.row(i).iter().zip(&q[u]).map(|(x, q)| f64::from(*x) * q).sum());
    let [plain, turned] = [&acts, &turned].map(|acts| of(&labels, acts, 6));
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-4 * a.abs().max(1.0), "{a} and {b}");
    close(plain.together.participation_ratio.unwrap(), turned.together.participation_ratio.unwrap());
    close(plain.together.linear_r2.unwrap().hi, turned.together.linear_r2.unwrap().hi);
    close(plain.together.linear_r2_white.unwrap().lo, turned.together.linear_r2_white.unwrap().lo);
    close(plain.together.conjunction_gain.unwrap().lo, turned.together.conjunction_gain.unwrap().lo);
    assert_eq!((plain.together.k95, plain.together.decodable), (turned.together.k95, turned.together.decodable));
    for (a, b) in plain.concepts.iter().zip(&turned.concepts) {
        close(a.interference.unwrap(), b.interference.unwrap());
        close(a.dimensionality.unwrap(), b.dimensionality.unwrap());
        close(a.d_prime.unwrap().lo, b.d_prime.unwrap().lo);
    }
    let other = |pair: &&snellen::measure::superposition::PairGeometry| pair.a < 5 && pair.b >= 5;
    for (a, b) in plain.pairs.iter().zip(&turned.pairs).filter(|(a, _)| other(a)) {
        close(a.cos_cv.unwrap().hi, b.cos_cv.unwrap().hi);
        close(a.interference_ab.unwrap().lo, b.interference_ab.unwrap().lo);
        // Units that stand for one concept overlap less than any rotation of them; turned ones are like any other rotation.
        let [own, other] = [a, b].map(|pair| pair.overlap.unwrap());
        assert!(own.overlap.estimate < own.rotated.lo && own.overlap.estimate < own.null - 0.1, "{own:?}");
        assert!(
            other.overlap.estimate > own.overlap.estimate
                && (own.rotated.estimate - other.rotated.estimate).abs() < 0.02
        );
    }
    let among = turned.pairs.iter().filter(other).map(|pair| pair.overlap.unwrap());
    let among: Vec<bool> =
        among.map(|o| o.rotated.lo <= o.overlap.estimate && o.overlap.estimate <= o.rotated.hi).collect();
    let share = among.iter().filter(|x| **x).count() as f64 / among.len() as f64;
    assert!(share > 0.8, "{share}");
}

#[test]
fn of_noise_and_of_counting_nothing_is_made() {
    let labels = toys(600, 7);
    let nothing = vec![vec![0.0; 80]; 15];
    let (mut inside, mut all, mut some, mut overlaps, mut covered) = (0, 0, 0, 0, 0);
    for seed in 0..3 {
        let got = of(&labels, &sums(&labels, &nothing, 1.0, seed), seed);
        assert!(got.together.decodable <= 1 && got.together.decodable_by_chance <= 1);
        assert!(got.together.linear_r2.unwrap().estimate < got.together.count_r2.unwrap().estimate);
        assert!(got.together.conjunction_gain.unwrap().estimate < 0.0);
        // 80 directions of noise.
        assert!(
            (60.0..100.0).contains(&got.together.participation_ratio.unwrap()),
            "{:?}",
            got.together.participation_ratio
        );
        for pair in &got.pairs {
            some += usize::from(pair.cos_cv.is_some());
            let overlap = pair.overlap.unwrap();
            assert!((overlap.overlap.estimate - overlap.null).abs() < 0.2, "{overlap:?}");
            overlaps += 1;
            covered += usize::from(overlap.overlap.lo <= overlap.null && overlap.null <= overlap.overlap.hi);
            for interference in [pair.interference_ab, pair.interference_ba] {
                let interference = interference.unwrap();
                all += 1;
                inside += usize::from(interference.lo <= 0.0 && 0.0 <= interference.hi);
            }
        }
    }
    let share = inside as f64 / all as f64;
    assert!((0.92..0.98).contains(&share), "{share}");
    assert!(some <= 3, "{some} cosines of nothing");
    let share = covered as f64 / f64::from(overlaps);
    assert!(share > 0.85, "{share} of the intervals of overlaps of noise hold what noise gives");
}

#[test]
fn what_interferes_with_what_is_found() {
    let labels = toys(1000, 8);
    let mut directions = random_directions(15, 20, 9);
    // The direction of a colour is that of a shape: a reader of either is fooled by the other.
    directions[7] = directions[0].clone();
    let got = of(&labels, &sums(&labels, &directions, 2.0, 10), 11);
    let same = got.pairs.iter().find(|pair| (pair.a, pair.b) == (0, 7)).unwrap();
    let [ab, ba] = [same.interference_ab, same.interference_ba].map(Option::unwrap);
    assert!(ab.lo > 0.5 && ba.lo > 0.5, "{same:?}");
    let others = got.pairs.iter().filter(|pair| pair.a < 5 && pair.b >= 5 && (pair.a, pair.b) != (0, 7));
    let larger = others.filter(|pair| pair.interference_ab.unwrap().estimate > ab.estimate).count();
    assert_eq!(larger, 0);
    assert!(got.concepts[0].interference.unwrap() > 2.0 * got.concepts[1].interference.unwrap());
    assert!(got.concepts[0].dimensionality.unwrap() < got.concepts[1].dimensionality.unwrap());
}

#[test]
fn bindings_are_a_gain_and_sums_are_none() {
    let labels = toys(800, 12);
    let directions = random_directions(15, 40, 13);
    let plain = sums(&labels, &directions, 1.0, 14);
    assert!(of(&labels, &plain, 0).together.conjunction_gain.unwrap().hi < 0.0);
    let cells = random_directions(30, 40, 15);
    let bound = matrix(800, 40, |i, u| {
        let cell = |object: &Vec<Option<u32>>| cells[(object[0].unwrap() * 6 + object[1].unwrap()) as usize][u];
        f64::from(plain.row(i)[u]) + labels.rows[i].objects.iter().map(cell).sum::<f64>()
    });
    let got = of(&labels, &bound, 0);
    assert!(got.together.conjunction_gain.unwrap().lo > 0.05, "{:?}", got.together.conjunction_gain);
    assert_eq!(got.together.conjunction_factors, Some(["factor 0", "factor 1"].map(str::to_owned)));
}

#[test]
fn blocks_and_threads_change_no_byte() {
    let labels = toys(120, 16);
    let acts = sums(&labels, &random_directions(15, 50, 17), 1.0, 18);
    let whole = of(&labels, &acts, 19);
    let together = Superposition::of(&labels, &criterion(19)).unwrap().unwrap();
    let block = |units: std::ops::Range<usize>| {
        let width = units.len();
        matrix(120, width, |i, u| f64::from(acts.row(i)[units.start + u]))
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    // One thread gives the very bytes, blocks the same numbers up to the order of sums.
    assert_eq!(pool.install(|| of(&labels, &acts, 19)), whole);
    let cut = together.measure(50, [Ok::<_, Error>(block(0..17)), Ok(block(17..50))]).unwrap();
    assert_eq!((cut.together.k95, cut.together.decodable), (whole.together.k95, whole.together.decodable));
    near(cut.together.linear_r2.unwrap().estimate, whole.together.linear_r2.unwrap().estimate);
    for (a, b) in cut.pairs.iter().zip(&whole.pairs) {
        near(a.overlap.unwrap().overlap.estimate, b.overlap.unwrap().overlap.estimate);
        near(a.overlap.unwrap().null, b.overlap.unwrap().null);
    }
}

#[test]
fn what_cannot_be_measured_is_missing() {
    let labels = toys(100, 20);
    let noise = |units: usize| {
        let mut rng = stream(21, "noise", 0);
        matrix(100, units, |_, _| gauss(&mut rng))
    };
    // Nothing varies.
    let got = of(&labels, &matrix(100, 3, |_, u| u as f64), 0);
    assert_eq!(
        (got.together.participation_ratio, got.together.k95, got.together.linear_r2, got.together.linear_r2_white),
        (None, None, None, None)
    );
    assert!(got.pairs.iter().all(|pair| pair.cos_cv.is_none() && pair.overlap.is_none()));
    assert!(got.pairs.iter().all(|pair| pair.interference_ab.is_none()), "{:?}", got.pairs[0]);
    // Units that are not finite are left out, of more than one and of one.
    let plain = noise(4);
    let odd = matrix(100, 6, |i, u| match u {
        4 => 1.0,
        5 if i == 3 => f64::NAN,
        _ => f64::from(plain.row(i)[u % 4]),
    });
    let [a, b] = [&plain, &odd].map(|acts| of(&labels, acts, 0));
    assert_eq!(
        (a.together.participation_ratio, a.together.linear_r2),
        (b.together.participation_ratio, b.together.linear_r2)
    );
    of(&labels, &noise(1), 0);
    // Values as large as they come.
    let large = matrix(100, 4, |i, u| f64::from(plain.row(i)[u]) * 1e37);
    let (large, plain) =
        (of(&labels, &large, 0).together.participation_ratio.unwrap(), a.together.participation_ratio.unwrap());
    assert!((large - plain).abs() < 1e-6 * plain, "{large} {plain}");
    // Too few images, other images.
    assert!(Superposition::of(&toys(15, 0), &criterion(0)).unwrap().is_none());
    let together = Superposition::of(&labels, &criterion(0)).unwrap().unwrap();
    let refused = together.measure(2, [Ok::<_, Error>(matrix(50, 2, |_, _| 0.0))]).unwrap_err();
    assert!(refused.to_string().contains("activations"), "{refused}");
    // A factor that is another value on every image, a value on every image, and one on hardly any.
    let objects = (0..100_u32).map(|i| vec![vec![Some(i), Some(0), Some(u32::from(i % 33 == 0))]]).collect();
    let got = of(&table(&[100, 1, 2], objects), &noise(5), 0);
    assert!(got.concepts.iter().all(|concept| concept.probe.is_none() && !concept.decodable));
    assert!(got.pairs.iter().all(|pair| pair.cos_cv.is_none() && pair.interference_ab.is_none()));
    // Images without objects.
    let objects = (0..100).map(|i| if i % 2 == 0 { vec![] } else { vec![vec![Some(i / 2 % 2)]] }).collect();
    of(&table(&[2], objects), &noise(5), 0);
}

#[test]
fn of_many_images_some_are_looked_at() {
    let labels = toys(4500, 22);
    let acts = sums(&labels, &random_directions(15, 8, 23), 1.0, 24);
    let got = of(&labels, &acts, 25);
    assert_eq!(got.together.images, 1500);
    assert!(
        got.together.decodable >= 8 && got.together.decodable_by_chance <= 1,
        "{} {}",
        got.together.decodable,
        got.together.decodable_by_chance
    );
}
