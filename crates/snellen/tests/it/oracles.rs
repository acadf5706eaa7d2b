//! Examinees that are known to see, bind, or not: whatever the exam says of them is known beforehand.
//!
//! They read the images that are drawn and the captions that are written, nothing else, so that the exam's own bookkeeping is what is
//! tested: which image goes with which caption, which rate is which, which sentence may be said.

use image::RgbImage;
use snellen::Result;
use snellen::exam::{ExamConfig, Examinee, Shows, Training, examine, questions};
use snellen::measure::Matrix;
use snellen::report::Report;
use snellen::scene::{Canvas, Combinations, Look, Object, Scene, World, WorldValue, render};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// The factors of the toy world, by index.
const SHAPE: usize = 0;
const COLOR: usize = 1;

/// What is said or shown of one object: its shape and colour, by index.
pub type Seen = [usize; 2];

/// Height and width of its images.
const SIDE: u32 = 224;

/// An encoder made by hand: `embed` makes an embedding of what an image or a text holds.
pub struct Oracle {
    world: World,
    /// How each shape looks: the share of its box that it fills, and the box's height over its width.
    looks: Vec<[f64; 2]>,
    embed: fn(&World, &[Seen]) -> Vec<f32>,
    /// The same of texts.
    say: fn(&World, &[Seen]) -> Vec<f32>,
}

impl Oracle {
    pub fn new(embed: fn(&World, &[Seen]) -> Vec<f32>) -> Self {
        Self::of(embed, embed)
    }

    /// Of images and texts it makes embeddings of their own.
    pub fn of(embed: fn(&World, &[Seen]) -> Vec<f32>, say: fn(&World, &[Seen]) -> Vec<f32>) -> Self {
        let world = World::toy();
        let look = |shape: u32| {
            let object = Object { values: vec![shape, 0, 0], x: 0.5, y: 0.5, size: 0.2 };
            let image = render(&Scene::from(vec![object.clone()]), &world, &Canvas::plain(SIDE, SIDE));
            look_of(&image, world.figure(&object).paint).unwrap()
        };
        let looks = (0..world.factors[SHAPE].values.len() as u32).map(look).collect();
        Self { world, looks, embed, say }
    }

    /// The objects of an image, which differ in colour.
    fn see(&self, image: &RgbImage) -> Vec<Seen> {
        let shape = |look: [f64; 2]| {
            let far = |other: &[f64; 2]| (look[0] - other[0]).hypot(look[1] - other[1]);
            (0..self.looks.len()).min_by(|a, b| far(&self.looks[*a]).total_cmp(&far(&self.looks[*b]))).unwrap()
        };
        let colors = self.world.factors[COLOR].values.iter().enumerate();
        let seen = |(color, value): (usize, &WorldValue)| {
            let Look::Paint(paint) = value.look else { panic!("{value:?}") };
            Some([shape(look_of(image, paint)?), color])
        };
        colors.filter_map(seen).collect()
    }

    /// The objects of a caption.
    fn read(&self, caption: &str) -> Vec<Seen> {
        let phrases = caption.split(" and ").flat_map(|part| part.split(", "));
        let object = |phrase: &str| {
            let words: Vec<&str> = phrase.split(' ').collect();
            let named = |f: usize| self.world.factors[f].values.iter().position(|v| words.contains(&v.name.as_str()));
            Some([named(SHAPE)?, named(COLOR)?])
        };
        phrases.filter_map(object).collect()
    }

    fn rows(&self, seen: impl Iterator<Item = Vec<Seen>>, embed: fn(&World, &[Seen]) -> Vec<f32>) -> Result<Matrix> {
        let rows: Vec<Vec<f32>> = seen.map(|seen| unit(embed(&self.world, &seen))).collect();
        Matrix::new(rows.len(), rows[0].len(), rows.concat())
    }
}

/// Fill and proportions of what is painted in `rgb`; `None` where hardly anything is.
fn look_of(image: &RgbImage, rgb: [u8; 3]) -> Option<[f64; 2]> {
    let painted: Vec<_> = image.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 == rgb).collect();
    let (xs, ys): (Vec<u32>, Vec<u32>) = painted.iter().map(|(x, y, _)| (*x, *y)).unzip();
    let extent = |of: &[u32]| Some(f64::from(of.iter().max()? - of.iter().min()? + 1));
    let (width, height) = (extent(&xs)?, extent(&ys)?);
    (painted.len() > 100).then_some([painted.len() as f64 / (width * height), height / width])
}

/// The direction of `row`; of nothing, one that is as near to everything.
fn unit(row: Vec<f32>) -> Vec<f32> {
    let row = if row.iter().all(|x| *x == 0.0) { vec![1.0; row.len()] } else { row };
    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    row.into_iter().map(|x| x / length).collect()
}

impl Examinee for Oracle {
    fn side(&self) -> u32 {
        SIDE
    }

    fn images(&self, images: &[RgbImage]) -> Result<Matrix> {
        self.rows(images.iter().map(|image| self.see(image)), self.embed)
    }

    fn texts(&self, texts: &[String]) -> Result<Matrix> {
        self.rows(texts.iter().map(|text| self.read(text)), self.say)
    }
}

fn count(world: &World, factor: usize) -> usize {
    world.factors[factor].values.len()
}

/// Which shape has which colour.
pub fn bound(world: &World, seen: &[Seen]) -> Vec<f32> {
    let mut row = vec![0.0; count(world, SHAPE) * count(world, COLOR)];
    seen.iter().for_each(|[shape, color]| row[shape * count(world, COLOR) + color] += 1.0);
    row
}

/// Which shapes and which colours there are.
pub fn bag(world: &World, seen: &[Seen]) -> Vec<f32> {
    let mut row = vec![0.0; count(world, SHAPE) + count(world, COLOR)];
    for [shape, color] in seen {
        row[*shape] += 1.0;
        row[count(world, SHAPE) + color] += 1.0;
    }
    row
}

/// Which shapes there are.
fn colour_blind(world: &World, seen: &[Seen]) -> Vec<f32> {
    let mut row = vec![0.0; count(world, SHAPE)];
    seen.iter().for_each(|[shape, _]| row[*shape] += 1.0);
    row
}

/// As [`bound`], and every shape a circle.
fn round(world: &World, seen: &[Seen]) -> Vec<f32> {
    bound(world, &seen.iter().map(|[_, color]| [0, *color]).collect::<Vec<_>>())
}

/// Nothing at all.
pub fn blind(_: &World, _: &[Seen]) -> Vec<f32> {
    vec![1.0, 1.0]
}

/// As [`bound`], of the combinations that were learnt by heart; all others look alike.
pub fn by_heart(world: &World, seen: &[Seen]) -> Vec<f32> {
    let known = learnt(world);
    let (by_heart, others): (Vec<Seen>, Vec<Seen>) =
        seen.iter().partition(|seen| known.contains(&seen.map(|value| value as u32)));
    let mut row = bound(world, &by_heart);
    row.push(others.len() as f32);
    row
}

pub fn learnt(world: &World) -> Combinations {
    Combinations::holding_out(world, 8, 7).unwrap()
}

fn sit(oracle: &Oracle, training: Option<&Training>) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let questions = questions(&["recognition", "binding"].map(str::to_owned)).unwrap();
    let world = training.is_none().then(World::toy);
    let config =
        ExamConfig { twins: 60, repeats: 1, verdict: None, questions, world, ..ExamConfig::standard(11).unwrap() };
    let out = folder.path().join("exam");
    let report = examine(oracle, "oracle", training, &config, &out, &()).unwrap();
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Eye exam: oracle") && !page.contains("Which units"), "no units, and nothing said of them");
    report
}

/// Every accuracy but the last digits, by question and name.
pub fn rates(report: &Report) -> Vec<(String, f64)> {
    let of = |rate: &snellen::report::NamedRate| (rate.id.clone(), (rate.rate.accuracy.estimate * 1e6).round() / 1e6);
    report.questions.iter().flat_map(|question| question.rates.iter().map(of)).collect()
}

fn expect(report: &Report, expected: &[(&str, f64)]) {
    let expected: Vec<_> = expected.iter().map(|(id, x)| ((*id).to_owned(), (x * 1e6).round() / 1e6)).collect();
    assert_eq!(rates(report), expected);
}

pub fn says(report: &Report, sentence: &str) -> bool {
    report.findings.iter().any(|finding| finding.contains(sentence))
}

#[test]
fn one_that_binds_is_right_in_everything() {
    let report = sit(&Oracle::new(bound), None);
    let all = ["shape", "color", "combination", "swap", "replaced_shape", "replaced_color"];
    let all = all.into_iter().chain(["text_score", "image_score", "group_score"]).map(|id| (id, 1.0));
    expect(&report, &all.collect::<Vec<_>>());
    let binding = report.question("binding").unwrap();
    assert_eq!(binding.number("ties"), Some(0.0));
    assert!(binding.contrast("gap").unwrap().estimate.abs() < 1e-12);
    assert!(
        says(&report, "Of a single object it recognises the shape (100.0 %")
            && says(&report, "and the colour (100.0 %")
    );
    assert!(
        !says(&report, "bags of concepts") && !says(&report, "no better than by guessing"),
        "{:?}",
        report.findings
    );
    let said = &report.question("recognition").unwrap().said;
    assert_eq!(
        said.iter().map(|of| (of.factor.as_str(), of.shares.len())).collect::<Vec<_>>(),
        [("shape", 5), ("color", 6)]
    );
    let diagonal = |of: &snellen::report::SaidOf| (0..of.shares.len()).all(|k| (of.shares[k][k] - 1.0).abs() < 1e-9);
    assert!(said.iter().all(diagonal), "{said:?}");
    let grid = report.question("recognition").unwrap().grid.as_ref().unwrap();
    assert!(grid.cells.len() == 30 && grid.cells.iter().all(|cell| cell.accuracy > 0.999 && cell.n == 5));
}

#[test]
fn what_is_said_of_what_is_shown_stands_in_the_row_of_what_is_shown() {
    let report = sit(&Oracle::of(round, bound), None);
    let said = &report.question("recognition").unwrap().said[0];
    assert_eq!((said.factor.as_str(), said.values[0].as_str()), ("shape", "circle"));
    assert!(said.shares.iter().all(|row| (row[0] - 1.0).abs() < 1e-9), "{said:?}");
}

#[test]
fn a_bag_of_words_ties_in_every_swap_and_notices_every_word() {
    let report = sit(&Oracle::new(bag), None);
    let seen = [("shape", 1.0), ("color", 1.0), ("combination", 1.0)];
    let bound = [("swap", 0.5), ("replaced_shape", 1.0), ("replaced_color", 1.0)];
    let winoground = [("text_score", 0.0), ("image_score", 0.0), ("group_score", 0.0)];
    expect(&report, &[seen, bound, winoground].concat());
    let binding = report.question("binding").unwrap();
    assert_eq!(binding.number("ties"), Some(120.0), "both images of 60 twins");
    assert!((binding.contrast("gap").unwrap().estimate - 0.5).abs() < 1e-12);
    assert!(says(&report, "notices a replaced word more often than exchanged ones"));
    assert!(says(&report, "more like bags of concepts than like bindings"), "{:?}", report.findings);
}

#[test]
fn of_one_that_sees_no_colours_nothing_is_said_of_binding() {
    let report = sit(&Oracle::new(colour_blind), None);
    let sixth = 1.0 / 6.0;
    let seen = [("shape", 1.0), ("color", sixth), ("combination", sixth)];
    let bound = [("swap", 0.5), ("replaced_shape", 1.0), ("replaced_color", 0.5)];
    let winoground = [("text_score", 0.0), ("image_score", 0.0), ("group_score", 0.0)];
    expect(&report, &[seen, bound, winoground].concat());
    assert!(
        {
            let color = &report.question("recognition").unwrap().said[1];
            color.shares.iter().flatten().all(|share| (share - 1.0 / 6.0).abs() < 1e-9)
        },
        "every colour ties with every other"
    );
    assert!(
        says(&report, "names the colour (16.7 % [11.6, 23.4]) no better than by guessing"),
        "{:?}",
        report.findings
    );
    assert!(says(&report, "does not recognise colours it says nothing of binding"), "{:?}", report.findings);
    assert!(!says(&report, "bags of concepts") && !says(&report, "notices"), "{:?}", report.findings);
}

#[test]
fn a_blind_one_guesses() {
    let report = sit(&Oracle::new(blind), None);
    let seen = [("shape", 0.2), ("color", 1.0 / 6.0), ("combination", 1.0 / 30.0)];
    let bound = [("swap", 0.5), ("replaced_shape", 0.5), ("replaced_color", 0.5)];
    let winoground = [("text_score", 0.0), ("image_score", 0.0), ("group_score", 0.0)];
    expect(&report, &[seen, bound, winoground].concat());
    assert!(
        says(&report, "no better than by guessing")
            && says(&report, "can't be told from not seeing")
            && says(&report, "does not recognise shapes and colours"),
        "{:?}",
        report.findings
    );
    assert!(!says(&report, "bags of concepts"), "{:?}", report.findings);
}

#[test]
fn one_that_learnt_by_heart_fails_on_what_was_held_out() {
    let world = World::toy();
    let training = Training {
        purpose: "to know some combinations by heart".to_owned(),
        seed: 7,
        steps: 1,
        images: 1,
        templates: vec!["{}".to_owned(), "a photo of {}".to_owned()],
        seen: learnt(&world),
        world,
    };
    let report = sit(&Oracle::new(by_heart), Some(&training));
    let rate = |question: &str, id: &str| report.rate(question, id).unwrap().accuracy;
    assert!((rate("recognition", "combination_seen").estimate - 1.0).abs() < 1e-12);
    assert!(
        (rate("recognition", "combination_held_out").estimate - 0.125).abs() < 1e-12,
        "one of the eight that look alike"
    );
    assert_eq!((rate("recognition", "combination_seen").n, rate("recognition", "combination_held_out").n), (110, 40));
    assert!((rate("binding", "swap").estimate - 1.0).abs() < 1e-12, "twins of what it knows");
    assert!(says(&report, "does not carry over in full"), "{:?}", report.findings);
    assert_eq!((report.world.as_deref(), report.training.unwrap().held_out.len()), (Some("toy"), 8));
    let grid = report.questions[0].grid.as_ref().unwrap();
    assert!(grid.cells.iter().all(|cell| cell.seen == Some(cell.accuracy > 0.5)));
}

/// The only question called `name`, asked of `examinee` in `world`.
pub fn asked(examinee: &dyn Examinee, world: &World, name: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let (questions, world) = (questions(&[name.to_owned()]).unwrap(), Some(world.clone()));
    let config = ExamConfig { twins: 90, verdict: None, questions, world, ..ExamConfig::standard(5).unwrap() };
    examine(examinee, name, None, &config, &folder.path().join("exam"), &()).unwrap()
}

#[test]
fn the_smallest_object_that_is_recognised_is_the_smallest_that_is_seen() {
    let mut world = World::toy();
    world.size = [0.22, 0.22];
    world.factors[SHAPE].values.retain(|value| ["square", "triangle"].contains(&value.name.as_str()));
    let oracle = Oracle::new(bound);
    let report = asked(&oracle, &world, "acuity");
    let acuity = report.question("acuity").unwrap();
    // What the oracle sees of either shape at each size, of itself.
    let sees = |k: usize| {
        let size = 0.22 * 0.5f64.powf(k as f64 / 2.0);
        (0..2).all(|shape| {
            let object = Object { values: vec![shape, 0, 0], x: 0.5, y: 0.5, size };
            let image = render(&Scene::from(vec![object]), &world, &Canvas::plain(SIDE, SIDE));
            let named = oracle.see(&image);
            named.len() == 1
                && World::toy().factors[SHAPE].values[named[0][0]] == world.factors[SHAPE].values[shape as usize]
        })
    };
    let seen = (0..7).take_while(|k| sees(*k)).count();
    assert!((2..6).contains(&seen), "{seen}");
    let rates: Vec<f64> = acuity.rates.iter().map(|named| named.rate.accuracy.estimate).collect();
    assert!(rates[..seen].iter().all(|rate| *rate > 0.9) && rates[seen] < 0.9, "{seen}: {rates:?}");
    let pixels = f64::from(SIDE) * 0.22 * 0.5f64.powf((seen - 1) as f64 / 2.0);
    assert!((acuity.number("acuity").unwrap() - pixels).abs() < 1e-9);
    assert!(
        says(&report, &format!("recognises objects down to {pixels:.0} pixels nearly as often as the largest")),
        "{:?}",
        report.findings
    );
    // Of one that sees nothing there is nothing to say.
    let report = asked(&Oracle::new(blind), &world, "acuity");
    assert!(report.question("acuity").unwrap().number("acuity").is_none() && !says(&report, "recognises objects"));
}

#[test]
fn one_that_counts_is_known_from_one_that_does_not() {
    /// Counts what is painted, and what is said; reads no words for numbers if it is told to.
    struct Counts(bool);
    impl Counts {
        fn row(n: usize) -> Vec<f32> {
            (0..8).map(|k| f32::from(u8::from(k == n))).collect()
        }
    }
    impl Examinee for Counts {
        fn side(&self) -> u32 {
            96
        }
        fn images(&self, images: &[RgbImage]) -> Result<Matrix> {
            let rows: Vec<f32> = images.iter().flat_map(|image| Self::row(pieces(image))).collect();
            Matrix::new(images.len(), 8, rows)
        }
        fn texts(&self, texts: &[String]) -> Result<Matrix> {
            let words = ["one", "two", "three", "four", "five"];
            let number = |text: &String| match words.iter().position(|word| text.split(' ').any(|own| own == *word)) {
                Some(n) => n + 1,
                None => text.split(" and ").flat_map(|part| part.split(", ")).count(),
            };
            Matrix::new(texts.len(), 8, texts.iter().flat_map(|text| Self::row(number(text))).collect())
        }
        fn reads(&self, texts: &[String]) -> Result<()> {
            let number = texts.iter().find(|text| text.contains("two "));
            match number {
                Some(text) if self.0 => Err(snellen::Error::mismatch("text", "known words", text)),
                _ => Ok(()),
            }
        }
    }
    for unread in [false, true] {
        let report = asked(&Counts(unread), &World::toy(), "counting");
        assert!(rates(&report).iter().all(|(_, rate)| (rate - 1.0).abs() < 1e-9), "{:?}", rates(&report));
        assert_eq!((rates(&report).len(), report.questions[0].images), (6, 90));
        assert!(says(&report, "Of up to 5 objects that are alike it says how many there are in 100.0 %"));
    }
    let report = asked(&Oracle::new(blind), &World::toy(), "counting");
    assert!(rates(&report).iter().all(|(_, rate)| (rate - 0.2).abs() < 1e-5), "{:?}", rates(&report));
    assert!(says(&report, "Whether it counts can't be told from 90 answers"), "{:?}", report.findings);
    // Of a world with room for one there is nothing to count.
    let mut alone = World::toy();
    let place = alone.places().unwrap();
    alone.factors[place].values.truncate(1);
    let report = asked(&Counts(false), &alone, "counting");
    assert_eq!(report.questions[0].left_out.as_deref(), Some("this world has room for one object only"));
}

/// Connected pieces of what is not the background.
fn pieces(image: &RgbImage) -> usize {
    let (width, height) = image.dimensions();
    let mut painted: Vec<bool> = image.pixels().map(|pixel| pixel.0 != [255; 3]).collect();
    let mut pieces = 0;
    while let Some(start) = painted.iter().position(|painted| *painted) {
        pieces += 1;
        let mut edge = vec![start as u32];
        while let Some(at) = edge.pop() {
            if !std::mem::replace(&mut painted[at as usize], false) {
                continue;
            }
            let (x, y) = (at % width, at / width);
            let around = [(x > 0, at.wrapping_sub(1)), (x + 1 < width, at + 1)];
            let above = [(y > 0, at.wrapping_sub(width)), (y + 1 < height, at + width)];
            edge.extend(around.into_iter().chain(above).filter(|(inside, _)| *inside).map(|(_, at)| at));
        }
    }
    pieces
}

#[test]
fn embeddings_that_are_no_directions_are_refused_by_number() {
    struct Long;
    impl Examinee for Long {
        fn side(&self) -> u32 {
            32
        }
        fn images(&self, images: &[RgbImage]) -> Result<Matrix> {
            Matrix::new(images.len(), 2, [0.6, 0.9].repeat(images.len()))
        }
        fn texts(&self, texts: &[String]) -> Result<Matrix> {
            Matrix::new(texts.len(), 2, [0.6, 0.8].repeat(texts.len()))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let config = ExamConfig { twins: 4, repeats: 1, verdict: None, ..ExamConfig::standard(1).unwrap() };
    let refused = examine(&Long, "long", None, &config, &folder.path().join("out"), &()).unwrap_err().to_string();
    assert!(refused.contains("embedding of image 0 of the exam: expected length 1, got 1.08"), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn nothing_is_shown_twice() {
    struct Once {
        oracle: Oracle,
        shown: Mutex<BTreeSet<Vec<u8>>>,
        images: Mutex<usize>,
    }
    impl Once {
        fn note(&self, content: impl Iterator<Item = Vec<u8>>) {
            let mut shown = self.shown.lock().unwrap();
            content.for_each(|content| assert!(shown.insert(content), "shown twice"));
        }
    }
    impl Examinee for Once {
        fn side(&self) -> u32 {
            SIDE
        }
        fn images(&self, images: &[RgbImage]) -> Result<Matrix> {
            assert!(images.len() <= 64);
            *self.images.lock().unwrap() += images.len();
            self.note(images.iter().map(|image| blake3::hash(image.as_raw()).as_bytes().to_vec()));
            self.oracle.images(images)
        }
        fn texts(&self, texts: &[String]) -> Result<Matrix> {
            self.note(texts.iter().map(|text| text.as_bytes().to_vec()));
            self.oracle.texts(texts)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let quick = ExamConfig { world: Some(World::toy()), ..ExamConfig::quick(5).unwrap() };
    let held = |examinee: &dyn Examinee, verdict: Option<Shows>, out: &str| {
        let config = ExamConfig { verdict, ..quick.clone() };
        examine(examinee, "once", None, &config, &folder.path().join(out), &()).unwrap()
    };
    let once = || Once { oracle: Oracle::new(bound), shown: Mutex::default(), images: Mutex::default() };
    let report = held(&once(), quick.verdict, "judged");
    assert!(report.verdict.is_some() && report.questions.iter().any(|card| card.id == "paraphrase"));
    let alone = once();
    assert_eq!(held(&alone, None, "alone").questions, report.questions);
    // Questions share pictures.
    let asked: usize = report.questions.iter().map(|card| card.images).sum();
    let shown = *alone.images.lock().unwrap();
    assert!(shown < asked * 3 / 4, "{shown} of {asked}");
}

#[test]
fn of_one_thing_said_nothing_is_exchanged_and_that_is_said() {
    let mut world = World::toy();
    world.factors.remove(COLOR);
    let report = asked(&Oracle::new(blind), &world, "binding");
    let why = report.questions[0].left_out.as_deref();
    assert!(why.is_some_and(|why| why.contains("nothing to exchange")), "{why:?}");
}
