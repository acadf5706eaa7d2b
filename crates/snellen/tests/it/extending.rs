//! How the exam is extended, as ARCHITECTURE says: a factor is data, a question a file and a row, a basis a file. Each is added here from outside
//! the library, and comes through to the report, the page and the sentences, or to recordings and tables.

use image::RgbImage;
use snellen::exam::question::{Answer, Answers, Asked};
use snellen::exam::questions::{Binding, Recognition};
use snellen::exam::{ExamConfig, Examinee, Question, Sitting, examine};
use snellen::measure::encodes::Criterion;
use snellen::measure::unit_concepts_table::UnitConcepts;
use snellen::measure::{Confidence, Matrix};
use snellen::model::Model;
use snellen::record::{
    ActivationStore, ArrayId, Basis, BasisSites, Part, Progress, RecordConfig, RunManifest, SceneSource, Texts,
    TokenPolicy, Unfinished, merge, record, record_texts,
};
use snellen::report::QuestionCard;
use snellen::scene::{Canvas, Combinations, SceneKind, Series, World, generate};
use snellen::units::measure_run;
use snellen::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Sees nothing.
struct Blind;

impl Examinee for Blind {
    fn side(&self) -> u32 {
        48
    }

    fn images(&self, images: &[RgbImage]) -> Result<Matrix> {
        Matrix::new(images.len(), 1, vec![1.0; images.len()])
    }

    fn texts(&self, texts: &[String]) -> Result<Matrix> {
        Matrix::new(texts.len(), 1, vec![1.0; texts.len()])
    }
}

fn page(out: &Path) -> String {
    std::fs::read_to_string(out.join("report.html")).unwrap()
}

#[test]
fn a_factor_is_data() {
    let text = r#"
        size = [0.2, 0.22]
        jitter = 0.0
        [[factors]]
        name = "shape"
        said = "noun"
        values = [{ name = "circle", outline = "circle" }, { name = "square", outline = "square" }]
        [[factors]]
        name = "color"
        said = "adjective"
        values = [{ name = "red", paint = [255, 0, 0] }, { name = "blue", paint = [0, 0, 255] }]
        [[factors]]
        name = "texture"
        said = "adjective"
        values = [{ name = "plain", texture = "solid" }, { name = "hatched", texture = "hatched" }]
        [[factors]]
        name = "position"
        said = "no"
        values = [{ name = "L", place = [0.25, 0.5] }, { name = "R", place = [0.75, 0.5] }]
    "#;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hatched.toml");
    std::fs::write(&file, text).unwrap();
    let world = World::named_or_read(file.to_str().unwrap()).unwrap();
    let questions: Vec<&dyn Question> = vec![&Recognition, &Binding];
    let world = Some(world);
    let config = ExamConfig { twins: 20, verdict: None, questions, world, ..ExamConfig::standard(2).unwrap() };
    let out = folder.path().join("exam");
    let report = examine(&Blind, "blind", None, &config, &out, &()).unwrap();
    let texture = report.rate("recognition", "texture").unwrap();
    assert!((texture.chance - 0.5).abs() < 1e-12 && (texture.accuracy.estimate - 0.5).abs() < 1e-12);
    assert!((report.rate("recognition", "combination").unwrap().chance - 0.125).abs() < 1e-12);
    assert_eq!(report.rate("binding", "swap").unwrap().accuracy.n, 40);
    assert_eq!(report.world, None);
    assert!(page(&out).contains("a red hatched circle") || page(&out).contains("a blue hatched square"));
}

/// Whether more objects make the embedding of an image another.
#[derive(Debug)]
struct Crowding;

impl Question for Crowding {
    fn id(&self) -> &'static str {
        "crowding"
    }

    fn title(&self) -> &'static str {
        "one object and four"
    }

    fn purpose(&self) -> &'static str {
        "whether more is something else"
    }

    fn about(&self, _: usize) -> String {
        "Neighbouring scenes of one object and of four.".to_owned()
    }

    fn ask(&self, sitting: &Sitting<'_>) -> Result<Asked> {
        let all = Combinations::all(sitting.world);
        let mut scenes = generate::toy(sitting.world, &all, 1..=1, 10, sitting.seed)?;
        scenes.extend(generate::toy(sitting.world, &all, 4..=4, 10, sitting.seed)?);
        let images = sitting.images(&scenes.iter().collect::<Vec<_>>())?;
        let score = |i: usize| f64::from(u8::from(images.row(i) != images.row(10 + i)));
        let answers = (0..10).map(|i| Answer { score: score(i), cluster: i as u64 }).collect();
        let rate = Answers { id: "differs".to_owned(), title: "differs".to_owned(), chance: 0.0, answers };
        Ok(Asked { scenes, group: 1, answers: vec![rate], ..Asked::default() })
    }

    fn findings(&self, own: &QuestionCard, _: &[QuestionCard]) -> Vec<String> {
        let rate = own.rate("differs").map_or(0.0, |rate| rate.accuracy.estimate);
        vec![format!("More objects are something else in {:.0} of 100.", 100.0 * rate)]
    }
}

#[test]
fn a_question_is_a_file_and_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("exam");
    let questions: Vec<&dyn Question> = vec![&Crowding];
    let config = ExamConfig { verdict: None, questions, ..ExamConfig::standard(2).unwrap() };
    let report = examine(&Blind, "blind", None, &config, &out, &()).unwrap();
    assert_eq!(report.world.as_deref(), Some("hard"), "nothing is known of its training");
    assert_eq!(report.rate("crowding", "differs").unwrap().accuracy.n, 10);
    assert_eq!(report.findings, ["More objects are something else in 0 of 100."]);
    let page = page(&out);
    assert!(page.contains("One object and four") && page.contains("Neighbouring scenes of one object and of four."));
    let json = std::fs::read_to_string(out.join("report.json")).unwrap();
    assert!(json.contains("\"crowding\"") && !json.contains("\"recognition\""));
}

/// Rectified differences of units, either way round: twice as many latents as units.
#[derive(Debug)]
struct Differences {
    width: usize,
    /// How far apart the two units are.
    step: usize,
}

impl Differences {
    fn of(&self, tokens: &[f32]) -> Vec<f32> {
        let both = |(k, token): (usize, &[f32])| {
            let difference = token[k] - token[(k + self.step) % self.width];
            [difference.max(0.0), (-difference).max(0.0)]
        };
        tokens.chunks(self.width).flat_map(|token| (0..self.width).flat_map(move |k| both((k, token)))).collect()
    }
}

impl Basis for Differences {
    fn name(&self) -> &'static str {
        "differences"
    }

    fn hash(&self) -> blake3::Hash {
        blake3::hash(&self.step.to_le_bytes())
    }

    fn latents(&self, width: usize) -> Result<usize> {
        if width != self.width {
            return Err(Error::mismatch("differences", format!("{} units", self.width), width));
        }
        Ok(2 * width)
    }

    fn encode(&self, rows: &[f32], latents: &mut [f32]) -> Result<()> {
        // What is zero is left alone, as a sparse basis would.
        let active = latents.iter_mut().zip(self.of(rows)).filter(|(_, value)| *value > 0.0);
        active.for_each(|(latent, value)| *latent = value);
        Ok(())
    }
}

const RESID: &str = "blocks.1.hook_resid_post";

fn toy() -> Model {
    Model::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/toy")).unwrap()
}

fn pictures(count: usize) -> SceneSource {
    SceneSource(Series::new(SceneKind::Toy, World::toy(), Canvas::plain(56, 56), count, 1).unwrap())
}

/// `site` as it is, and in the basis.
fn in_basis(width: usize, step: usize, site: &str, policies: &[TokenPolicy]) -> RecordConfig {
    let basis = BasisSites {
        basis: Arc::new(Differences { width, step }),
        sites: vec![site.to_owned()],
        policies: policies.to_vec(),
    };
    RecordConfig {
        sites: vec![site.to_owned()],
        policies: vec![TokenPolicy::Max, TokenPolicy::All],
        batch: 16,
        seed: 1,
        part: None,
        unfinished: Unfinished::Keep,
        skip_bad: false,
        edits: Vec::new(),
        bases: vec![basis],
    }
}

/// The largest of each unit over the tokens, which are those of one image.
fn largest(tokens: &[f32], units: usize) -> Vec<f32> {
    let of = |unit: usize| tokens.iter().skip(unit).step_by(units).copied().fold(f32::NEG_INFINITY, f32::max);
    (0..units).map(of).collect()
}

#[test]
fn a_basis_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (model, source, out) = (toy(), pictures(60), folder.path().join("run"));
    let (width, step) = (model.config.vision.tower.width, 3);
    let policies = [TokenPolicy::Cls, TokenPolicy::Mean, TokenPolicy::Max, TokenPolicy::All];
    let config = in_basis(width, step, RESID, &policies);
    let run = record(&model, &source, &config, &out, &()).unwrap();
    assert_eq!(RunManifest::read(&out).unwrap(), run);
    assert_eq!((run.bases.len(), run.bases[0].name.as_str()), (1, "differences"));
    assert_eq!(run.bases[0].hash, blake3::hash(&step.to_le_bytes()).to_hex().to_string());

    let store = ActivationStore::open(&out.join("activations.zarr")).unwrap();
    let basis = format!("differences-{}", &run.bases[0].hash[..16]);
    let names: Vec<String> = store.arrays().iter().map(|array| array.id.to_string()).collect();
    let of_basis = ["cls", "mean", "max", "all"].map(|policy| format!("{RESID}/{basis}/{policy}"));
    assert_eq!(names, [&[format!("{RESID}/max"), format!("{RESID}/all")][..], &of_basis].concat());
    assert!(names.iter().all(|name| name.parse::<ArrayId>().unwrap().to_string() == *name));
    for group in [RESID.to_owned(), format!("{RESID}/{basis}")] {
        let json = std::fs::read_to_string(out.join("activations.zarr").join(group).join("zarr.json")).unwrap();
        assert!(json.contains("\"group\""), "a reader that walks down finds a group on its way");
    }
    let read = |name: &str| store.read(&format!("{RESID}/{name}").parse().unwrap()).unwrap();
    let latents = |policy: &str| read(&format!("{basis}/{policy}"));
    let (shape, raw) = read("all");
    let differences = Differences { width, step };
    assert_eq!(latents("all"), (vec![60, shape[1], 2 * width], differences.of(&raw)));
    // Tokens are reduced after they became latents.
    let tokens = shape[1] * 2 * width;
    let [class, largest_of, mean_of] = ["cls", "max", "mean"].map(|policy| latents(policy).1);
    for (image, all) in latents("all").1.chunks(tokens).enumerate() {
        let own = |values: &[f32]| values[image * 2 * width..][..2 * width].to_vec();
        assert_eq!(own(&class), all[..2 * width]);
        assert_eq!(own(&largest_of), largest(&all[2 * width..], 2 * width));
        for (unit, mean) in own(&mean_of).into_iter().enumerate() {
            let sum: f64 = all[2 * width..].iter().skip(unit).step_by(2 * width).map(|x| f64::from(*x)).sum();
            assert!((f64::from(mean) - sum / (shape[1] - 1) as f64).abs() < 1e-6);
        }
    }
    assert_ne!(largest_of, differences.of(&read("max").1), "that of the largest activations is another");

    let by = Criterion { q: 0.05, min_effect: 0.2, confidence: Confidence::new(0.95).unwrap(), seed: 1 };
    let measured = measure_run(&out, None, &[], &by, &()).unwrap();
    let sites: Vec<_> =
        measured.units.sites.iter().map(|of| (format!("{}/{}", of.site, of.tokens), of.units)).collect();
    let expected = [(names[0].clone(), width), (names[2].clone(), 2 * width)];
    assert_eq!(sites[..2], expected);
    let tables = UnitConcepts::read(&out.join("unit_concepts.parquet")).unwrap();
    let of_table: Vec<_> = tables.sites.iter().map(|(site, _)| site.clone()).collect();
    assert_eq!(of_table, [&names[..1], &names[2..5]].concat());
}

/// Stops at once.
struct Stop;

impl Progress for Stop {
    fn advance(&self, _: usize, _: usize) {}
    fn is_cancelled(&self) -> bool {
        true
    }
}

#[test]
fn bases_of_one_name_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (model, source) = (toy(), pictures(6));
    let width = model.config.vision.tower.width;
    let config = |step: usize| in_basis(width, step, RESID, &[TokenPolicy::Max]);
    let says = |result: Result<RunManifest>, words: &[&str]| {
        let said = result.unwrap_err().to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{words:?} are not in: {said}");
    };
    let out = folder.path().join("run");
    assert!(record(&model, &source, &config(1), &out, &Stop).is_err());
    let resumed = |step: usize| RecordConfig { unfinished: Unfinished::Resume, ..config(step) };
    says(record(&model, &source, &resumed(2), &out, &()), &["plan.json", "basis", "differences-"]);
    record(&model, &source, &resumed(1), &out, &()).unwrap();
    says(record(&model, &source, &resumed(2), &out, &()), &["run.json", "basis", "differences-"]);
    record(&model, &source, &resumed(1), &out, &()).unwrap();

    let part = |index: usize, step: usize| -> PathBuf {
        let out = folder.path().join(format!("part-{index}-{step}"));
        let config = RecordConfig { part: Some(Part::new(index, 2).unwrap()), ..config(step) };
        record(&model, &source, &config, &out, &()).unwrap();
        out
    };
    let [first, other, second] = [part(1, 1), part(2, 2), part(2, 1)];
    says(merge(&[first.clone(), other], &folder.path().join("mixed"), &()), &["basis", "differences-"]);
    let merged = folder.path().join("merged");
    assert_eq!(merge(&[first, second], &merged, &()).unwrap(), RunManifest::read(&out).unwrap());
    let [a, b] = [&out, &merged].map(|run| ActivationStore::open(&run.join("activations.zarr")).unwrap());
    assert!(a.arrays().iter().all(|array| a.read(&array.id).unwrap() == b.read(&array.id).unwrap()));

    // A basis for other units, or of what has none.
    let none = folder.path().join("none");
    says(record(&model, &source, &in_basis(5, 1, RESID, &[TokenPolicy::Max]), &none, &()), &["differences", "5 units"]);
    let pattern = in_basis(width, 1, "blocks.1.attn.hook_pattern", &[TokenPolicy::All]);
    let pattern = RecordConfig { sites: Vec::new(), ..pattern };
    says(record(&model, &source, &pattern, &none, &()), &["basis `differences-", "hook_pattern"]);
    for wrong in ["hook", "x/max", "blocks.1.hook_resid_post/differences-1/max", "image_embeds/a/b/c"] {
        assert!(wrong.parse::<ArrayId>().is_err(), "{wrong}");
    }
}

#[test]
fn texts_have_latents_where_they_have_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (toy(), folder.path().join("run"));
    let (width, site) = (model.config.text().unwrap().tower.width, "text.blocks.1.hook_resid_post");
    let texts = Texts::of_scenes(&Series::new(SceneKind::Toy, World::toy(), Canvas::plain(56, 56), 9, 5).unwrap());
    let config = in_basis(width, 2, site, &[TokenPolicy::Eos, TokenPolicy::Max, TokenPolicy::All]);
    let run = record_texts(&model, (&texts.unwrap(), false), &config, &out, &()).unwrap();
    let store = ActivationStore::open(&out.join("activations.zarr")).unwrap();
    let basis = run.sites[1].basis.as_ref().unwrap();
    let read = |name: String| store.read(&format!("{site}/{name}").parse().unwrap()).unwrap().1;
    let [eos, most, all] = ["eos", "max", "all"].map(|policy| read(format!("{basis}/{policy}")));
    let (raw, differences) = (read("all".to_owned()), Differences { width, step: 2 });
    let tokens = raw.len() / 9;
    let mut lengths = Vec::new();
    for (text, raw) in raw.chunks(tokens).enumerate() {
        let length = raw.chunks(width).take_while(|token| token.iter().any(|x| *x != 0.0)).count();
        let (own, rest) = all[text * 2 * tokens..][..2 * tokens].split_at(length * 2 * width);
        assert_eq!(own, differences.of(&raw[..length * width]));
        assert!(rest.iter().all(|x| x.to_bits() == 0));
        assert_eq!(most[text * 2 * width..][..2 * width], largest(own, 2 * width));
        assert_eq!(eos[text * 2 * width..][..2 * width], own[own.len() - 2 * width..]);
        lengths.push(length);
    }
    assert!(lengths.iter().any(|length| *length != lengths[0]), "texts of several lengths");
}
