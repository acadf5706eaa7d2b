//! Classes of units on planted truth, and the shares that they are made of.

use UnitClass::{
    Conjunction, Constant, Count, Factor as OneFactor, Monosemantic, NonFinite, Polysemantic, Unexplained,
};
use snellen::lab::calibrate::{Trial, calibrate};
use snellen::lab::phantom::{Noise, PhantomConfig, phantom};
use snellen::measure::factorial::{Decomposed, Rule, UnitClass, decompose};
use snellen::measure::terms::Terms;
use snellen::measure::{Confidence, Matrix};
use snellen::scene::labels::{LabelRow, LabelTable};
use snellen::scene::{Combinations, Factor, World, generate};

fn toys(images: usize, seed: u64) -> LabelTable {
    let world = World::study();
    let scenes = generate::toy(&world, &Combinations::all(&world), 1..=5, images, seed).unwrap();
    let names: Vec<String> = (0..images).map(|i| format!("{i}.png")).collect();
    LabelTable::from_scenes(&world, &scenes, &names).unwrap()
}

/// Every shape in every colour at every position, alone, `repeats` times.
fn grid(repeats: usize) -> LabelTable {
    let world = World::study();
    let rows = (0..5 * 6 * 5 * repeats).map(|i| {
        let i = i as u32;
        LabelRow { filename: format!("{i}.png"), objects: vec![vec![Some(i % 5), Some(i / 5 % 6), Some(i / 30 % 5)]] }
    });
    LabelTable { factors: world.factors(), rows: rows.collect() }
}

fn units(labels: &LabelTable, signals: &[&dyn Fn(usize) -> f64]) -> Vec<Decomposed> {
    let mut rng = snellen::random::stream(6, "noise", 0);
    let images = labels.rows.len();
    let value = |i: usize, k: usize| signals[k](i) as f32;
    let noise: Vec<f32> = (0..images * signals.len()).map(|_| super::gauss(&mut rng) as f32 * 0.3).collect();
    let values = (0..images * signals.len()).map(|at| value(at / signals.len(), at % signals.len()) + noise[at]);
    let matrix = Matrix::new(images, signals.len(), values.collect()).unwrap();
    decompose(&matrix, &Terms::of(labels).unwrap(), &Rule::standard(0.05)).unwrap()
}

fn has(labels: &LabelTable, i: usize, f: usize, value: u32) -> f64 {
    f64::from(u8::from(labels.rows[i].objects.iter().any(|object| object[f] == Some(value))))
}

#[test]
fn planted_units_are_told_apart() {
    let labels = toys(600, 3);
    let l = &labels;
    let found = units(
        l,
        &[
            &|_| 0.0,
            &|i| l.rows[i].objects.len() as f64 * 0.5,
            &|i| -has(l, i, 0, 2),
            &|i| has(l, i, 1, 0) + has(l, i, 1, 4),
            &|i| has(l, i, 0, 1).max(has(l, i, 2, 3)),
            &|i| 2.0 * f64::from(u8::from(l.rows[i].objects.iter().any(|o| o[0] == Some(1) && o[1] == Some(3)))),
            // An exception to a rule is the rule with the other sign.
            &|i| (0..4).map(|v| has(l, i, 0, v)).sum(),
            // One value, and images with more objects.
            &|i| has(l, i, 1, 2) + 0.5 * l.rows[i].objects.len() as f64,
        ],
    );
    let classes: Vec<UnitClass> = found.iter().map(|unit| unit.class).collect();
    let expected = [Unexplained, Count, Monosemantic, OneFactor, Polysemantic, Conjunction, Monosemantic, Monosemantic];
    assert_eq!(classes, expected);
    let factors: Vec<&[usize]> = found.iter().map(|unit| unit.factors.as_slice()).collect();
    assert_eq!(factors, [&[][..], &[], &[0], &[1], &[0, 2], &[0, 1], &[0], &[1]]);
    assert!(found[1].eta2_count.unwrap() > 0.8 && found[1].eta2_main.unwrap() < 0.02);
    assert!(found[5].eta2_interaction.unwrap() > 4.0 * found[5].eta2_main.unwrap());
    assert_eq!(found[0].cv_r2, Some(0.0));
}

#[test]
fn single_objects_in_a_full_grid_have_the_shares_of_the_textbook() {
    // On a balanced grid of single objects shares are known: of AND of two values, p and q the shares of each,
    // p q (p + q - 2 p q) are main effects and p (1 - p) q (1 - q) interaction.
    let labels = grid(8);
    let l = &labels;
    let found = units(
        l,
        &[&|i| 10.0 * has(l, i, 0, 1) * has(l, i, 1, 2), &|i| 10.0 * has(l, i, 0, 1).max(has(l, i, 1, 2)), &|i| {
            10.0 * has(l, i, 2, 4)
        }],
    );
    assert_eq!(found.iter().map(|u| u.class).collect::<Vec<_>>(), [Conjunction, Polysemantic, Monosemantic]);
    let (p, q) = (1.0 / 5.0, 1.0 / 6.0);
    let near = |got: Option<f64>, expected: f64| assert!((got.unwrap() - expected).abs() < 0.02, "{got:?} {expected}");
    let both = p * q * (1.0 - p * q) + 0.0009;
    near(found[0].eta2_main, p * q * (p + q - 2.0 * p * q) / both);
    near(found[0].eta2_interaction, p * (1.0 - p) * q * (1.0 - q) / both);
    let none = (1.0 - p) * (1.0 - q);
    let either = none * (1.0 - none) + 0.0009;
    near(found[1].eta2_main, ((1.0 - q).powi(2) * p * (1.0 - p) + (1.0 - p).powi(2) * q * (1.0 - q)) / either);
    near(found[1].eta2_interaction, p * (1.0 - p) * q * (1.0 - q) / either);
    assert!(found.iter().all(|unit| unit.eta2_count.unwrap().abs() < 1e-9), "every image has one object");
}

#[test]
fn calibration_reaches_what_is_asked() {
    let confidence = Confidence::new(0.95).unwrap();
    let scenes = toys(500, 9);
    for (labels, ratio, least) in [(&toys(2000, 5), 1.0, 0.98), (&toys(2000, 6), 0.25, 0.95), (&scenes, 1.0, 0.95)] {
        for noise in Noise::ALL {
            let trial = Trial { images: String::new(), ratio, noise, units: 1200, q: 0.05, seed: 31 };
            let found = calibrate(labels, &trial, confidence).unwrap();
            assert!(found.macro_f1 >= least, "{noise}, {ratio}: {found:#?}");
            assert!(found.false_discoveries.unwrap().estimate <= 0.06, "{noise}, {ratio}: {found:#?}");
            assert!(found.conjunctions_called_polysemantic.unwrap().estimate <= 0.01);
            let [lo, hi] = found.macro_f1_interval;
            assert!(lo <= found.macro_f1 && found.macro_f1 <= hi);
        }
    }
}

#[test]
fn of_nothing_and_of_counting_nothing_is_made() {
    let labels = toys(800, 2);
    let config = |classes: &[UnitClass], noise, seed| PhantomConfig {
        classes: classes.to_vec(),
        units: 1000,
        ratio: 1.0,
        noise,
        seed,
    };
    let terms = Terms::of(&labels).unwrap();
    let mut called = [0; 2];
    for (seed, noise) in Noise::ALL.into_iter().enumerate() {
        for (k, classes) in [&[Unexplained][..], &[Unexplained, Count]].into_iter().enumerate() {
            let planted = phantom(&labels, &config(classes, noise, seed as u64)).unwrap();
            let found = decompose(&planted.activations, &terms, &Rule::standard(0.05)).unwrap();
            let terms = found.iter().filter(|unit| !matches!(unit.class, Unexplained | Count)).count();
            called[k] += usize::from(terms > 0);
            assert!(terms <= 5, "{noise}: {terms} of 1000 units depend on values");
        }
    }
    // Where all is noise, a family has any discovery in 5 % of cases.
    assert!(called.iter().all(|called| *called <= 2), "{called:?}");
}

#[test]
fn what_is_no_activation_has_a_class_of_its_own() {
    let labels = toys(100, 1);
    let config = PhantomConfig {
        classes: vec![Constant, NonFinite, Monosemantic],
        units: 6,
        ratio: 4.0,
        noise: Noise::Normal,
        seed: 2,
    };
    let planted = phantom(&labels, &config).unwrap();
    let found = decompose(&planted.activations, &Terms::of(&labels).unwrap(), &Rule::standard(0.05)).unwrap();
    for (found, planted) in found.iter().zip(&planted.planted) {
        assert_eq!(found.class, *planted);
        assert_eq!(found.cv_r2.is_none(), *planted != Monosemantic);
    }
}

#[test]
fn classes_do_not_depend_on_scale_sign_order_or_threads() {
    let labels = toys(300, 7);
    let config = |units| PhantomConfig {
        classes: vec![Unexplained, Count, Monosemantic, OneFactor, Polysemantic, Conjunction],
        units,
        ratio: 1.0,
        noise: Noise::Normal,
        seed: 8,
    };
    let planted = phantom(&labels, &config(300)).unwrap().activations;
    let terms = Terms::of(&labels).unwrap();
    let of = |matrix: &Matrix| decompose(matrix, &terms, &Rule::standard(0.05)).unwrap();
    let classes = |found: &[Decomposed]| found.iter().map(|unit| unit.class).collect::<Vec<_>>();
    let found = of(&planted);
    let map = |value: &dyn Fn(usize, usize) -> f32| {
        Matrix::new(300, 300, (0..90_000).map(|at| value(at / 300, at % 300)).collect()).unwrap()
    };
    let at = |i: usize, u: usize| planted.row(i)[u];
    assert_eq!(classes(&of(&map(&|i, u| -1e6 * at(i, u)))), classes(&found));
    assert_eq!(classes(&of(&map(&|i, u| 3.0 + 1e-3 * at(i, u)))), classes(&found));
    let turned = of(&map(&|i, u| at(i, 299 - u)));
    assert_eq!(classes(&turned).into_iter().rev().collect::<Vec<_>>(), classes(&found));
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one.install(|| of(&planted)), found);
    // A unit of a phantom does not depend on how many there are.
    let fewer = phantom(&labels, &config(7)).unwrap().activations;
    assert_eq!(fewer.column(6), planted.column(6));
}

#[test]
fn any_factors_and_any_number_of_objects() {
    // Two factors of other names, objects that lack one, images without any.
    let factor = |name: &str, values: &[&str]| Factor {
        name: name.to_owned(),
        values: values.iter().map(|v| (*v).to_owned()).collect(),
    };
    let rows = (0..400_u32).map(|i| {
        let object = |k: u32| {
            let draw = (i * 7919 + k * 104_729) % 1009;
            let material = (!draw.is_multiple_of(5)).then_some(draw % 3);
            vec![(!draw.is_multiple_of(4) || material.is_none()).then_some(draw / 3 % 4), material]
        };
        LabelRow { filename: format!("{i}"), objects: (0..i % 4).map(object).collect() }
    });
    let factors = vec![factor("texture", &["a", "b", "c", "d"]), factor("material", &["wood", "glass", "tin"])];
    let labels = LabelTable { factors, rows: rows.collect() };
    labels.check().unwrap();
    let l = &labels;
    let found = units(l, &[&|i| has(l, i, 1, 2), &|i| has(l, i, 0, 1) + has(l, i, 1, 0), &|_| 0.0]);
    assert_eq!(found.iter().map(|u| u.class).collect::<Vec<_>>(), [Monosemantic, Polysemantic, Unexplained]);
}

#[test]
fn a_factor_with_as_many_values_as_images_is_left_out() {
    // Two such factors have more cells than memory has room for columns.
    let mut labels = toys(4000, 4);
    let factor = |name: &str| Factor { name: name.to_owned(), values: (0..4000).map(|v| format!("{v}")).collect() };
    labels.factors.extend([factor("id"), factor("other")]);
    for (i, row) in labels.rows.iter_mut().enumerate() {
        row.objects.iter_mut().for_each(|object| object.extend([Some(i as u32), Some((i * 7 % 4000) as u32)]));
    }
    let l = &labels;
    let found = units(l, &[&|i| has(l, i, 0, 2), &|_| 0.0]);
    assert_eq!(found.iter().map(|u| u.class).collect::<Vec<_>>(), [Monosemantic, Unexplained]);
}

#[test]
fn too_little_to_decompose_is_refused() {
    let refuses = |result: snellen::Result<()>, says: &str| {
        let error = result.unwrap_err();
        assert!(error.is_bad_input() && error.to_string().contains(says), "{error}");
    };
    refuses(Terms::of(&toys(15, 1)).map(|_| ()), "at least 16 images");
    let terms = Terms::of(&toys(20, 1)).unwrap();
    let matrix = Matrix::new(21, 1, vec![0.0; 21]).unwrap();
    refuses(decompose(&matrix, &terms, &Rule::standard(0.05)).map(|_| ()), "20 images");
    let config = PhantomConfig { classes: vec![Polysemantic], units: 2, ratio: 1.0, noise: Noise::Normal, seed: 0 };
    let one = LabelTable { factors: World::study().factors()[..1].to_vec(), rows: toys(50, 1).rows };
    let one = LabelTable {
        rows: one
            .rows
            .into_iter()
            .map(|row| LabelRow { objects: row.objects.iter().map(|o| o[..1].to_vec()).collect(), ..row })
            .collect(),
        ..one
    };
    refuses(phantom(&one, &config).map(|_| ()), "2 factors");
    refuses(phantom(&toys(50, 1), &PhantomConfig { ratio: 0.0, ..config.clone() }).map(|_| ()), "positive");
    refuses(phantom(&toys(50, 1), &PhantomConfig { classes: vec![UnitClass::Mixed], ..config }).map(|_| ()), "mixed");
}
