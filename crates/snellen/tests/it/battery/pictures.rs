//! Pictures of the user's own.

use crate::oracles::{Oracle, bag, blind, bound, says};
use image::RgbImage;
use snellen::exam::{ExamConfig, Examinee, QUESTIONS, Question, examine, questions};
use snellen::measure::Matrix;
use snellen::report::Report;
use snellen::scene::folder::write_folder;
use snellen::scene::{Canvas, Combinations, World, generate};
use snellen::{Error, Result};
use std::fs;
use std::path::Path;

/// Knows which words are said, and which values are shown.
struct Words(Oracle);

impl Examinee for Words {
    fn side(&self) -> u32 {
        self.0.side()
    }

    fn images(&self, images: &[RgbImage]) -> Result<Matrix> {
        self.0.images(images)
    }

    fn texts(&self, texts: &[String]) -> Result<Matrix> {
        let world = World::toy();
        let values: Vec<&str> =
            world.factors[..2].iter().flat_map(|factor| &factor.values).map(|value| value.name.as_str()).collect();
        let row = |text: &String| -> Vec<f32> {
            let said = |value: &&str| text.split([' ', ',']).filter(|word| word == value).count() as f32;
            let row: Vec<f32> = values.iter().map(said).collect();
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.into_iter().map(|x| x / length).collect()
        };
        Matrix::new(texts.len(), values.len(), texts.iter().flat_map(row).collect())
    }
}

/// A folder with labels of scenes of one object and of two.
fn folder(at: &Path, objects: std::ops::RangeInclusive<usize>, count: usize) {
    let world = World::toy();
    let scenes = generate::toy(&world, &Combinations::all(&world), objects, count, 3).unwrap();
    write_folder(at, &world, &scenes, &Canvas::plain(224, 224)).unwrap();
}

fn held(examinee: &dyn Examinee, images: &Path, asked: Vec<&'static dyn Question>) -> Result<Report> {
    let home = tempfile::tempdir().unwrap();
    let images = Some(images.to_owned());
    let config = ExamConfig { images, questions: asked, ..ExamConfig::standard(5).unwrap() };
    examine(examinee, "own", None, &config, &home.path().join("exam"), &())
}

fn all() -> Vec<&'static dyn Question> {
    QUESTIONS.to_vec()
}

fn rate(report: &Report, id: &str) -> Option<f64> {
    report.rate("pictures", id).map(|rate| rate.accuracy.estimate)
}

#[test]
fn one_that_binds_is_right_of_own_pictures() {
    let home = tempfile::tempdir().unwrap();
    let images = home.path().join("scenes");
    folder(&images, 1..=2, 120);
    let report = held(&Oracle::new(bound), &images, all()).unwrap();
    for id in ["replaced_shape", "replaced_color", "swap_shape", "swap_color"] {
        assert!(rate(&report, id).unwrap() > 0.999, "{id}: {:?}", rate(&report, id));
    }
    // Pictures of two objects show two colours; values of fewer than six pictures are not read.
    let own = report.question("pictures").unwrap();
    assert!(own.images == 120 && (40..=60).contains(&own.rate("read_color").unwrap().accuracy.n));
    assert_eq!(own.rate("swap_color").unwrap().accuracy.n, 60);
    assert!(says(&report, "values of two objects exchanged: the shape (100.0 %"), "{:?}", report.findings);
    // Everything else is left out by name.
    let left_out = report.questions.iter().filter(|card| card.left_out.is_some()).count();
    assert_eq!((left_out, report.questions.len()), (QUESTIONS.len() - 1, QUESTIONS.len()));
    assert!(report.verdict.is_none() && says(&report, "The verdict is left out"), "{:?}", report.findings);
    assert!(own.left_out_parts.iter().any(|part| part == "position by captions: fits no template"));
}

#[test]
fn a_bag_of_words_notices_replaced_values_of_own_pictures_and_no_exchanged_ones() {
    let home = tempfile::tempdir().unwrap();
    let images = home.path().join("scenes");
    folder(&images, 1..=2, 120);
    // Without captions the labels are said in words.
    fs::remove_file(images.join("captions.csv")).unwrap();
    let report = held(&Words(Oracle::new(bag)), &images, all()).unwrap();
    assert!(rate(&report, "named_shape").unwrap() > 0.999 && rate(&report, "named_color").unwrap() > 0.999);
    assert!(rate(&report, "replaced_color").unwrap() > 0.999 && rate(&report, "read_shape").unwrap() > 0.9);
    assert!((rate(&report, "swap_color").unwrap() - 0.5).abs() < 1e-9);
    assert!(
        says(&report, "recognises the shape (100.0 %") && says(&report, "exchanged does not show"),
        "{:?}",
        report.findings
    );
    let report = held(&Oracle::new(blind), &images, all()).unwrap();
    assert!((rate(&report, "named_color").unwrap() - 1.0 / 6.0).abs() < 1e-9);
    assert!((rate(&report, "replaced_shape").unwrap() - 0.5).abs() < 1e-9);
}

#[test]
fn captions_are_read_as_they_are_written() {
    let home = tempfile::tempdir().unwrap();
    let images = home.path().join("scenes");
    folder(&images, 2..=2, 40);
    // Half of the pictures have a caption, and it says colours only.
    let captions = fs::read_to_string(images.join("captions.csv")).unwrap();
    let few: Vec<&str> = captions.lines().take(21).collect();
    fs::write(images.join("captions.csv"), few.join("\n")).unwrap();
    let own = held(&Oracle::new(bound), &images, all()).unwrap();
    let own = own.question("pictures").unwrap();
    assert_eq!(own.rate("swap_color").unwrap().accuracy.n, 20);
    let why = "captions of 20 of 40 pictures: none, or not read by its text tower";
    assert!(own.left_out_parts.iter().any(|part| part == why), "{:?}", own.left_out_parts);
}

/// Has no texts.
struct Mute(Oracle);

impl Examinee for Mute {
    fn side(&self) -> u32 {
        self.0.side()
    }

    fn images(&self, images: &[RgbImage]) -> Result<Matrix> {
        self.0.images(images)
    }

    fn texts(&self, _: &[String]) -> Result<Matrix> {
        Err(Error::mismatch("mute", "no texts", "some"))
    }

    fn has_texts(&self) -> bool {
        false
    }
}

#[test]
fn who_has_no_text_tower_is_asked_of_images_alone() {
    let home = tempfile::tempdir().unwrap();
    let images = home.path().join("scenes");
    folder(&images, 1..=1, 90);
    let mute = Mute(Oracle::new(bag));
    let report = held(&mute, &images, all()).unwrap();
    let own = report.question("pictures").unwrap();
    let ids: Vec<&str> = own.rates.iter().map(|rate| rate.id.as_str()).collect();
    assert_eq!(ids, ["read_shape", "read_color", "read_position"]);
    assert!(rate(&report, "read_color").unwrap() > 0.9);
    assert_eq!(own.left_out_parts, ["captions: it has no text tower"]);
    // Of drawn scenes too what needs no captions is asked, and all else is left out by name.
    let home = tempfile::tempdir().unwrap();
    let config = ExamConfig { twins: 60, ..ExamConfig::standard(5).unwrap() };
    let report = examine(&mute, "mute", None, &config, &home.path().join("exam"), &()).unwrap();
    let asked: Vec<&str> =
        report.questions.iter().filter(|card| card.left_out.is_none()).map(|card| card.id.as_str()).collect();
    assert_eq!(asked, ["generalisation", "additive"]);
    assert!(says(&report, "The verdict is left out: it has no text tower"), "{:?}", report.findings);
}

#[test]
fn where_nothing_is_left_that_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let images = home.path().join("scenes");
    folder(&images, 1..=1, 10);
    let one = questions(&["binding".to_owned()]).unwrap();
    let refused = held(&Oracle::new(bound), &images, one).unwrap_err();
    assert!(refused.is_bad_input(), "{refused}");
    let said = refused.to_string();
    assert!(said.contains("something that can be asked") && said.contains("binding: asked of drawn scenes"), "{said}");
    // Pictures that all show the same leave nothing to ask.
    fs::remove_file(images.join("captions.csv")).unwrap();
    let labels = fs::read_to_string(images.join("labels.csv")).unwrap();
    let rows: Vec<String> =
        labels.lines().skip(1).map(|line| format!("{},same", line.split(',').next().unwrap())).collect();
    fs::write(images.join("labels.csv"), format!("filename,mood_0\n{}\n", rows.join("\n"))).unwrap();
    let own = questions(&["pictures".to_owned()]).unwrap();
    let said = held(&Oracle::new(bound), &images, own).unwrap_err().to_string();
    assert!(said.contains("mood: all show one value"), "{said}");
}
