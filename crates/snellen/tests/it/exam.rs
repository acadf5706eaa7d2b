//! The exam on a model that learnt next to nothing: it must run, repeat itself to the byte, and find nothing that is not there.

use crate::lab::recipe;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use snellen::exam::recognition::recognition;
use snellen::exam::{ExamConfig, examine};
use snellen::lab::{TrainConfig, train};
use snellen::model::Model;
use snellen::report::{Rate, Report};
use std::path::Path;

fn untrained(folder: &Path) -> Model {
    train(&recipe(), &TrainConfig { seed: 3, resume: false }, folder, &mut |_| true).unwrap();
    Model::load(folder).unwrap()
}

fn config() -> ExamConfig {
    ExamConfig { scenes: 60, twins: 40, repeats: 1, ..ExamConfig::standard(5).unwrap() }
}

fn sit(model: &Model, out: &Path, threads: usize) -> Report {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| examine(model, "untrained", &config(), out, &())).unwrap()
}

#[test]
fn a_sitting_repeats_itself_at_any_number_of_threads() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let [one, three] = [1, 3].map(|threads| {
        let out = home.path().join(threads.to_string());
        sit(&model, &out, threads);
        let tables = ["unit_concepts", "units", "concepts", "pairs", "sites"].map(|name| format!("run/{name}.parquet"));
        let others = ["report.json", "report.html", "run/run.json", "scenes/labels.csv"].map(str::to_owned);
        let files: Vec<String> = others.into_iter().chain(tables).collect();
        files.iter().map(|file| std::fs::read(out.join(file)).unwrap()).collect::<Vec<_>>()
    });
    assert!(one == three);
    let page = String::from_utf8(one[1].clone()).unwrap();
    assert!(!page.contains("http:") && !page.contains("https:"), "the page needs no network");
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "nothing half-written is left: {left:?}");
}

#[test]
fn nothing_is_found_where_nothing_was_learnt() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let report = sit(&model, &home.path().join("exam"), 2);
    let covers = |rate: &Rate| rate.accuracy.lo <= rate.chance && rate.chance <= rate.accuracy.hi;
    assert!(covers(&report.composition.swap), "{:?}", report.composition.swap);
    assert!(covers(&report.recognition.shape), "{:?}", report.recognition.shape);
    assert!(!report.findings.iter().any(|f| f.contains("bags of concepts")), "{:?}", report.findings);
    assert!(!report.findings.iter().any(|f| f.contains("does not carry over")), "{:?}", report.findings);
    for site in &report.units.sites {
        assert!(site.null.any <= 1 + site.units / 20, "{}: {} by chance", site.site, site.null.any);
    }
}

#[test]
fn numbers_add_up() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let report = sit(&model, &home.path().join("exam"), 2);
    let seen = &report.recognition;
    assert_eq!((seen.shape.accuracy.n, seen.pairs.len()), (150, 30));
    let (known, new) = (seen.pair_seen.unwrap(), seen.pair_held_out.unwrap());
    assert_eq!(known.accuracy.n + new.accuracy.n, 150);
    assert!((known.accuracy.successes + new.accuracy.successes - seen.pair.accuracy.successes).abs() < 1e-9);
    assert!(seen.pair.accuracy.estimate <= seen.shape.accuracy.estimate.min(seen.color.accuracy.estimate));
    let held_out = report.model.origin.as_ref().unwrap().held_out.len();
    assert_eq!((held_out, new.accuracy.n), (recipe().scenes.held_out, 5 * recipe().scenes.held_out));
    let bound = &report.composition;
    assert_eq!((bound.swap.accuracy.n, bound.text_score.accuracy.n), (80, 40));
    assert!(
        bound.group_score.accuracy.estimate
            <= bound.text_score.accuracy.estimate.min(bound.image_score.accuracy.estimate)
    );
    assert!(bound.text_score.accuracy.estimate <= bound.swap.accuracy.estimate);
    let json: serde_json::Value = serde_json::from_slice(&report.to_json().unwrap()).unwrap();
    assert_eq!(json["schema"], 3);
    assert_eq!(json["composition"]["swap"]["chance"], 0.5);
}

#[test]
fn units_and_sites_are_described() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let out = home.path().join("exam");
    let units = sit(&model, &out, 2).units;
    for site in &units.sites {
        let together = site.together.as_ref().unwrap();
        assert_eq!((together.images, site.classes.values().sum::<usize>()), (60, site.units));
        assert!(together.decodable <= units.concepts.len() && together.decodable_by_chance <= 2);
        assert!(together.linear_r2.unwrap().estimate <= 1.0 && together.participation_ratio.unwrap() > 0.5);
    }
    let mut classes: Vec<_> = units.clearest.iter().map(|card| card.class).collect();
    classes.dedup();
    assert!(!classes.is_empty() && classes.len() == units.clearest.len());
    for card in &units.clearest {
        let site = units.sites.iter().find(|site| (&site.site, &site.tokens) == (&card.site, &card.tokens)).unwrap();
        assert!(site.classes[&card.class] > 0 && card.top_images.len() == 6, "{card:?}");
    }
    // No unit of its class, at a site with patches, is more of what makes the class.
    let file = std::fs::File::open(out.join("run/units.parquet")).unwrap();
    for row in SerializedFileReader::new(file).unwrap().get_row_iter(None).unwrap() {
        let row = row.unwrap();
        let class = row.get_string(2).unwrap();
        let Some(card) = units.clearest.iter().find(|card| card.class.name() == class) else { continue };
        let (column, clarity) = match class.as_str() {
            "count" => (7, card.eta2_count),
            "conjunction" | "mixed" => (6, card.eta2_interaction),
            _ => (5, card.eta2_main),
        };
        let patches = row.get_string(0).unwrap().contains("mlp");
        assert!(!patches || row.get_double(column).unwrap() <= clarity.unwrap(), "{row} {card:?}");
    }
    // Every strongest unit of a site with patches has a place, in pictures that have masks.
    assert!(!units.strongest.is_empty());
    for card in &units.strongest {
        let spatial = card.spatial.unwrap();
        assert!((0.0..=1.0).contains(&spatial.iou) && spatial.by_chance > 0.0 && spatial.by_chance < 0.1, "{card:?}");
    }
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Concepts together") && page.contains("the clearest of its class"));
}

#[test]
fn how_near_a_value_comes_to_another_is_a_difference_of_cosines() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let world = snellen::scene::World::toy();
    let mut none = ();
    let seen = recognition(&model, &world, &["a {}"], (1, 0), &mut none).unwrap();
    assert_eq!((seen.near_shapes.len(), seen.near_colors.len()), (world.shapes.len(), world.colors.len()));
    for (f, row) in seen.near_shapes.iter().chain(&seen.near_colors).enumerate() {
        let own = if f < world.shapes.len() { f } else { f - world.shapes.len() };
        assert!(row[own].abs() < 1e-12 && row.iter().all(|near| near.abs() <= 2.0), "{row:?}");
        assert!(row.iter().any(|near| near.abs() > 1e-6));
    }
}

#[test]
fn an_existing_folder_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let out = home.path().join("exam");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine"), "mine").unwrap();
    assert!(examine(&model, "untrained", &config(), &out, &()).unwrap_err().is_bad_input());
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
}
