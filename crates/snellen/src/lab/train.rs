//! The training loop.

use super::adamw::{self, AdamW};
use super::state::State;
use super::{Operation, Recipe, batch, init, step, vocabulary};
use crate::engine::{Memory, Precision};
use crate::exam::questions::{Binding, Recognition};
use crate::exam::{Question, Remembered, Sitting, Training};
use crate::measure::Confidence;
use crate::model::checkpoint;
use crate::model::{Model, ModelConfig, Preprocessing, Tokenizer, Towers};
use crate::output::{Claim, StagedDir, fault};
use crate::progress::Progress;
use crate::scene::{Combinations, toml_error};
use crate::{Error, Result, output};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Beside a model made here: how it was made.
const RECIPE: &str = "recipe.toml";
/// Beside it: one [`Evaluation`] a row.
const LOG: &str = "training.csv";
/// While training: what `resume` goes on from.
const STATE: &str = "training.safetensors";
/// In the end: the weights.
pub(super) const MODEL: &str = "model.safetensors";

/// How a recipe is run.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// Of the weights, the scenes and what is held out.
    pub seed: u64,
    /// Whether to go on from what an earlier run left in the folder.
    pub resume: bool,
}

/// A recipe and its seed, as written beside the model they made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Of the weights, the scenes and what is held out.
    pub seed: u64,
    /// What was done to it after training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// What was trained on what.
    pub recipe: Recipe,
}

impl Origin {
    /// How the model in `folder` was made; `None` if it was not made here: a `recipe.toml` of something else is no recipe of ours.
    ///
    /// # Errors
    /// When the file cannot be read, or is a recipe with something wrong in it.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(RECIPE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let ours = |table: &toml::Table| ["seed", "recipe"].iter().any(|key| table.contains_key(*key));
        if text.parse::<toml::Table>().is_ok_and(|table| !ours(&table)) {
            return Ok(None);
        }
        let place = path.display().to_string();
        let origin: Self = toml::from_str(&text).map_err(|e| toml_error(&text, &place, &e))?;
        origin.recipe.check(&place)?;
        Ok(Some(origin))
    }

    /// How the model in `folder` was trained, as the exam asks for it; `None` if it was not made here.
    ///
    /// # Errors
    /// As [`Origin::read`] and [`Origin::training`].
    pub fn training_of(folder: &Path) -> Result<Option<Training>> {
        Self::read(folder)?.map(|origin| origin.training()).transpose()
    }

    /// The same as the exam asks for it.
    ///
    /// # Errors
    /// When so many combinations cannot be held out.
    pub fn training(&self) -> Result<Training> {
        let recipe = &self.recipe;
        Ok(Training {
            purpose: recipe.purpose.clone(),
            seed: self.seed,
            steps: recipe.training.steps,
            images: recipe.training.steps * recipe.training.batch,
            world: recipe.world.clone(),
            templates: recipe.scenes.templates.clone(),
            seen: recipe.seen(self.seed)?,
        })
    }

    /// Lets `folder` appear, with this in it: a folder without could neither be gone on with nor begun anew. Its claim is held.
    fn begin(&self, folder: &Path) -> Result<()> {
        let staged = StagedDir::claimed(folder)?;
        self.write(staged.path())?;
        staged.publish().map(drop)
    }

    /// Writes it into `folder`.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let text = toml::to_string(self).map_err(|e| Error::malformed(RECIPE, e))?;
        output::write_file(&folder.join(RECIPE), text.as_bytes())
    }
}

/// What is known of the model at one moment of its training.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Updates so far.
    pub step: usize,
    /// Mean loss since the evaluation before, in nats.
    pub loss: f64,
    /// Accuracies of the exam's questions by name, from 0 to 1, in their order: `shape`, `color`, `pair`, `swap`, ...
    pub rates: Vec<(String, f64)>,
}

impl Evaluation {
    /// The accuracy called `id`.
    pub fn rate(&self, id: &str) -> Option<f64> {
        self.rates.iter().find(|(known, _)| known == id).map(|(_, rate)| *rate)
    }
}

/// What the loop reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An update was made.
    Step {
        /// Updates so far.
        step: usize,
        /// Its loss, in nats.
        loss: f64,
    },
    /// The model was evaluated, and can be resumed from here.
    Evaluated(Evaluation),
}

/// Trains `recipe` into the folder `out`, which must not exist unless `config.resume`. `observe` is told of every event; the items of
/// `progress` are updates, and it is asked whether to stop after each. A run that fails before its first evaluation leaves nothing. A
/// finished run of the same recipe and seed that is resumed is left as it is.
///
/// # Errors
/// [`Error::Exists`] if `out` is there and not to be resumed, or there is nothing to resume; when another process is training there;
/// [`Error::Interrupted`] if `progress` says so.
pub fn train(
    recipe: &Recipe,
    config: &TrainConfig,
    out: &Path,
    observe: &mut dyn FnMut(&Event),
    progress: &dyn Progress,
) -> Result<Evaluation> {
    let _claim = Claim::on(out)?;
    if let Some(last) = finished(recipe, config, out)? {
        return Ok(last);
    }
    recipe.check_memory()?;
    let mut run = Run::begin(recipe, config, out)?;
    if let Err(error) = run.go_on(observe, progress) {
        let resumable = matches!(error, Error::Interrupted { .. }) || config.resume || out.join(STATE).is_file();
        if !resumable {
            // The error that stopped the run is the one to tell of. The recipe goes last: with it, the rest can be resumed.
            let _ = output::sweep(out);
            for name in [LOG, RECIPE] {
                let _ = std::fs::remove_file(out.join(name));
            }
            let _ = std::fs::remove_dir(out);
        }
        return Err(error);
    }
    run.finish()
}

/// The last evaluation in `out`, where a run of this recipe and seed is to be resumed that is finished.
fn finished(recipe: &Recipe, config: &TrainConfig, out: &Path) -> Result<Option<Evaluation>> {
    if !config.resume || out.join(STATE).is_file() || !out.join(MODEL).is_file() {
        return Ok(None);
    }
    let origin = Origin { seed: config.seed, operation: None, recipe: recipe.clone() };
    if Origin::read(out)?.as_ref() != Some(&origin) {
        return Err(Error::mismatch(
            out.display(),
            "a run of this recipe and seed to resume",
            "a finished one of another",
        ));
    }
    let steps = recipe.training.steps;
    Ok(read_log(&out.join(LOG), steps)?.pop().filter(|last| last.step == steps))
}

/// A training run in its folder.
struct Run<'a> {
    recipe: &'a Recipe,
    seed: u64,
    out: &'a Path,
    seen: Combinations,
    model: ModelConfig,
    preprocessing: Preprocessing,
    tokenizer_json: Vec<u8>,
    tokenizer: Tokenizer,
    state: State,
    log: Vec<Evaluation>,
    memory: Memory<f32>,
}

impl<'a> Run<'a> {
    fn begin(recipe: &'a Recipe, config: &TrainConfig, out: &'a Path) -> Result<Self> {
        let (json, words) = vocabulary::tokenizer(recipe);
        let model = recipe.config(words);
        let tokenizer_json = serde_json::to_vec_pretty(&json).map_err(|e| Error::malformed("tokenizer.json", e))?;
        let tokenizer = Tokenizer::from_json(&tokenizer_json, &out.join("tokenizer.json"), model.text()?)?;
        let seen = recipe.seen(config.seed)?;
        let weights = init::weights(&model, config.seed)?;
        let origin = Origin { seed: config.seed, operation: None, recipe: recipe.clone() };
        let (mut state, mut log) = (State { step: 0, adam: AdamW::new(&weights), weights }, Vec::new());
        if config.resume {
            if out.is_dir() {
                output::sweep(out)?;
            }
            let left = Origin::read(out)?;
            if left.as_ref() != Some(&origin) {
                let got = if left.is_some() { "another recipe or seed" } else { "no recipe.toml" };
                return Err(Error::mismatch(out.display(), "a run of this recipe and seed to resume", got));
            }
            let path = out.join(STATE);
            if path.is_file() {
                state = State::read(&path, &state.weights)?;
                log = read_log(&out.join(LOG), state.step)?;
            } else if out.join(MODEL).is_file() {
                return Err(Error::mismatch(out.display(), "a run to resume", "a finished one"));
            }
        } else {
            origin.begin(out)?;
        }
        let preprocessing = recipe.preprocessing();
        let (seed, memory) = (config.seed, Memory::new());
        Ok(Self { recipe, seed, out, seen, model, preprocessing, tokenizer_json, tokenizer, state, log, memory })
    }

    /// From where it is to the last update.
    fn go_on(&mut self, observe: &mut dyn FnMut(&Event), progress: &dyn Progress) -> Result<()> {
        let (recipe, steps) = (self.recipe, self.recipe.training.steps);
        let mut losses = Vec::new();
        progress.advance(self.state.step, steps);
        while self.state.step < steps {
            let loss = self.update()?;
            losses.push(loss);
            let step = self.state.step;
            progress.advance(step, steps);
            observe(&Event::Step { step, loss });
            if step.is_multiple_of(recipe.training.evaluate_every) || step == steps {
                let evaluation = self.evaluate(losses.iter().sum::<f64>() / losses.len() as f64)?;
                losses.clear();
                self.save(evaluation.clone())?;
                observe(&Event::Evaluated(evaluation));
            }
            if step < steps && progress.is_cancelled() {
                let kept =
                    format!("training up to the last evaluation is in {}; go on with --resume", self.out.display());
                return Err(Error::Interrupted { kept });
            }
        }
        Ok(())
    }

    /// One update; its loss.
    fn update(&mut self) -> Result<f64> {
        let step = self.state.step + 1;
        let batch = batch::draw(self.recipe, &self.seen, (&self.preprocessing, &self.tokenizer), (self.seed, step))?;
        let state = (&mut self.state.weights, &mut self.state.adam);
        let training = &self.recipe.training;
        let at = (step, adamw::rate(training, step));
        let loss = step::update(&self.model, state, (&batch.pixels, &batch.tokens), at, (training, &self.memory))?;
        self.state.step = step;
        Ok(loss)
    }

    /// The model as it is now.
    fn model(&self) -> Result<Model> {
        Ok(Model {
            config: self.model.clone(),
            towers: Towers::packed(&self.model, &mut self.state.weights.clone(), &[], Precision::F32)?,
            precision: Precision::F32,
            preprocessing: self.preprocessing.clone(),
            tokenizer: Some(Tokenizer::from_json(
                &self.tokenizer_json,
                &self.out.join("tokenizer.json"),
                self.model.text()?,
            )?),
            name: String::new(),
            config_hash: String::new(),
            transforms: Vec::new(),
            folder: self.out.to_owned(),
            weights_hash: String::new(),
            parameters: self.state.weights.values().map(|w| w.data().len()).sum(),
            opened: None,
        })
    }

    fn evaluate(&self, loss: f64) -> Result<Evaluation> {
        let model = self.model()?;
        let templates: Vec<&str> = self.recipe.scenes.templates.iter().map(String::as_str).collect();
        // Scenes of another stream than training's, the same at every evaluation.
        let seed = self.seed ^ 0x5eed;
        let sitting = Sitting {
            examinee: &model,
            world: &self.recipe.world,
            templates: &templates,
            pictures: None,
            seen: Some(&self.seen),
            repeats: 1,
            twins: 200,
            seed,
            confidence: Confidence::new(0.95)?,
            remembered: &Remembered::new(seed),
            progress: &(),
        };
        let mut rates = Vec::new();
        let questions: [&dyn Question; 2] = [&Recognition, &Binding];
        for question in questions {
            for answers in question.ask(&sitting)?.answers {
                let right = answers.answers.iter().map(|answer| answer.score).sum::<f64>();
                rates.push((answers.id.clone(), right / answers.answers.len() as f64));
            }
        }
        Ok(Evaluation { step: self.state.step, loss, rates })
    }

    fn save(&mut self, evaluation: Evaluation) -> Result<()> {
        self.log.push(evaluation);
        write_log(&self.out.join(LOG), &self.log)?;
        self.state.write(&self.out.join(STATE))
    }

    /// Writes the model; the state is no longer needed.
    fn finish(self) -> Result<Evaluation> {
        let json = |name: &str, value: &serde_json::Value| {
            let bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::malformed(name, e))?;
            output::write_file(&self.out.join(name), &bytes)
        };
        json("config.json", &self.model.to_json()?)?;
        json("preprocessor_config.json", &self.preprocessing.to_json())?;
        json("tokenizer_config.json", &vocabulary::tokenizer_config(self.recipe.model.positions))?;
        output::write_file(&self.out.join("tokenizer.json"), &self.tokenizer_json)?;
        checkpoint::write(&self.out.join(MODEL), &self.state.weights, ("format", "pt"))?;
        let state = self.out.join(STATE);
        fault::point(&state)?;
        std::fs::remove_file(&state).map_err(Error::io(&state))?;
        fault::point(&state)?;
        let missing = || Error::mismatch(self.out.join(LOG).display(), "an evaluation after the last step", "none");
        self.log.last().cloned().ok_or_else(missing)
    }
}

/// A row for each evaluation: `step`, `loss`, and its accuracies by name.
fn write_log(path: &Path, log: &[Evaluation]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let malformed = |e| Error::malformed(path.display(), e);
    let names = log.first().map(|row| row.rates.iter().map(|(id, _)| id.as_str())).into_iter().flatten();
    writer.write_record(["step", "loss"].into_iter().chain(names)).map_err(malformed)?;
    for row in log {
        let numbers = std::iter::once(row.loss).chain(row.rates.iter().map(|(_, rate)| *rate));
        let fields = std::iter::once(row.step.to_string()).chain(numbers.map(|x| format!("{x:?}")));
        writer.write_record(fields).map_err(malformed)?;
    }
    let bytes = writer.into_inner().map_err(|e| Error::malformed(path.display(), e.to_string()))?;
    output::write_file(path, &bytes)
}

/// The rows up to `step`.
fn read_log(path: &Path, step: usize) -> Result<Vec<Evaluation>> {
    let malformed = |e| Error::malformed(path.display(), e);
    let mut reader = csv::Reader::from_path(path).map_err(malformed)?;
    let names: Vec<String> = reader.headers().map_err(malformed)?.iter().skip(2).map(str::to_owned).collect();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(malformed)?;
        let line = record.position().map_or(0, csv::Position::line);
        let number = |column: usize| {
            let field = record.get(column).unwrap_or_default();
            let wrong =
                || Error::mismatch(format!("{}:{line}, column {}", path.display(), column + 1), "a number", field);
            field.parse::<f64>().map_err(|_| wrong())
        };
        let rates = names.iter().zip(2..).map(|(id, column)| Ok((id.clone(), number(column)?)));
        let rates = rates.collect::<Result<_>>()?;
        rows.push(Evaluation { step: number(0)? as usize, loss: number(1)?, rates });
    }
    rows.retain(|row: &Evaluation| row.step <= step);
    Ok(rows)
}
