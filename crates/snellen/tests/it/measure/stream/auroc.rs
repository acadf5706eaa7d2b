use super::super::{confidence, floats, gauss, known, near, number};
use super::{Data, data, some_data};
use proptest::prelude::*;
use rand::RngExt;
use snellen::measure::Design;
use snellen::measure::auroc::{Auroc, Flag, auroc};
use snellen::measure::normal::two_sided;
use snellen::measure::stream::{
    Aurocs, Batch, EXACT_IMAGES, MANTISSA_BITS, Measure, Resolution, Score, StratifiedAuroc,
};
use snellen::random::stream;

const EXACT: Resolution = Resolution { exact_images: usize::MAX, mantissa_bits: MANTISSA_BITS };

fn sketch(mantissa_bits: u32) -> Resolution {
    Resolution { exact_images: 0, mantissa_bits }
}

/// One pass, counted in one go.
fn of(data: &Data, design: &Design, resolution: Resolution) -> Aurocs {
    data.once(StratifiedAuroc::new(design, data.units, resolution).unwrap())
}

/// What the measure of whole columns says, by its normal test.
fn whole(data: &Data, design: &Design, unit: usize, concept: usize) -> Option<Auroc> {
    auroc(&data.column(unit), design.present(concept), design.strata(), 0, confidence(0.95)).unwrap()
}

fn bits(score: Score) -> [u64; 3] {
    [score.auroc, score.bound, score.null_sd].map(f64::to_bits)
}

#[test]
fn strata_have_the_answers_of_scipy_in_parts_too() {
    for case in known("stratified") {
        let values: Vec<f32> = floats(&case["values"]).iter().map(|&x| x as f32).collect();
        let present = floats(&case["labels"]).iter().map(|&label| label == 1.0).collect();
        let strata = floats(&case["strata"]).iter().map(|&stratum| stratum as usize).collect();
        let design = Design::new(super::concepts(1), vec![present], strata).unwrap();
        let images = values.len();
        let data = Data { images, units: 1, values, width: 1, embeddings: vec![1.0; images] };
        let got = data.split(&StratifiedAuroc::new(&design, 1, EXACT).unwrap(), 3);
        let score = got.units[0].as_ref().unwrap()[0].unwrap();
        near(score.auroc, number(&case, "pooled_auc"));
        near((score.auroc - 0.5) / score.null_sd, number(&case, "z"));
    }
}

proptest! {
    #[test]
    fn few_images_have_the_score_of_whole_columns_to_the_last_bit(data in some_data(), seed: u64) {
        let design = data.design(seed);
        let got = of(&data, &design, EXACT);
        prop_assert!(got.exact && got.images == data.images);
        for (unit, scores) in got.units.iter().enumerate() {
            let flag = Flag::of(&data.column(unit));
            prop_assert_eq!(scores.as_ref().err().copied(), flag);
            let Ok(scores) = scores else { continue };
            for (concept, score) in scores.iter().enumerate() {
                let expected = whole(&data, &design, unit, concept);
                prop_assert_eq!(score.map(|s| s.auroc.to_bits()), expected.map(|e| e.auroc.to_bits()));
                if let Some((score, expected)) = score.zip(expected) {
                    prop_assert_eq!(score.bound, 0.0);
                    let z = if score.null_sd > 0.0 { (score.auroc - 0.5) / score.null_sd } else { 0.0 };
                    near(two_sided(z), expected.p);
                }
            }
        }
    }

    #[test]
    fn aurocs_are_the_same_any_way(
        data in some_data(), exact_images in 0..150_usize, mantissa_bits in 0..=23_u32, rows in 0..60_usize, seed: u64,
    ) {
        let design = data.design(seed);
        let empty = StratifiedAuroc::new(&design, data.units, Resolution { exact_images, mantissa_bits }).unwrap();
        let [once, split] = [data.once(empty.clone()), data.split(&empty.counting(rows), seed)];
        prop_assert_eq!(once.exact, data.images <= exact_images);
        let all = |aurocs: &Aurocs| {
            let cells = |scores: &Vec<Option<Score>>| scores.iter().map(|score| score.map(bits)).collect::<Vec<_>>();
            aurocs.units.iter().map(|unit| unit.as_ref().map(cells).map_err(|&flag| flag)).collect::<Vec<_>>()
        };
        prop_assert_eq!(all(&once), all(&split));
    }

    #[test]
    fn a_sketch_keeps_to_its_bound(data in some_data(), mantissa_bits in 0..12_u32, seed: u64) {
        let design = data.design(seed);
        let [exact, sketch] = [EXACT, sketch(mantissa_bits)].map(|resolution| of(&data, &design, resolution));
        for (exact, sketch) in exact.units.iter().zip(&sketch.units) {
            prop_assert_eq!(exact.is_ok(), sketch.is_ok());
            let (Ok(exact), Ok(sketch)) = (exact, sketch) else { continue };
            for (exact, sketch) in exact.iter().zip(sketch) {
                prop_assert_eq!(exact.is_some(), sketch.is_some());
                let Some((exact, sketch)) = exact.zip(*sketch) else { continue };
                prop_assert!((exact.auroc - sketch.auroc).abs() <= sketch.bound + 1e-15, "{exact:?}, {sketch:?}");
            }
        }
    }

    #[test]
    fn with_all_bits_a_sketch_is_exact(data in some_data(), seed: u64) {
        let design = data.design(seed);
        prop_assert_eq!(of(&data, &design, EXACT).units, of(&data, &design, sketch(23)).units);
    }
}

/// Large enough for several rounds of counting.
fn large() -> (Data, Design) {
    let data = data(20_000, false, 4);
    let design = data.design(4);
    (data, design)
}

#[test]
fn bounds_are_small_and_rounds_of_counting_do_not_show() {
    let (data, design) = large();
    let empty = StratifiedAuroc::new(&design, data.units, sketch(MANTISSA_BITS)).unwrap();
    let [once, split] = [data.once(empty.clone()), data.split(&empty, 9)];
    assert_eq!(once, split);
    let exact = of(&data, &design, EXACT);
    // Around 0; five deviations from it; heavy-tailed; rectified; few levels; subnormal, where few bits are left; large.
    let largest = [0.001, 0.01, 0.001, 0.0001, 0.0, 0.3, 0.0, 0.002, 0.002];
    for unit in (0..data.units).filter(|&unit| unit != 6) {
        let [exact, sketch] = [&exact, &once].map(|aurocs| aurocs.units[unit].as_ref().unwrap());
        for (exact, sketch) in exact.iter().zip(sketch).take(3) {
            let (exact, sketch) = (exact.unwrap(), sketch.unwrap());
            println!("unit {unit}: off by {:.1e} <= {:.1e}", (exact.auroc - sketch.auroc).abs(), sketch.bound);
            assert!(sketch.bound <= largest[unit], "unit {unit}: {sketch:?}");
            assert!((exact.auroc - sketch.auroc).abs() <= sketch.bound + 1e-15, "unit {unit}: {exact:?}, {sketch:?}");
            assert!((sketch.null_sd / exact.null_sd - 1.0).abs() < sketch.bound.max(1e-3));
        }
        assert_eq!(sketch[3], None);
    }
}

#[test]
fn sketches_of_noise_scatter_as_their_null_says() {
    let mut rng = stream(3, "null", 0);
    let (images, units) = (3_000, 300);
    let values = (0..images * units).map(|_| (gauss(&mut rng) * 4.0).round() as f32 / 4.0).collect();
    let data = Data { images, units, values, width: 1, embeddings: vec![1.0; images] };
    // Permuted labels of planted ones are as good as any.
    let design = data.design(8).permuted(1);
    let got = of(&data, &design, sketch(2));
    let scores = got.units.iter().flat_map(|unit| unit.as_ref().unwrap()).flatten();
    let z: Vec<f64> = scores.map(|score| (score.auroc - 0.5) / score.null_sd).collect();
    let mean = z.iter().sum::<f64>() / z.len() as f64;
    let variance = z.iter().map(|z| z * z).sum::<f64>() / z.len() as f64;
    assert!(z.len() == 900 && mean.abs() < 0.15 && (variance - 1.0).abs() < 0.15, "{mean} {variance}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let data = data(6, false, 2);
    let design = data.design(2);
    let new = |units, resolution| StratifiedAuroc::new(&design, units, resolution).unwrap();
    let said = |result: snellen::Result<()>| result.unwrap_err().to_string();
    let mut measure = new(9, EXACT);
    let beyond = Batch::new(3, 9, &data.values).unwrap();
    let message = "stratified AUROC: batch: expected an image below 6, which the design has, got 6";
    assert_eq!(said(measure.observe(beyond)), message);
    assert!(said(measure.merge(new(8, EXACT))).starts_with("stratified AUROC: merge: expected 9 units"));
    assert!(said(measure.merge(new(9, sketch(6)))).contains("mantissa_bits: 6"));
    let other = StratifiedAuroc::new(&design.permuted(3), 9, EXACT).unwrap();
    assert_eq!(said(measure.merge(other)), "stratified AUROC: merge: expected one design, got two");
    let bits = StratifiedAuroc::new(&design, 9, sketch(24)).map(drop);
    assert_eq!(said(bits), "stratified AUROC: mantissa bits: expected at most 23, got 24");
    let none = new(1, EXACT).finish();
    assert_eq!((none.images, none.exact, none.units), (0, true, vec![Err(Flag::Constant)]));
}

#[test]
fn memory_is_what_is_said() {
    let mut rng = stream(5, "memory", 0);
    let (images, units) = (36_000, 4);
    let values: Vec<f32> = (0..images * units).map(|_| gauss(&mut rng) as f32).collect();
    let present = (0..16).map(|_| (0..images).map(|_| rng.random_bool(0.3)).collect()).collect();
    let strata = (0..images).map(|_| rng.random_range(0..2)).collect();
    let design = Design::new(super::concepts(16), present, strata).unwrap();
    for (bits, bins) in [(3, 200.0), (MANTISSA_BITS, 1_200.0)] {
        let mut measure = StratifiedAuroc::new(&design, units, sketch(bits)).unwrap();
        values.chunks(500 * units).enumerate().for_each(|(i, rows)| {
            measure.observe(Batch::new(i * 500, units, rows).unwrap()).unwrap();
        });
        let filled = measure.bytes() as f64 / (units * 2 * 84) as f64;
        println!("{bits} bits: {} bytes, {filled:.0} bins of each unit and stratum", measure.bytes());
        assert!((filled / bins - 1.0).abs() < 0.1, "{filled}");
    }
    let all = Resolution { exact_images: EXACT_IMAGES, mantissa_bits: MANTISSA_BITS };
    let mut measure = StratifiedAuroc::new(&design, units, all).unwrap();
    values.chunks(500 * units).enumerate().for_each(|(i, rows)| {
        measure.observe(Batch::new(i * 500, units, rows).unwrap()).unwrap();
    });
    let kept = measure.bytes() as f64 / (4 * images * units) as f64;
    assert!((1.0..1.13).contains(&kept), "{kept}");
}
