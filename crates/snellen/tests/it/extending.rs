//! How the exam is extended, as ARCHITECTURE says: a factor is data, a question a file and a row. Each is added here from outside the
//! library, and comes through to the report, the page and the sentences.

use image::RgbImage;
use snellen::Result;
use snellen::exam::question::{Answer, Answers, Asked};
use snellen::exam::questions::{Binding, Recognition};
use snellen::exam::{ExamConfig, Examinee, Question, Sitting, examine};
use snellen::measure::Matrix;
use snellen::report::QuestionCard;
use snellen::scene::{Combinations, World, generate};
use std::path::Path;

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
    assert_eq!(report.rate("crowding", "differs").unwrap().accuracy.n, 10);
    assert_eq!(report.findings, ["More objects are something else in 0 of 100."]);
    let page = page(&out);
    assert!(page.contains("One object and four") && page.contains("Neighbouring scenes of one object and of four."));
    let json = std::fs::read_to_string(out.join("report.json")).unwrap();
    assert!(json.contains("\"crowding\"") && !json.contains("\"recognition\""));
}
