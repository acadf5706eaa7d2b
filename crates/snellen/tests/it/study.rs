//! The study 2508.16652: against its printed numbers, against the same in Python, and what is refused.
//!
//! Tests named `..._of_the_paper` need the folder `../shared/paper`, which is not ours to publish, and are skipped without.

use serde_json::Value;
use snellen::model::{LoadConfig, Model};
use snellen::scene::World;
use snellen::scene::labels::{LabelRow, LabelTable};
use snellen::scene::labels_csv::{parse_labels, read_labels};
use snellen::study::feature::{FEATURES, feature_index, pairs};
use snellen::study::profile::{entropy, profile};
use snellen::study::{
    Embeddings, Study, StudyConfig, Truth, embeddings, from_embeddings, from_model, link, published, study_scenes,
    units,
};
use std::path::{Path, PathBuf};

const PLAIN: StudyConfig = StudyConfig { seed: 0, tsne: false };

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The study's embeddings and labels.
fn paper(test: &str) -> Option<(Embeddings, Truth)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/paper");
    if !folder.is_dir() {
        eprintln!("SKIPPED {test}: {} is absent; it holds the study's data", folder.display());
        return None;
    }
    let truth = Truth::of(&read_labels(&folder.join("labels.csv")).unwrap(), "labels.csv").unwrap();
    let file = folder.join("embeddings.safetensors");
    Some((Embeddings::read(&file, None, truth.images(), embeddings::WIDTH).unwrap(), truth))
}

fn f(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn every_pair_of_the_paper_has_its_printed_numbers() {
    let Some((embeddings, truth)) = paper("every_pair_of_the_paper_has_its_printed_numbers") else { return };
    let study = from_embeddings(&embeddings, &truth, PLAIN).unwrap();
    study.agrees().unwrap();
    let shown: Vec<_> = study.checks.iter().map(|c| (c.quantity, c.printed, c.differing)).collect();
    assert_eq!(shown, [("distance of two features' means", 120, 0), ("misclassified images", 120, 0)]);
    // The same comparison, without the code that makes it.
    for (printed, ours) in published::pairs().unwrap().iter().zip(&study.embedding_pairs) {
        assert!((printed.distance.value - ours.distance).abs() < 1e-9, "{ours:?}");
        assert_eq!(printed.misclassified, ours.misclassified, "{ours:?}");
        assert!(ours.concept_a < ours.concept_b && ours.components.is_none());
    }
    let mut expected = csv::Reader::from_path(fixture("study/pca.csv")).unwrap();
    let expected: Vec<(String, String, f64, usize, usize)> = expected.deserialize().map(Result::unwrap).collect();
    assert_eq!((expected.len(), study.embedding_pairs_pca.len()), (120, 120));
    for ((a, b, distance, misclassified, components), ours) in expected.iter().zip(&study.embedding_pairs_pca) {
        assert_eq!((a.as_str(), b.as_str()), (ours.concept_a, ours.concept_b));
        assert!((distance - ours.distance).abs() < 1e-9, "{ours:?}");
        assert_eq!((*misclassified, Some(*components)), (ours.misclassified, ours.components), "{ours:?}");
    }
}

#[test]
fn the_links_of_the_paper() {
    let Some((embeddings, truth)) = paper("the_links_of_the_paper") else { return };
    let study = from_embeddings(&embeddings, &truth, PLAIN).unwrap();
    let near = |got: Option<f64>, expected: f64| assert!((got.unwrap() - expected).abs() < 1e-9, "{got:?} {expected}");
    // scipy.stats.linregress and spearmanr.
    let full = &study.links.full_distance;
    near(full.pearson, -0.394_815_690_125);
    near(full.p_naive, 0.002_854_447_202);
    near(full.spearman, -0.448_340_548_340);
    near(full.slope, -2.263_782_365_880);
    near(full.intercept, 21.680_636_514_946);
    let rate = &study.links.full_misclassification;
    near(rate.pearson, 0.200_057_156_893);
    near(rate.p_naive, 0.143_074_937_311);
    near(rate.spearman, 0.115_801_846_046);
    near(study.links.pca_distance.pearson, -0.395_068_043_840);
    near(study.links.pca_misclassification.pearson, 0.198_973_332_044);
    for (link, all) in [(full, 39_916_800), (rate, 39_916_800), (&study.links_all_pairs.full_distance, 200_001)] {
        assert_eq!(link.permutations, all);
    }
    // By a program of its own that visits all 11! orderings one after another.
    near(full.p_label_permutation, 2.0 * 1_625_643.0 / 39_916_800.0);
    near(rate.p_label_permutation, 2.0 * 7_110_815.0 / 39_916_800.0);
    assert_eq!((full.n, study.links_all_pairs.full_distance.n, full.leave_one_out.len()), (55, 120, 11));
    assert!(study.additive_fit.max_residual < 0.005);
    let shares = study.additive_fit.feature_sums.values().sum::<f64>();
    assert!((shares - 100.0).abs() < 0.01, "{shares}: each of 100 units shares out 1");
}

fn near_by(got: Option<f64>, expected: f64, within: f64) {
    assert!((got.unwrap() - expected).abs() <= within, "{got:?} for {expected}");
}

#[test]
fn what_the_paper_shows() {
    let Some((embeddings, truth)) = paper("what_the_paper_shows") else { return };
    let study = from_embeddings(&embeddings, &truth, PLAIN).unwrap();
    let shows = &study.shows;
    let counts: Vec<usize> = shows.random_sets.iter().map(|set| set.objects).collect();
    assert_eq!(counts, [1, 2, 3, 4, 5]);
    assert!(shows.random_sets.windows(2).all(|sets| sets[0].mean < sets[1].mean));
    let v = &shows.variance;
    near_by(v.objects, 0.25, 0.01);
    near_by(v.features, 0.51, 0.01);
    near_by(v.objects_and_features, 0.56, 0.01);
    near_by(v.with_combinations, 0.614, 0.01);
    near_by(Some(shows.errors_without_positions.in_sample), 0.044, 0.001);
    near_by(Some(shows.errors_without_positions.left_out), 0.054, 0.001);
    near_by(shows.matched[0].distance_pearson, 0.0, 0.005);
    near_by(shows.matched[0].misclassification_pearson, -0.19, 0.005);
    near_by(Some(shows.matched[0].misclassification), 0.001, 0.0005);
}

#[test]
fn the_same_bytes_at_any_number_of_threads() {
    let (embeddings, truth) = random_study(60, 8, 5);
    let json = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let config = StudyConfig { seed: 4, tsne: true };
        pool.install(|| from_embeddings(&embeddings, &truth, config).unwrap().to_json().unwrap())
    };
    assert_eq!(json(1), json(3));
}

/// Scenes of the study's world with random embeddings.
fn random_study(images: usize, width: usize, seed: u64) -> (Embeddings, Truth) {
    let world = World::study();
    let all = snellen::scene::Combinations::all(&world);
    let scenes = snellen::scene::generate::toy(&world, &all, 1..=5, images, seed).unwrap();
    let names: Vec<String> = (0..images).map(|i| format!("{i}.png")).collect();
    let truth = Truth::of(&LabelTable::from_scenes(&world, &scenes, &names).unwrap(), "labels").unwrap();
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    };
    (Embeddings::new(width, (0..images * width).map(|_| draw()).collect(), "random").unwrap(), truth)
}

#[test]
fn embeddings_that_say_nothing_have_links_that_chance_gives() {
    let mut small = 0;
    for seed in 0..4 {
        let (embeddings, truth) = random_study(200, 16, seed);
        let study = from_embeddings(&embeddings, &truth, StudyConfig { seed, ..PLAIN }).unwrap();
        small += usize::from(study.links.full_distance.p_label_permutation.unwrap() <= 0.05);
        let shares = &study.shows.variance;
        assert!(shares.objects.unwrap() < 0.02 && shares.with_combinations.unwrap() < 0.0, "{shares:?}");
        // Numbers that are not the study's are not taken for them.
        assert!(study.agrees().is_err());
    }
    assert!(small <= 2, "{small} of 4");
}

#[test]
fn a_pair_that_is_one_point_each_is_told_apart() {
    // Every image is where its shape is: circles at 0, all others at 4.
    let (_, truth) = random_study(150, 1, 3);
    let circle = feature_index("circle").unwrap();
    let at = truth.present.iter().map(|present| if present[circle] { 0.0 } else { 4.0 });
    let embeddings = Embeddings::new(2, at.flat_map(|x| [x, 1.0]).collect(), "points").unwrap();
    let study = from_embeddings(&embeddings, &truth, PLAIN).unwrap();
    let place = link::place([circle, feature_index("square").unwrap()]);
    let (full, principal) = (&study.embedding_pairs[place], &study.embedding_pairs_pca[place]);
    assert_eq!((full.distance, full.misclassified), (4.0, 0));
    assert!((principal.distance - 4.0).abs() < 1e-9);
    assert_eq!((principal.misclassified, principal.components), (0, Some(1)));
    // All images the same: nothing varies, and nothing is made up.
    let same = Embeddings::new(2, vec![1.5; 300], "points").unwrap();
    let study = from_embeddings(&same, &truth, PLAIN).unwrap();
    assert!(study.embedding_pairs_pca.iter().all(|pair| (pair.distance, pair.components) == (0.0, Some(0))));
    let links = &study.links.full_distance;
    assert_eq!((links.pearson, links.p_label_permutation, links.slope), (None, None, None));
    assert_eq!(study.shows.variance.objects, None);
    assert!(String::from_utf8(study.to_json().unwrap()).unwrap().contains("\"pearson\": null"));
}

#[test]
fn printed_frequencies_and_entropies_follow_from_the_printed_top_images() {
    let world = World::study();
    let scenes = study_scenes(&world).unwrap();
    let row = |(i, scene): (usize, &snellen::scene::Scene)| LabelRow::of_scene(&world, scene, &published::filename(i));
    let rows = scenes.iter().enumerate().map(|scene| row(scene).unwrap()).collect();
    let truth = Truth::of(&LabelTable { factors: world.factors(), rows }, "scenes").unwrap();
    assert_eq!(truth.objects, (0..500).map(|i| i / 100 + 1).collect::<Vec<_>>());
    let units = published::units().unwrap();
    let mut compared = 0;
    for top in published::top_images().unwrap().iter().filter(|top| top.images.len() == 30) {
        let found = profile(&truth, &top.images);
        let Some(unit) = units.iter().find(|unit| unit.unit == top.unit) else { continue };
        let printed = unit.frequencies.iter().zip(found.frequencies);
        for (printed, ours) in printed.filter_map(|(printed, ours)| printed.map(|printed| (printed, ours))) {
            assert!((printed.value - ours).abs() <= printed.rounding * 1.001, "{:?}: {printed:?}, {ours}", top.unit);
            compared += 1;
        }
        for (printed, ours) in [(unit.objects, found.objects), (unit.entropy, found.entropy)] {
            if let Some(printed) = printed {
                assert!(
                    (printed.value - ours).abs() <= printed.rounding * 1.001,
                    "{:?}: {printed:?}, {ours}",
                    top.unit
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 70, "{compared}");
    // And of all units that were printed whole, from their rounded frequencies.
    let whole = units.iter().filter(|unit| unit.frequencies.iter().all(Option::is_some) && unit.entropy.is_some());
    let mut number = 0;
    for unit in whole {
        let frequencies: Vec<f64> = unit.frequencies.iter().map(|printed| printed.unwrap().value).collect();
        assert!((entropy(&frequencies) - unit.entropy.unwrap().value).abs() < 3e-6, "{:?}", unit.unit);
        number += 1;
    }
    assert_eq!(number, 20);
}

#[test]
fn the_scenes_are_those_of_the_paper() {
    let Some((_, truth)) = paper("the_scenes_are_those_of_the_paper") else { return };
    let ours: Vec<_> = published::scenes().unwrap();
    assert_eq!(ours.len(), truth.images());
    for (row, objects) in ours.iter().enumerate() {
        let present: [bool; 16] = std::array::from_fn(|f| objects.iter().flatten().any(|o| *o == f));
        assert_eq!((present, objects.len()), (truth.present[row], truth.objects[row]), "row {row}");
        assert!(truth.names[row].ends_with(&published::filename(row)));
    }
}

#[test]
fn sums_of_ratios_of_known_units() {
    let with = |shares: &[(&str, f64)]| {
        let mut frequencies = [0.0; FEATURES.len()];
        shares.iter().for_each(|(name, share)| frequencies[feature_index(name).unwrap()] = *share);
        snellen::study::profile::Profile { objects: 1.0, frequencies, entropy: entropy(&frequencies) }
    };
    let low = [
        with(&[("circle", 1.0), ("pink", 0.5), ("M", 0.5)]),
        // 27 of 90: equal to 0.3 is not above it.
        with(&[("red", 0.5), ("blue", 0.4), ("TL", 1.0), ("square", 1.0), ("green", 0.1)]),
    ];
    let found = units::sums(low.iter());
    let of = |a: &str, b: &str| link::place([a, b].map(|name| feature_index(name).unwrap()));
    assert_eq!(found.sums[of("circle", "pink")], 0.75);
    assert_eq!((found.units[of("circle", "pink")], found.units[of("M", "pink")]), (1, 1));
    assert_eq!((found.units[of("red", "blue")], found.units[of("TL", "blue")]), (0, 1));
    assert!((found.sums[of("red", "blue")] - 0.3).abs() < 1e-12);
    assert_eq!(entropy(&[0.5; 16]), 4.0);
    assert_eq!(entropy(&[0.0, 2.0, 0.0]), 0.0);
    assert_eq!(entropy(&[0.0; 16]), 0.0);
    assert_eq!(pairs().map(link::place).collect::<Vec<_>>(), (0..120).collect::<Vec<_>>());
}

#[test]
fn the_whole_chain_does_what_the_same_in_python_does() {
    let folder = fixture("study/chain");
    let expected: Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let load = |with: &LoadConfig| Model::load_with(&fixture("clip/quick_gelu"), with);
    let (study, pictures) = from_model(&load, &|_| Ok(None), Some(&folder), PLAIN, home.path(), &()).unwrap();
    let model = study.model.as_ref().unwrap();
    assert_eq!((model.layers, model.units_per_layer, model.units.len()), (2, 32, 64));
    // Numbers of one program in f32 and of another in f64.
    let store = snellen::record::ActivationStore::open(&home.path().join("run/activations.zarr")).unwrap();
    let compare = |site: &str, policy: &str, table: &Value| {
        let (shape, values) = store.read(&format!("{site}/{policy}").parse().unwrap()).unwrap();
        for (i, row) in table.as_array().unwrap().iter().enumerate() {
            for (u, expected) in row.as_array().unwrap().iter().enumerate() {
                let got = f64::from(values[i * shape[1] + u]);
                assert!((got - f(expected)).abs() < 2e-6, "{site}/{policy}, image {i}, unit {u}: {got}, {expected}");
            }
        }
    };
    for layer in 0..2 {
        compare(&format!("blocks.{layer}.hook_mlp_out"), "mean_all", &expected["means"][layer]);
        compare(&format!("blocks.{layer}.hook_mlp_out"), "max_all", &expected["largest"][layer]);
    }
    compare("image_embeds", "pooled", &expected["embeddings"]);
    let mut ranks: Vec<(f64, usize)> = Vec::new();
    for unit in expected["units"].as_array().unwrap() {
        let name = (f(&unit["layer"]) as usize, f(&unit["unit"]) as usize);
        let ours = model.units.iter().find(|ours| (ours.layer, ours.unit) == name).unwrap();
        // Where the 30th and the 31st image are this close, f32 may exchange them.
        assert!(f(&unit["gap"]) > 1e-6, "{name:?}");
        let mut top: Vec<usize> = unit["top_images"].as_array().unwrap().iter().map(|row| f(row) as usize).collect();
        let mut got = ours.top_images.clone();
        top.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, top, "{name:?}");
        assert_eq!(ours.objects, f(&unit["objects"]));
        assert!((ours.entropy - f(&unit["entropy"])).abs() < 1e-12);
        for feature in FEATURES {
            assert_eq!(ours.frequencies[feature.name], f(&unit["frequencies"][feature.name]), "{name:?}");
        }
        ranks.push((ours.entropy, ours.rank.unwrap()));
    }
    ranks.sort_by_key(|(_, rank)| *rank);
    assert!(ranks.windows(2).all(|two| two[0].0 <= two[1].0));
    for (pair, ours) in expected["pairs"].as_array().unwrap().iter().zip(&model.pairs) {
        assert_eq!((pair[0].as_str(), pair[1].as_str()), (Some(ours.concept_a), Some(ours.concept_b)));
        assert_eq!(ours.neuron_count, f(&pair[2]) as usize);
        assert!((ours.sum_ratios - f(&pair[3])).abs() < 1e-9);
    }
    let summary = &model.entropies;
    let ours = [vec![summary.mean, summary.std], summary.quantiles.to_vec()].concat();
    for (ours, expected) in ours.into_iter().zip(expected["entropies"].as_array().unwrap()) {
        assert!((ours - f(expected)).abs() < 1e-12);
    }
    // Sums over units that are sums of shares exactly.
    assert!(study.additive_fit.max_residual < 1e-9);
    assert_eq!((study.sums, pictures.len()), ("measured", 6));
    assert!(model.exam.is_some() && home.path().join("exam/report.html").is_file());
    assert!(study.agrees().is_err(), "a random model is not the study's");
    let out = home.path().join("out");
    std::fs::create_dir(&out).unwrap();
    study.write(&out, &pictures).unwrap();
    let page = std::fs::read_to_string(out.join("study.html")).unwrap();
    assert!(page.contains("mean_1_") && page.contains("exam/report.html"));
    let table = |name: &str| csv::Reader::from_path(out.join(name)).unwrap().into_records().map(Result::unwrap).count();
    assert_eq!((table("pairs.csv"), table("units.csv")), (120, 64 + published::units().unwrap().len()));
    // 240 of embeddings; 228 activations, 391 shares, 20 entropies, 8 of their summary, 410 top images, 240 of pairs.
    assert_eq!(table("checks.csv"), 240 + 228 + 391 + 20 + 8 + 410 + 240);
}

fn truth_of(csv: &str) -> snellen::Result<Truth> {
    Truth::of(&parse_labels("labels.csv", csv.as_bytes())?, "labels.csv")
}

#[track_caller]
fn refuses<T>(result: snellen::Result<T>, says: &[&str]) {
    let Err(error) = result else { panic!("not refused") };
    assert!(error.is_bad_input(), "{error}");
    for part in says {
        assert!(error.to_string().contains(part), "{error} does not say {part}");
    }
}

#[test]
fn labels_that_are_not_the_studys_are_refused_with_their_place() {
    let header = "filename,shape_0,color_0,position_0,shape_1,color_1,position_1\n";
    let with = |rows: &str| truth_of(&format!("{header}{rows}"));
    refuses(
        with("a.png,circle,red,M,,,\nb.png,circle,red,M,star,blue,TL\n"),
        &["labels.csv: row 2 (b.png), column `shape_1`", "circle", "`star`"],
    );
    refuses(with("a.png,red,circle,M,,,\n"), &["row 1", "column `shape_0`", "`red`"]);
    refuses(truth_of("filename,shape_0,position_0\na.png,circle,M\n"), &["`color_0`", "shape, position"]);
    refuses(truth_of("filename\na.png\n"), &["`shape_0`"]);
    // A factor that is none of the study's is nobody's business.
    let extra = truth_of("filename,shape_0,color_0,position_0,size_0\na.png,circle,red,M,huge\n").unwrap();
    assert_eq!((extra.images(), extra.objects[0], extra.combinations[0].len()), (1, 1, 1));
    // Of images that all show a circle and none a square, nothing can be said of that pair.
    let one = with("a.png,circle,red,M,,,\nb.png,circle,blue,TL,,,\n").unwrap();
    let embeddings = Embeddings::new(1, vec![1.0, 2.0], "e").unwrap();
    refuses(from_embeddings(&embeddings, &one, PLAIN), &["`BL`", "`BR`", "0 and 0"]);
    refuses(from_embeddings(&Embeddings::new(1, vec![1.0; 3], "e").unwrap(), &one, PLAIN), &["2 rows", "got 3"]);
}

#[test]
fn embeddings_that_are_none_are_refused_with_their_place() {
    use safetensors::Dtype::{F16, F32, F64, I32};
    use safetensors::tensor::{TensorView, serialize};
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("e.safetensors");
    let read = || Embeddings::read(&path, None, 2, 3);
    let write = |tensors: &[(&str, safetensors::Dtype, [usize; 2], Vec<u8>)]| {
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.to_vec(), data).unwrap()));
        std::fs::write(&path, serialize(views, None).unwrap()).unwrap();
    };
    let f32s = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let good = f32s(&[1.0, -2.5, 3.0, 4.0, 5.0, 6.5]);
    write(&[("anything", F32, [2, 3], good.clone())]);
    assert_eq!(read().unwrap().row(0), [1.0, -2.5, 3.0]);
    write(&[("other", F32, [1, 3], f32s(&[0.0; 3])), ("image_embeds", F32, [2, 3], good.clone())]);
    assert_eq!(read().unwrap().row(1), [4.0, 5.0, 6.5]);
    write(&[("e", F64, [2, 3], (0..6).flat_map(|x| f64::from(x).to_le_bytes()).collect())]);
    assert_eq!(read().unwrap().row(1), [3.0, 4.0, 5.0]);
    write(&[("e", F16, [2, 3], [0x3c00_u16; 6].iter().flat_map(|x| x.to_le_bytes()).collect())]);
    assert_eq!(read().unwrap().row(1), [1.0; 3]);

    write(&[("a", F32, [2, 3], good.clone()), ("b", F32, [2, 3], good.clone())]);
    refuses(read(), &["e.safetensors", "`image_embeds`", "\"a\" (f32 [2, 3]), \"b\" (f32 [2, 3])"]);
    write(&[("e", F32, [3, 2], good.clone())]);
    refuses(read(), &["tensor \"e\"", "[2, 3]", "[3, 2]"]);
    write(&[("labels", I32, [2, 3], good.clone()), ("e", F32, [2, 3], good.clone())]);
    assert_eq!((read().unwrap().row(1), read().unwrap().notes().len()), (&[4.0, 5.0, 6.5][..], 1));
    let named = |name: &str| Embeddings::read(&path, Some(name), 2, 3);
    assert_eq!(named("e").unwrap().row(1), [4.0, 5.0, 6.5]);
    refuses(named("f"), &["tensor \"f\"", "no such name", "\"labels\" (i32 [2, 3])"]);
    for (wrong, says) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        write(&[("e", F32, [2, 3], f32s(&[1.0, 2.0, 3.0, 4.0, wrong, 6.0]))]);
        refuses(read(), &["tensor \"e\": row 2, column 2", says]);
    }
    write(&[]);
    refuses(read(), &["no tensor"]);
    for bytes in [&b"not this"[..], &[0xff; 16], b""] {
        std::fs::write(&path, bytes).unwrap();
        refuses(read(), &["e.safetensors"]);
    }
    std::fs::remove_file(&path).unwrap();
    refuses(read(), &["e.safetensors"]);
}

#[test]
fn a_number_that_differs_is_named() {
    let (embeddings, truth) = random_study(200, 16, 1);
    let study: Study = from_embeddings(&embeddings, &truth, PLAIN).unwrap();
    let error = study.agrees().unwrap_err();
    assert!(!error.is_bad_input());
    let said = error.to_string();
    for part in ["arXiv 2508.16652", "120 of 120", "BL, BR", "printed 1.3409240879242081", "1 more kinds"] {
        assert!(said.contains(part), "{said}");
    }
}
