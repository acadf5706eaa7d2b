//! What is trained on what.

use crate::engine::Activation;
use crate::model::config::{Biases, Positions, TextPooling, TowerConfig};
use crate::model::preprocess::{Backend, Colour, Crop, Filter, MODEL, Orientation, Resize, Rounding};
use crate::model::{Layout, LeftAlone, ModelConfig, Preprocessing, TextConfig, VisionConfig, VisionPooling};
use crate::scene::{Combinations, MAX_SIDE, World, toml_error};
use crate::{Error, Result, memory};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A training run but for its seed. Written as TOML; `snellen lab recipes` lists those that come with the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// One line on what this model is for.
    pub purpose: String,
    /// Sizes.
    pub model: RecipeModel,
    /// Pictures and captions.
    pub scenes: RecipeScenes,
    /// Optimisation.
    pub training: RecipeTraining,
    /// What the pictures are made of.
    pub world: World,
}

/// Sizes of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeModel {
    /// Height and width of the pictures, in pixels.
    pub image: usize,
    /// Height and width of a patch, in pixels; divides `image`.
    pub patch: usize,
    /// Width of both residual streams.
    pub width: usize,
    /// Hidden units of every MLP.
    pub mlp: usize,
    /// Attention heads of both towers; divides `width`.
    pub heads: usize,
    /// Blocks of the vision tower.
    pub vision_layers: usize,
    /// Blocks of the text tower.
    pub text_layers: usize,
    /// Width of the embeddings.
    pub embedding: usize,
    /// The longest caption, in tokens, with its two special ones.
    pub positions: usize,
}

/// Pictures and captions of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeScenes {
    /// Numbers of objects; one is drawn for each picture, so a number that stands twice comes twice as often.
    pub objects: Vec<usize>,
    /// How many combinations of what captions say are never shown.
    pub held_out: usize,
    /// Captions around the objects, `{}` standing for them.
    pub templates: Vec<String>,
    /// Probability, for each factor, that a caption leaves it unsaid of an object; never two of them.
    pub unsaid: f64,
    /// Whether each image's caption with the values of two objects exchanged is one more wrong answer.
    pub swapped_negatives: bool,
}

/// Optimisation of a training run: AdamW (arXiv 1711.05101), linear warm-up, then a cosine to zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeTraining {
    /// Number of updates.
    pub steps: usize,
    /// Pictures of each.
    pub batch: usize,
    /// The largest learning rate.
    pub learning_rate: f64,
    /// Updates until it is reached.
    pub warmup: usize,
    /// Decay of matrices; gains, biases and the logit scale have none.
    pub weight_decay: f64,
    /// Decay rates of the two moments.
    pub betas: [f64; 2],
    /// The longest gradient, in Euclidean norm over all weights.
    pub clip: f64,
    /// Updates between two evaluations, which are also what `--resume` goes on from.
    pub evaluate_every: usize,
}

/// Recipes that come with the program, by name.
const NAMED: [(&str, &str); 3] = [
    ("toy", include_str!("../../recipes/toy.toml")),
    ("healthy", include_str!("../../recipes/healthy.toml")),
    ("memoriser", include_str!("../../recipes/memoriser.toml")),
];

impl Recipe {
    /// The names of the recipes that come with the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.into_iter().map(|(name, _)| name)
    }

    /// The recipe of that name that comes with the program, as TOML.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<&'static str> {
        let found = NAMED.iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| *text).ok_or_else(|| Self::unknown("one of", name))
    }

    /// The recipe of that name, or else the one in the file of that name: a recipe, or the `recipe.toml` of a model that was trained by
    /// one.
    ///
    /// # Errors
    /// When there is neither, or the recipe is refused.
    pub fn named_or_read(name: &str) -> Result<Self> {
        if let Ok(text) = Self::named(name) {
            return Self::parse(text, name);
        }
        if !Path::new(name).is_file() {
            return Err(Self::unknown("a TOML file, or one of", name));
        }
        let text = std::fs::read_to_string(name).map_err(Error::io(name))?;
        let inner = |table: toml::Table| Some(toml::to_string(table.get("recipe")?.as_table()?).unwrap_or_default());
        match text.parse().ok().and_then(inner) {
            Some(inner) => Self::parse(&inner, &format!("{name}: recipe")),
            None => Self::parse(&text, name),
        }
    }

    fn unknown(expected: &str, name: &str) -> Error {
        let names: Vec<_> = Self::names().collect();
        Error::mismatch("recipe", format!("{expected}: {}", names.join(", ")), format!("`{}`", name.escape_debug()))
    }

    /// From TOML; `place` is the file's name for messages.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let recipe: Self = toml::from_str(text).map_err(|e| toml_error(text, place, &e))?;
        recipe.check(place)?;
        Ok(recipe)
    }

    pub(super) fn check(&self, place: &str) -> Result<()> {
        let (m, s, t) = (&self.model, &self.scenes, &self.training);
        let refuse = |key: &str, expected: &str, got: &dyn std::fmt::Display| {
            Err(Error::mismatch(format!("{place}: {key}"), expected, got))
        };
        self.world.check().map_err(|e| Error::malformed(place, e))?;
        let sizes =
            [m.image, m.patch, m.width, m.mlp, m.heads, m.vision_layers, m.text_layers, m.embedding, m.positions];
        if let Some(size) = sizes.iter().find(|size| !(1..=4096).contains(*size)) {
            return refuse("model", "sizes from 1 to 4096", size);
        }
        if m.image as u64 > MAX_SIDE as u64 || m.image % m.patch != 0 {
            return refuse("model.patch", "a divisor of model.image", &m.patch);
        }
        if m.width % m.heads != 0 {
            return refuse("model.heads", "a divisor of model.width", &m.heads);
        }
        let room = self.world.room();
        if s.objects.is_empty() || s.objects.iter().any(|n| *n == 0 || *n > room) {
            return refuse("scenes.objects", "numbers from 1 to that of places", &format!("{:?}", s.objects));
        }
        if let Some(template) = s.templates.iter().find(|t| t.matches("{}").count() != 1) {
            return refuse("scenes.templates", "one `{}` in each", template);
        }
        if s.templates.is_empty() {
            return refuse("scenes.templates", "at least one", &"none");
        }
        let most = 1.0 / self.world.said().len() as f64;
        if !(0.0..=most).contains(&s.unsaid) {
            return refuse("scenes.unsaid", &format!("a probability of at most {most}"), &s.unsaid);
        }
        if t.steps == 0 || t.batch < 2 || t.batch > 1 << 14 || t.evaluate_every == 0 || t.warmup >= t.steps {
            return refuse(
                "training",
                "steps above warmup, batch from 2 to 16384, evaluate_every above 0",
                &format!("{t:?}"),
            );
        }
        let positive = [t.learning_rate, t.clip];
        if positive.iter().any(|x| !(x.is_finite() && *x > 0.0)) || !(0.0..1.0).contains(&t.weight_decay) {
            return refuse("training", "learning_rate and clip above 0, weight_decay from 0 to 1", &format!("{t:?}"));
        }
        if t.betas.iter().any(|b| !(0.0..1.0).contains(b)) {
            return refuse("training.betas", "numbers from 0 to 1", &format!("{:?}", t.betas));
        }
        Ok(())
    }

    /// Refuses what this machine has no memory for: of the weights, their gradient and moments, the pictures of a batch, and the least
    /// of what their blocks keep for the way back.
    pub(super) fn check_memory(&self) -> Result<()> {
        let m = &self.model;
        let [image, patch, width, mlp] = [m.image, m.patch, m.width, m.mlp].map(|size| size as u64);
        let [layers, text, batch] = [m.vision_layers, m.text_layers, self.training.batch].map(|count| count as u64);
        let tokens = (image / patch).pow(2) + 1;
        let block = 4 * width * width + 2 * width * mlp;
        let weights = (layers + text) * block + tokens * width + 3 * patch * patch * width;
        let kept = batch * (3 * image * image + tokens * layers * (8 * width + 2 * mlp));
        let values = (4 * weights).saturating_add(kept);
        memory::check("recipe", "a training run", values.saturating_mul(size_of::<f32>() as u64))
    }

    /// The combinations that training shows under `seed`; [`Combinations::complement`] gives those it never does.
    pub fn seen(&self, seed: u64) -> Result<Combinations> {
        Combinations::holding_out(&self.world, self.scenes.held_out, seed)
    }

    /// The model's configuration, given the size of its vocabulary, whose last id ends a text.
    pub(super) fn config(&self, vocabulary: usize) -> ModelConfig {
        let m = &self.model;
        let tower = |layers| TowerConfig {
            width: m.width,
            layers,
            heads: m.heads,
            mlp: m.mlp,
            activation: Activation::QuickGelu,
            eps: 1e-5,
            biases: Biases::ALL,
            gated: false,
            layer_scale: false,
            attention_norm: false,
            mlp_norm: false,
        };
        ModelConfig {
            model_type: "clip".to_owned(),
            layout: Layout::Transformers { inside: false },
            vision: VisionConfig {
                tower: tower(m.vision_layers),
                image: m.image,
                patch: m.patch,
                patch_bias: false,
                class_token: true,
                class_position: true,
                distillation: false,
                registers: 0,
                norm_pre: true,
                positions: Positions::Learned,
                rotary: None,
                pooling: Some(VisionPooling::Class),
                head: None,
                norm_after_pooling: false,
                projection: Some(m.embedding),
                projection_bias: false,
            },
            text: Some(TextConfig {
                tower: tower(m.text_layers),
                vocabulary,
                positions: m.positions,
                causal: true,
                pooling: TextPooling::First(vocabulary as u32 - 1),
                projection: m.embedding,
                projection_bias: false,
                projected: true,
                kept_positions: None,
            }),
            open_clip_tokenizer: None,
            logit_bias: false,
            assumed: Vec::new(),
            left_alone: LeftAlone::default(),
        }
    }

    /// Pictures of any size are accepted; those of the training size pass untouched but for the scale, -1 to 1.
    pub(super) fn preprocessing(&self) -> Preprocessing {
        let image = self.model.image;
        Preprocessing {
            source: MODEL.to_owned(),
            backend: Backend::Pil,
            orientation: Orientation::Honour,
            colour: Colour::Keyed,
            square: None,
            resize: vec![Resize::ShortestEdge(image)],
            filter: Filter::Bicubic,
            crop: Some(Crop { size: [image; 2], rounding: Rounding::Down, fill: 0 }),
            rescale: 1.0 / 255.0,
            rescale_first: false,
            normalise: true,
            mean: [0.5; 3],
            std: [0.5; 3],
            image,
        }
    }
}
