//! Training: the same bytes whatever the threads and interruptions, and a model that the ordinary loader reads.

use snellen::Error;
use snellen::engine::Tape;
use snellen::lab::{Event, Origin, Recipe, TrainConfig, train};
use snellen::model::Model;
use snellen::progress::Progress;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

/// The smallest run that has every part: two evaluations, swapped negatives, held-out pairs.
pub fn recipe() -> Recipe {
    let text = include_str!("../../recipes/toy.toml");
    let mut recipe = Recipe::parse(text, "toy.toml").unwrap();
    recipe.model.image = 24;
    recipe.model.width = 24;
    recipe.model.mlp = 32;
    recipe.model.heads = 2;
    recipe.model.vision_layers = 1;
    recipe.model.text_layers = 1;
    recipe.model.embedding = 12;
    recipe.scenes.swapped_negatives = true;
    recipe.training.steps = 6;
    recipe.training.batch = 8;
    recipe.training.warmup = 2;
    recipe.training.evaluate_every = 3;
    recipe
}

/// Stops after an update.
struct StopAt(usize, Cell<usize>);

impl StopAt {
    fn step(step: usize) -> Self {
        Self(step, Cell::new(0))
    }
}

impl Progress for StopAt {
    fn advance(&self, done: usize, _: usize) {
        self.1.set(done);
    }

    fn is_cancelled(&self) -> bool {
        self.1.get() >= self.0
    }
}

fn config(resume: bool) -> TrainConfig {
    TrainConfig { seed: 3, resume }
}

/// Every file of a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |e: std::io::Result<std::fs::DirEntry>| {
        let e = e.unwrap();
        (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())
    };
    std::fs::read_dir(folder).unwrap().map(entry).collect()
}

fn undisturbed(threads: usize) -> BTreeMap<String, Vec<u8>> {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("model");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| train(&recipe(), &config(false), &out, &mut |_| (), &())).unwrap();
    files(&out)
}

#[test]
fn a_run_has_the_same_bytes_at_any_number_of_threads() {
    let one = undisturbed(1);
    assert_eq!(one, undisturbed(3));
    let names: Vec<_> = one.keys().map(String::as_str).collect();
    let expected = [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "recipe.toml",
        "tokenizer.json",
        "tokenizer_config.json",
        "training.csv",
    ];
    assert_eq!(names, expected);
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bytes() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("model");
    // Stopped after the fifth update: two updates past the evaluation that is kept.
    let stopped = train(&recipe(), &config(false), &out, &mut |_| (), &StopAt::step(5));
    assert!(matches!(stopped, Err(Error::Interrupted { .. })), "{stopped:?}");
    assert!(!out.join("model.safetensors").exists());
    let mut steps = Vec::new();
    let mut observe = |event: &Event| {
        if let Event::Step { step, .. } = event {
            steps.push(*step);
        }
    };
    train(&recipe(), &config(true), &out, &mut observe, &()).unwrap();
    assert_eq!(steps, [4, 5, 6]);
    assert_eq!(files(&out), undisturbed(2));
}

#[test]
fn the_ordinary_loader_reads_what_was_trained() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("model");
    train(&recipe(), &config(false), &out, &mut |_| (), &()).unwrap();
    let model = Model::load(&out).unwrap();
    let tokens =
        model.tokenizer().unwrap().encode(&["a red circle", "a photo of a pink hexagon and a black square"]).unwrap();
    assert_eq!(tokens.ends(), [4, 11]);
    model.towers.embed_texts(&mut Tape::off(), &tokens, &mut ()).unwrap();
    let unknown = model.tokenizer().unwrap().encode(&["a mauve circle"]).unwrap_err();
    assert!(unknown.is_bad_input(), "{unknown}");
    let origin = Origin::read(&out).unwrap().unwrap();
    assert_eq!((origin.seed, origin.recipe), (3, recipe()));
    // What stands beside a model is a recipe to begin with.
    assert_eq!(Recipe::named_or_read(out.join("recipe.toml").to_str().unwrap()).unwrap(), recipe());
}

#[test]
fn training_lowers_the_loss() {
    let parent = tempfile::tempdir().unwrap();
    let mut recipe = recipe();
    recipe.training.steps = 150;
    recipe.training.batch = 16;
    recipe.training.learning_rate = 3e-3;
    recipe.training.evaluate_every = 150;
    let mut losses = Vec::new();
    let mut observe = |event: &Event| {
        if let Event::Step { loss, .. } = event {
            losses.push(*loss);
        }
    };
    train(&recipe, &config(false), &parent.path().join("model"), &mut observe, &()).unwrap();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(mean(&losses[140..]) < 0.8 * mean(&losses[..10]), "{losses:?}");
}

#[test]
fn what_cannot_be_resumed_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("model");
    let refused = |result: snellen::Result<_>| assert!(result.is_err_and(|e| e.is_bad_input()));
    refused(train(&recipe(), &config(true), &out, &mut |_| (), &()));
    train(&recipe(), &config(false), &out, &mut |_| (), &StopAt::step(3)).unwrap_err();
    refused(train(&recipe(), &config(false), &out, &mut |_| (), &()));
    refused(train(&recipe(), &TrainConfig { seed: 4, resume: true }, &out, &mut |_| (), &()));
    let state = out.join("training.safetensors");
    let bytes = std::fs::read(&state).unwrap();
    std::fs::write(&state, &bytes[..bytes.len() / 2]).unwrap();
    refused(train(&recipe(), &config(true), &out, &mut |_| (), &()));
}

#[test]
fn recipes_are_checked() {
    for name in Recipe::names() {
        Recipe::named_or_read(name).unwrap();
    }
    let text = include_str!("../../recipes/toy.toml");
    for (from, to) in [
        ("patch = 8", "patch = 9"),
        ("heads = 4", "heads = 5"),
        ("batch = 128", "batch = 1"),
        ("learning_rate = 1e-3", "learning_rate = nan"),
        ("purpose = ", "aim = "),
        ("templates = [\"{}\"", "templates = [\"nothing\""),
        ("unsaid = 0.1", "unsaid = 0.9"),
    ] {
        assert!(text.contains(from), "{from}");
        let error = Recipe::parse(&text.replace(from, to), "recipe.toml").expect_err(to);
        assert!(error.is_bad_input() && error.to_string().contains("recipe.toml"), "{error}");
    }
    assert!(Recipe::named_or_read("no-such-recipe").unwrap_err().to_string().contains("toy"));
}
