//! What one update is made on.

use super::Recipe;
use crate::engine::Tensor;
use crate::model::tokenizer::Tokens;
use crate::model::{Preprocessing, Tokenizer};
use crate::scene::caption::{Phrase, Wording, say};
use crate::scene::{Canvas, Pairs, Scene, generate, render};
use crate::{Result, random};
use rand::{Rng, RngExt};
use rayon::prelude::*;

/// Pictures and captions; caption `i` is picture `i`'s, those beyond the last picture are wrong for all.
pub(super) struct Batch {
    pub(super) pixels: Tensor<f32>,
    pub(super) tokens: Tokens,
}

/// One picture with its caption, and the caption with two colours exchanged where that is another caption.
struct Example {
    pixels: Vec<f32>,
    caption: String,
    swapped: Option<String>,
}

/// The batch of update `step`: the same for a seed, whatever was done before.
pub(super) fn draw(
    recipe: &Recipe,
    seen: &Pairs,
    (preprocessing, tokenizer): (&Preprocessing, &Tokenizer),
    (seed, step): (u64, usize),
) -> Result<Batch> {
    let n = recipe.training.batch;
    let side = recipe.model.image;
    let example = |i: usize| -> Result<Example> {
        let mut rng = random::stream(seed, "training example", (step * n + i) as u64);
        let objects = recipe.scenes.objects[rng.random_range(0..recipe.scenes.objects.len())];
        let scene = generate::random(&recipe.world, seen, objects, &mut rng)?;
        let picture = render(&scene, &recipe.world, &Canvas::plain(side as u32, side as u32));
        let (caption, swapped) = captions(recipe, &scene, &mut rng);
        Ok(Example { pixels: preprocessing.apply(&picture.into())?, caption, swapped })
    };
    let examples: Vec<Example> = (0..n).into_par_iter().map(example).collect::<Result<_>>()?;
    let mut texts: Vec<&str> = examples.iter().map(|e| e.caption.as_str()).collect();
    texts.extend(examples.iter().filter_map(|e| e.swapped.as_deref()));
    let tokens = tokenizer.encode(&texts)?;
    let pixels = examples.into_iter().flat_map(|e| e.pixels).collect();
    Ok(Batch { pixels: Tensor::new([n, 3, side, side], pixels), tokens })
}

fn captions(recipe: &Recipe, scene: &Scene, rng: &mut impl Rng) -> (String, Option<String>) {
    let templates: Vec<&str> = recipe.scenes.templates.iter().map(String::as_str).collect();
    let wording = Wording::draw(scene.objects.len(), &templates, rng);
    let unsaid: Vec<f64> = wording.order.iter().map(|_| rng.random()).collect();
    let p = recipe.scenes.unsaid;
    let of = |scene: &Scene| {
        let phrases: Vec<Phrase<'_>> = wording
            .order
            .iter()
            .zip(&unsaid)
            .map(|(k, u)| {
                let whole = Phrase::of(&scene.objects[*k], &recipe.world);
                Phrase {
                    color: whole.color.filter(|_| *u >= p),
                    shape: whole.shape.filter(|_| *u < p || *u >= 2.0 * p),
                }
            })
            .collect();
        say(&phrases, wording.template)
    };
    let caption = of(scene);
    let n = scene.objects.len();
    let mut swapped = None;
    if recipe.scenes.swapped_negatives && n > 1 {
        let a = rng.random_range(0..n);
        let b = (a + rng.random_range(1..n)) % n;
        let same = scene.objects[a].shape == scene.objects[b].shape;
        swapped = Some(of(&scene.with_colors_swapped(a, b))).filter(|s| !same && *s != caption);
    }
    (caption, swapped)
}
