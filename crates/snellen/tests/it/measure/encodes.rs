use super::{concepts, confidence, gauss, matrix};
use rand::RngExt;
use snellen::measure::auroc::{EXACT_BELOW, Flag, auroc, aurocs};
use snellen::measure::encodes::{Criterion, Encodings, UnitConcept, encodes, encodes_in_blocks};
use snellen::measure::{Design, Matrix};
use snellen::random::stream;

fn criterion(min_effect: f64) -> Criterion {
    Criterion { q: 0.05, min_effect, confidence: confidence(0.95), seed: 11 }
}

/// Images with one to four objects; concept c is in about one of `c + 2` objects.
fn design(images: usize, count: usize) -> Design {
    let mut rng = stream(7, "design", 0);
    let strata: Vec<usize> = (0..images).map(|i| 1 + i % 4).collect();
    let presence = |c: usize| {
        let absent = 1.0 - 1.0 / (c + 2) as f64;
        strata.iter().map(|&objects| rng.random_bool(1.0 - absent.powi(objects as i32))).collect()
    };
    let present = (0..count).map(presence).collect();
    Design::new(concepts(count), present, strata).unwrap()
}

fn noise(images: usize, units: usize) -> Matrix {
    let mut rng = stream(8, "noise", 0);
    matrix(images, units, |_, _| gauss(&mut rng))
}

fn of(encodings: &Encodings, concepts: usize, unit: usize) -> &[UnitConcept] {
    &encodings.cells[unit * concepts..][..concepts]
}

#[test]
fn noise_encodes_nothing() {
    let design = design(200, 6);
    // Without a bound on the effect, so that only the choice by q stands between noise and a discovery.
    let found = encodes(&noise(200, 1_500), &design, &criterion(0.0)).unwrap();
    assert!(found.summary.encoding.any <= 2, "{:?}", found.summary);
    assert!(found.summary.null.any <= 2, "{:?}", found.summary);
    let small = found.cells.iter().filter(|cell| cell.chosen.unwrap().p <= 0.05).count() as f64;
    assert!((0.045..0.055).contains(&(small / 9_000.0)), "{small}");
    let covered = |cell: &&UnitConcept| cell.held_out.is_some_and(|h| h.effect_lo <= 0.0 && 0.0 <= h.effect_hi);
    let covered = found.cells.iter().filter(covered).count() as f64;
    assert!((0.95..0.97).contains(&(covered / 9_000.0)), "{covered}");
}

#[test]
fn scores_alone_are_the_same_scores() {
    let design = design(150, 3);
    let mut rng = stream(10, "units", 0);
    let acts = matrix(150, 37, |image, unit| match unit {
        5 => 1.0,
        9 if image == 2 => f64::INFINITY,
        _ if unit % 2 == 0 => (gauss(&mut rng) * 2.0).round(),
        _ => gauss(&mut rng),
    });
    let alone = aurocs(&acts, &design).unwrap();
    for unit in 0..37 {
        for concept in 0..3 {
            let one = auroc(&acts.column(unit), design.present(concept), design.strata(), 0, confidence(0.9));
            let expected = if [5, 9].contains(&unit) { None } else { one.unwrap().map(|one| one.auroc) };
            assert_eq!(alone[unit * 3 + concept], expected);
        }
    }
    assert!(aurocs(&noise(149, 2), &design).is_err());
}

#[test]
fn planted_units_are_found_and_nothing_else() {
    let design = design(400, 4);
    let mut rng = stream(9, "planted", 0);
    let planted = matrix(400, 300, |image, unit| {
        let held = |concept: usize| f64::from(u8::from(design.present(concept)[image]));
        let objects = design.strata()[image] as f64;
        gauss(&mut rng)
            + match unit {
                17 => 2.0 * held(1),
                40 => -2.0 * held(2),
                77 => 2.0 * (held(0) + held(3)),
                90 => 5.0 * objects,
                _ => 0.0,
            }
    });
    let found = encodes(&planted, &design, &criterion(0.3)).unwrap();
    let cells: Vec<_> = found.cells.iter().filter(|cell| cell.encodes).map(|c| (c.unit, c.concept)).collect();
    assert_eq!(cells, [(17, 1), (40, 2), (77, 0), (77, 3)]);
    assert_eq!(found.summary.encoding.per_concept, [1, 1, 1, 1]);
    assert_eq!(found.summary.encoding.any, 3);
    assert_eq!((found.summary.null.any, found.summary.units), (0, 300));
    assert!(of(&found, 4, 17)[1].held_out.unwrap().effect > 0.6);
    assert!(of(&found, 4, 40)[2].held_out.unwrap().effect < -0.6);
    assert!(of(&found, 4, 90).iter().all(|cell| cell.held_out.unwrap().effect.abs() < 0.2));
    // A bound that the effects do not reach.
    assert_eq!(encodes(&planted, &design, &criterion(0.99)).unwrap().summary.encoding.any, 0);
}

#[test]
fn each_half_gives_its_part() {
    let design = design(160, 3);
    let noise = noise(160, 40);
    // Every other unit is rounded, so that tests with and without ties follow upon one another.
    let matrix = matrix(160, 40, |image, unit| {
        let value = f64::from(noise.row(image)[unit]);
        if unit % 2 == 0 { value } else { (value * (1.0 + unit as f64 / 8.0)).round() }
    });
    let found = encodes(&matrix, &design, &criterion(0.3)).unwrap();
    let halves = design.halves(11);
    for cell in &found.cells {
        let column = matrix.column(cell.unit as usize);
        let [chosen, held_out] = halves.each_ref().map(|half| {
            let part = design.subset(half).unwrap();
            let values: Vec<f32> = half.iter().map(|&image| column[image]).collect();
            auroc(&values, part.present(cell.concept as usize), part.strata(), EXACT_BELOW, confidence(0.95)).unwrap()
        });
        let (got, expected) = (cell.held_out.unwrap(), held_out.unwrap());
        assert_eq!(cell.chosen.unwrap().p, chosen.unwrap().p);
        assert_eq!((got.auroc, got.effect), (expected.auroc, expected.effect()));
        assert_eq!([got.effect_lo, got.effect_hi], [expected.lo, expected.hi].map(|end| 2.0 * end - 1.0));
    }
}

#[test]
fn the_sign_must_hold_on_both_halves() {
    let strata = vec![1; 200];
    let present: Vec<bool> = (0..200).map(|image| image % 2 == 0).collect();
    let design = Design::new(concepts(1), vec![present.clone()], strata).unwrap();
    let [first, _] = design.halves(11);
    let mut rng = stream(10, "sign", 0);
    let turned = matrix(200, 2, |image, unit| {
        let side = if first.contains(&image) || unit == 1 { 3.0 } else { -3.0 };
        gauss(&mut rng) + if present[image] { side } else { 0.0 }
    });
    let found = encodes(&turned, &design, &criterion(0.3)).unwrap();
    assert!(found.cells[0].chosen.unwrap().q < 1e-6 && found.cells[0].held_out.unwrap().effect < -0.9);
    assert_eq!([found.cells[0].encodes, found.cells[1].encodes], [false, true]);
}

#[test]
fn the_null_is_the_same_exam_on_permuted_labels() {
    let design = design(300, 3);
    let permuted = design.permuted(11);
    let mut rng = stream(13, "null", 0);
    let planted = matrix(300, 60, |image, unit| {
        let held = |design: &Design, concept: usize| f64::from(u8::from(design.present(concept)[image]));
        gauss(&mut rng)
            + match unit {
                5 => 2.0 * held(&design, 0),
                30 => 2.0 * held(&permuted, 1),
                59 => -2.0 * (held(&permuted, 0) + held(&permuted, 1)),
                _ => 0.0,
            }
    });
    let [one, other] = [&design, &permuted].map(|design| encodes(&planted, design, &criterion(0.3)).unwrap().summary);
    assert_eq!((one.encoding.per_concept, one.encoding.any), (vec![1, 0, 0], 1));
    assert_eq!((&one.null.per_concept, one.null.any), (&vec![1, 2, 0], 2));
    assert_eq!(one.null, other.encoding);
}

#[test]
fn what_cannot_be_scored_is_missing() {
    let mut present = vec![design(120, 1).present(0).to_vec()];
    present.extend([vec![true; 120], vec![false; 120]]);
    let design = Design::new(concepts(3), present, (0..120).map(|i| 1 + i % 4).collect()).unwrap();
    let mut rng = stream(12, "missing", 0);
    let odd = matrix(120, 20, |image, unit| match unit {
        3 => 0.25,
        18 if image == 7 => f64::NAN,
        19 if image > 100 => f64::NEG_INFINITY,
        _ => gauss(&mut rng),
    });
    let found = encodes(&odd, &design, &criterion(0.3)).unwrap();
    let flags = [(3, Flag::Constant), (18, Flag::NonFinite { row: 7 }), (19, Flag::NonFinite { row: 101 })];
    assert_eq!(found.summary.flagged, flags);
    assert_eq!(found.cells.len(), 60);
    for cell in &found.cells {
        let scored = cell.concept == 0 && ![3, 18, 19].contains(&cell.unit);
        assert_eq!((cell.chosen.is_some(), cell.held_out.is_some()), (scored, scored), "{cell:?}");
        assert!(scored || !cell.encodes);
    }
    // The family has 17 cells, not 60.
    let largest = |f: fn(&UnitConcept) -> Option<f64>| found.cells.iter().filter_map(f).fold(0.0, f64::max);
    assert_eq!(largest(|c| c.chosen.map(|c| c.q)), largest(|c| c.chosen.map(|c| c.p)));
    let least = found.cells.iter().filter_map(|c| c.chosen).min_by(|a, b| a.p.total_cmp(&b.p)).unwrap();
    assert!(least.q <= 17.0 * least.p);
}

#[test]
fn relabelling_concepts_permutes_the_answer() {
    let design = design(100, 3);
    let matrix = noise(100, 40);
    let turned: Vec<Vec<bool>> = [2, 0, 1].iter().map(|&c| design.present(c).to_vec()).collect();
    let turned = Design::new(concepts(3), turned, design.strata().to_vec()).unwrap();
    let [one, other] = [&design, &turned].map(|design| encodes(&matrix, design, &criterion(0.1)).unwrap());
    for unit in 0..40 {
        for (c, &source) in [2, 0, 1].iter().enumerate() {
            let (a, b) = (of(&one, 3, unit)[source], of(&other, 3, unit)[c]);
            assert_eq!((a.chosen, a.held_out, a.encodes), (b.chosen, b.held_out, b.encodes));
        }
    }
}

#[test]
fn threads_do_not_change_the_answer() {
    let design = design(100, 4);
    // Rounded, so that ties and exact tests are met too.
    let tied = noise(100, 100);
    let tied = matrix(100, 100, |image, unit| f64::from((tied.row(image)[unit] * 4.0).round()));
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| encodes(&tied, &design, &criterion(0.1)).unwrap())
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn blocks_of_units_give_what_the_whole_gives() {
    let design = design(90, 3);
    let noise = noise(90, 50);
    let odd = matrix(90, 50, |image, unit| match unit {
        33 => 1.0,
        48 if image == 5 => f64::NAN,
        _ => f64::from(noise.row(image)[unit]),
    });
    let whole = encodes(&odd, &design, &criterion(0.0)).unwrap();
    assert_eq!(whole.summary.flagged.len(), 2);
    for size in [1, 7, 16, 49] {
        let blocks = (0..50).step_by(size).map(|first| {
            let units = first..(first + size).min(50);
            Ok(matrix(90, units.len(), |image, unit| f64::from(odd.row(image)[first + unit])))
        });
        assert_eq!(encodes_in_blocks(blocks, &design, &criterion(0.0)).unwrap(), whole);
    }
    let broken = [Ok(odd), Err(snellen::Error::mismatch("here", "a block", "none"))];
    assert_eq!(
        encodes_in_blocks(broken, &design, &criterion(0.0)).unwrap_err().to_string(),
        "here: expected a block, got none"
    );
}

#[test]
fn criteria_and_sizes_out_of_range_are_refused() {
    let design = design(20, 1);
    let matrix = noise(20, 1);
    let said = |matrix: &Matrix, criterion: Criterion| encodes(matrix, &design, &criterion).unwrap_err().to_string();
    let fine = criterion(0.3);
    assert_eq!(
        said(&matrix, Criterion { q: 0.0, ..fine }),
        "criterion: q: expected a number above 0, at most 1, got 0"
    );
    let low = Criterion { min_effect: -0.1, ..fine };
    assert_eq!(said(&matrix, low), "criterion: min_effect: expected a number from 0 to 1, got -0.1");
    assert_eq!(said(&noise(19, 1), fine), "activations: expected 20 images, as the labels have, got 19");
    let none = Design::new(concepts(1), vec![vec![]], vec![]).unwrap();
    let empty = encodes(&Matrix::new(0, 3, vec![]).unwrap(), &none, &fine).unwrap_err().to_string();
    assert_eq!(empty, "activations: expected at least one image, got none");
    assert!(encodes(&Matrix::new(20, 0, vec![]).unwrap(), &design, &fine).unwrap().cells.is_empty());
}
