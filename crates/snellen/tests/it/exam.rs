//! The exam on a model that learnt next to nothing: it must run, repeat itself to the byte, and find nothing that is not there.

use crate::lab::recipe;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use snellen::exam::questions::Recognition;
use snellen::exam::{Cache, ExamConfig, Question, Remembered, Shows, Sitting, examine};
use snellen::intervene::{CostAnswer, CostConfig};
use snellen::lab::{Origin, TrainConfig, train};
use snellen::measure::Confidence;
use snellen::model::{Model, Untrained, UntrainedKind};
use snellen::record::{ActivationStore, LabelsFrom, Texts};
use snellen::report::{Rate, Report};
use snellen::scene::World;
use std::path::Path;

fn untrained(folder: &Path) -> Model {
    train(&recipe(), &TrainConfig { seed: 3, resume: false }, folder, &mut |_| (), &()).unwrap();
    Model::load(folder).unwrap()
}

fn config() -> ExamConfig {
    let cause = Some(CostConfig { twins: 8, draws: 19, sites: 2 });
    ExamConfig {
        scenes: 60,
        twins: 40,
        repeats: 1,
        controls: 1,
        verdict: None,
        cause,
        map: Some([4, 2]),
        ..ExamConfig::standard(5).unwrap()
    }
}

fn sit(model: &Model, out: &Path, threads: usize) -> Report {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let training = Origin::read(&model.folder).unwrap().unwrap().training().unwrap();
    pool.install(|| examine(model, "untrained", Some(&training), &config(), out, &())).unwrap()
}

#[test]
fn a_sitting_repeats_itself_at_any_number_of_threads() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let [one, three] = [1, 3].map(|threads| {
        let out = home.path().join(threads.to_string());
        sit(&model, &out, threads);
        let tables = ["unit_concepts", "units", "concepts", "pairs", "sites"].map(|name| format!("run/{name}.parquet"));
        let others =
            ["report.json", "report.html", "cause.parquet", "trace.parquet", "run/run.json", "scenes/labels.csv"]
                .into_iter()
                .chain(["texts/run.json", "texts/texts.parquet"])
                .map(str::to_owned);
        let files: Vec<String> = others.into_iter().chain(tables).collect();
        files.iter().map(|file| std::fs::read(out.join(file)).unwrap()).collect::<Vec<_>>()
    });
    assert!(one == three);
    let page = String::from_utf8(one[1].clone()).unwrap();
    assert!(!page.contains("http:") && !page.contains("https:"), "the page needs no network");
    assert!(page.contains("Image tower: where the binding is carried") && page.contains("Text tower: where"));
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "nothing half-written is left: {left:?}");
}

#[test]
fn the_captions_of_the_scenes_are_recorded_a_row_a_scene() {
    let home = tempfile::tempdir().unwrap();
    let (model, out) = (untrained(&home.path().join("model")), home.path().join("exam"));
    sit(&model, &out, 2);
    let of = |run: &str, id: &str| {
        let store = ActivationStore::open(&out.join(run).join("activations.zarr")).unwrap();
        store.read(&id.parse().unwrap()).unwrap()
    };
    let ((images, _), (texts, values)) = (of("run", "image_embeds/pooled"), of("texts", "text.text_embeds/pooled"));
    assert_eq!(images[0], texts[0]);
    let captions = Texts::captions(&out.join("scenes"), LabelsFrom::File).unwrap();
    let said: Vec<&str> = captions.rows().iter().map(|row| row.text.as_str()).collect();
    let encoded = model.encode_texts(&said, &mut ()).unwrap();
    for (row, unit) in values.chunks(texts[1]).zip(encoded.data().chunks(texts[1])) {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        let apart = row.iter().zip(unit).map(|(a, b)| (a / length - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-6, "{apart}");
    }
}

#[test]
fn nothing_is_found_where_nothing_was_learnt() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let report = sit(&model, &home.path().join("exam"), 2);
    let covers = |rate: &Rate| rate.accuracy.lo <= rate.chance && rate.chance <= rate.accuracy.hi;
    assert!(covers(report.rate("binding", "swap").unwrap()), "{:?}", report.questions);
    assert!(covers(report.rate("recognition", "shape").unwrap()), "{:?}", report.questions);
    assert!(!report.findings.iter().any(|f| f.contains("bags of concepts")), "{:?}", report.findings);
    assert!(!report.findings.iter().any(|f| f.contains("does not carry over")), "{:?}", report.findings);
    for site in &report.units.unwrap().sites {
        assert!(site.null.any <= 1 + site.units / 20, "{}: {} by chance", site.site, site.null.any);
    }
}

/// The unit measures beside three untrained models of each kind.
fn beside_untrained(model: &Model, scenes: usize) -> Report {
    let home = tempfile::tempdir().unwrap();
    let config = ExamConfig {
        scenes,
        twins: 4,
        repeats: 1,
        controls: 3,
        verdict: None,
        cause: None,
        world: Some(World::toy()),
        ..ExamConfig::standard(5).unwrap()
    };
    let report = examine(model, "beside", None, &config, &home.path().join("exam"), &()).unwrap();
    assert!(!home.path().join("exam/untrained").exists());
    report
}

fn finds(report: &Report, words: &str) -> bool {
    report.findings.iter().any(|finding| finding.contains(words))
}

#[test]
fn an_untrained_model_is_said_to_have_learnt_nothing() {
    let home = tempfile::tempdir().unwrap();
    train(&recipe(), &TrainConfig { seed: 3, resume: false }, &home.path().join("model"), &mut |_| (), &()).unwrap();
    let model = Model::load(&home.path().join("model")).unwrap();
    for (kind, seed) in [(UntrainedKind::Fresh, 77), (UntrainedKind::Shuffled, 78)] {
        let report = beside_untrained(&model.untrained(Untrained { kind, seed }).unwrap(), 150);
        assert!(finds(&report, "no more than untrained models of its shape"), "{:?}", report.findings);
        assert!(
            !finds(&report, "More of its units") && !finds(&report, "more than in untrained"),
            "{:?}",
            report.findings
        );
    }
}

#[test]
fn what_training_made_is_told_from_what_random_weights_give() {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/toy");
    let model = Model::load(&bundled).unwrap();
    let report = beside_untrained(&model, 300);
    let units = report.units.as_ref().unwrap();
    // It encodes no more than they do, whatever else it has learnt.
    assert!(finds(&report, "units at 5 sites encode a concept") && finds(&report, "untrained models of its shape"));
    assert!(!finds(&report, "more than untrained models of its shape"), "{:?}", report.findings);
    for site in &units.sites {
        assert_eq!(
            site.controls.iter().map(|control| control.name.as_str()).collect::<Vec<_>>(),
            ["fresh", "shuffled"]
        );
        let last = &site.controls[0];
        assert!(last.models == 3 && last.encoding.lo <= last.encoding.mean && last.encoding.mean <= last.encoding.hi);
    }
    // Another model of the same name is not the same model.
    let shuffled = model.untrained(Untrained { kind: UntrainedKind::Shuffled, seed: 1 }).unwrap();
    let again = model.untrained("shuffled:1".parse().unwrap()).unwrap();
    assert!(shuffled.weights_hash == again.weights_hash && shuffled.weights_hash != model.weights_hash);
    assert!("shuffled".parse::<Untrained>().is_err() && "other:1".parse::<Untrained>().is_err());
}

#[test]
fn every_answer_is_a_row() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let out = home.path().join("exam");
    let report = sit(&model, &out, 2);
    let file = std::fs::File::open(out.join("answers.parquet")).unwrap();
    let rows: Vec<_> =
        SerializedFileReader::new(file).unwrap().get_row_iter(None).unwrap().map(Result::unwrap).collect();
    // 150 pictures of single objects; of 40 twins two pictures, each with a swap and two replaced words; 40 of objects to count.
    let reworded = rows.iter().filter(|row| row.get_string(0).unwrap() == "paraphrase").count();
    assert_eq!(rows.len() - reworded, 150 + 40 * 2 * 3 + 40);
    // In every wording as many pictures of single objects, and the twins.
    let wordings = report.question("paraphrase").unwrap().rates.len() / 2;
    assert!(wordings >= 2 && reworded == wordings * (150 + 40 * 2), "{wordings}: {reworded}");
    let swaps: Vec<_> = rows.iter().filter(|row| row.get_string(1).unwrap() == "swap color").collect();
    let seen: Vec<_> = swaps.iter().filter(|row| row.get_string(9).unwrap() == "yes").collect();
    let right: f64 = seen.iter().map(|row| row.get_double(8).unwrap()).sum();
    let rate = report.rate("binding", "swap").unwrap().accuracy;
    assert!(seen.len() == rate.n && (right - rate.successes).abs() < 1e-9, "{rate:?}");
    for row in &swaps {
        let margin = row.get_double(6).unwrap() - row.get_double(7).unwrap();
        let score = if margin.abs() <= 1e-5 { 0.5 } else { f64::from(u8::from(margin > 0.0)) };
        assert!(
            (row.get_double(8).unwrap() - score).abs() < 1e-12
                && row.get_string(4).unwrap() != row.get_string(5).unwrap()
        );
    }
}

#[test]
fn numbers_add_up() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let report = sit(&model, &home.path().join("exam"), 2);
    let [seen, bound, ..] = &report.questions[..] else { panic!("{:?}", report.questions) };
    let seen_rate = |id: &str| seen.rate(id).unwrap().accuracy;
    let rate = |id: &str| bound.rate(id).unwrap().accuracy;
    assert_eq!((seen_rate("shape").n, seen.grid.as_ref().unwrap().cells.len()), (150, 30));
    let (known, new) = (seen_rate("combination_seen"), seen_rate("combination_held_out"));
    assert_eq!(known.n + new.n, 150);
    assert!((known.successes + new.successes - seen_rate("combination").successes).abs() < 1e-9);
    assert!(seen_rate("combination").estimate <= seen_rate("shape").estimate.min(seen_rate("color").estimate));
    let held_out = report.training.as_ref().unwrap().held_out.len();
    assert_eq!((held_out, new.n), (recipe().scenes.held_out, 5 * recipe().scenes.held_out));
    assert_eq!((rate("swap").n + rate("swap_held_out").n, rate("text_score").n), (80, rate("swap").n / 2));
    assert!(rate("group_score").estimate <= rate("text_score").estimate.min(rate("image_score").estimate));
    assert!(rate("text_score").estimate <= rate("swap").estimate);
    let json: serde_json::Value = serde_json::from_slice(&report.to_json().unwrap()).unwrap();
    assert_eq!(json["schema"], 6);
    assert_eq!(json["questions"][1]["rates"][0]["id"], "swap");
    assert_eq!(json["questions"][1]["rates"][0]["chance"], 0.5);
}

#[test]
fn units_and_sites_are_described() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let out = home.path().join("exam");
    let units = sit(&model, &out, 2).units.unwrap();
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
    let world = World::toy();
    let [shapes, colors] = [0, 1].map(|f| world.factors[f].values.len());
    let sitting = Sitting {
        examinee: &model,
        world: &world,
        templates: &["a {}"],
        pictures: None,
        seen: None,
        repeats: 1,
        twins: 1,
        seed: 0,
        confidence: Confidence::new(0.95).unwrap(),
        remembered: &Remembered::new(0),
        progress: &(),
    };
    let near = Recognition.ask(&sitting).unwrap().nearness;
    let [(shape, near_shapes), (color, near_colors)] = &near[..] else { panic!("{near:?}") };
    assert_eq!((shape.as_str(), color.as_str()), ("shape", "color"));
    assert_eq!((near_shapes.len(), near_colors.len()), (shapes, colors));
    for (f, row) in near_shapes.iter().chain(near_colors).enumerate() {
        let own = if f < shapes { f } else { f - shapes };
        assert!(row[own].abs() < 1e-12 && row.iter().all(|near| near.abs() <= 2.0), "{row:?}");
        assert!(row.iter().any(|near| near.abs() > 1e-6));
    }
}

#[test]
fn what_untrained_models_gave_is_kept_and_gives_the_same_report() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let folder = home.path().join("cache");
    let held = |out: &str, seed: u64, program: &[u8]| {
        let cache = Some(Cache::new(folder.clone(), program));
        let config = ExamConfig { cache, controls: 2, verdict: None, questions: Vec::new(), seed, ..config() };
        examine(&model, "untrained", None, &config, &home.path().join(out), &()).unwrap();
        std::fs::read(home.path().join(out).join("report.json")).unwrap()
    };
    let files = || {
        let files = std::fs::read_dir(&folder).into_iter().flatten().map(|file| file.unwrap().path());
        files.filter(|file| file.extension().is_some_and(|end| end == "json")).collect::<Vec<_>>()
    };
    let anew = held("anew", 3, b"one");
    let kept = files();
    assert_eq!(kept.len(), 4, "two of each kind");
    // Were they measured again, what is planted here would be lost.
    let planted = std::fs::read_to_string(&kept[0]).unwrap().replace("\"any\":", "\"any\":1");
    let own = std::fs::read(&kept[0]).unwrap();
    std::fs::write(&kept[0], planted).unwrap();
    assert_ne!(held("planted", 3, b"one"), anew);
    std::fs::write(&kept[0], own).unwrap();
    assert_eq!(held("again", 3, b"one"), anew);
    // A damaged one is measured anew; another program, or seed, finds nothing.
    std::fs::write(&kept[0], b"[{").unwrap();
    assert_eq!((held("damaged", 3, b"one"), files().len()), (anew.clone(), 4));
    assert_eq!((held("other", 3, b"two"), files().len()), (anew, 8));
    held("seed", 4, b"two");
    assert_eq!(files().len(), 12);
}

#[test]
fn a_report_is_read_back_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let out = home.path().join("exam");
    // One control of each kind has an interval without ends.
    let config = ExamConfig { controls: 1, ..config() };
    let report = examine(&model, "untrained", None, &config, &out, &()).unwrap();
    let path = out.join("report.json");
    assert_eq!(Report::read(&path).unwrap(), report);
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Report::read(&path).unwrap_err().to_string()
    };
    assert!(refused("{\"schema\": 1}").contains("hold the exam again"));
    assert!(refused("{\"schema\": 6}").contains("missing field"));
}

#[test]
fn an_existing_folder_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let out = home.path().join("exam");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine"), "mine").unwrap();
    assert!(examine(&model, "untrained", None, &config(), &out, &()).unwrap_err().is_bad_input());
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
}

#[test]
fn where_attributes_fail_no_cause_of_bindings_is_asked() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let shows = Some(Shows { single: 120, twins: 60, most: 120 });
    let held = |out: &str, verdict: Option<Shows>| {
        let config = ExamConfig { verdict, questions: vec![&Recognition], controls: 0, ..config() };
        let out = home.path().join(out);
        let report = examine(&model, "untrained", None, &config, &out, &()).unwrap();
        (report.cause.unwrap(), ["trace.parquet", "cause.parquet"].map(|file| out.join(file).exists()))
    };
    let (cause, files) = held("judged", shows);
    assert_eq!((cause.answer, files), (CostAnswer::NotAsked, [false, true]));
    assert!(cause.sentence.contains("fail") && cause.effects.is_empty(), "{}", cause.sentence);
    // Where nothing says that attributes fail, it is asked.
    let (cause, files) = held("not judged", None);
    assert!(!cause.sentence.contains("fail") && files == [true, true], "{cause:?}");
}
