//! What one update is made on.

use super::Recipe;
use crate::engine::Tensor;
use crate::model::tokenizer::Tokens;
use crate::model::{Preprocessing, Tokenizer};
use crate::scene::caption::{Phrase, Wording, say};
use crate::scene::{Canvas, Combinations, Said, Scene, generate, render};
use crate::{Result, random};
use rand::{Rng, RngExt};
use rayon::prelude::*;

/// Pictures and captions; caption `i` is picture `i`'s, those beyond the last picture are wrong for all.
pub(super) struct Batch {
    pub(super) pixels: Tensor<f32>,
    pub(super) tokens: Tokens,
}

/// One picture with its caption, and the caption with two values exchanged where that is another caption.
struct Example {
    pixels: Vec<f32>,
    caption: String,
    swapped: Option<String>,
}

/// The batch of update `step`: the same for a seed, whatever was done before.
pub(super) fn draw(
    recipe: &Recipe,
    seen: &Combinations,
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
    let world = &recipe.world;
    // Adjectives have the lowest numbers, then the noun.
    let mut said = world.said();
    said.sort_by_key(|f| world.factors[*f].said == Said::Noun);
    let of = |scene: &Scene| {
        let phrase = |(k, u): (&usize, &f64)| {
            let left = |at: usize| (at as f64 * p..(at + 1) as f64 * p).contains(u);
            let factors: Vec<usize> = said.iter().enumerate().filter(|(at, _)| !left(*at)).map(|(_, f)| *f).collect();
            Phrase::saying(&factors, &scene.objects[*k].combination(&factors), world)
        };
        let phrases: Vec<Phrase<'_>> = wording.order.iter().zip(&unsaid).map(phrase).collect();
        say(&phrases, wording.template)
    };
    let caption = of(scene);
    let n = scene.objects.len();
    let mut swapped = None;
    if recipe.scenes.swapped_negatives && n > 1 {
        let a = rng.random_range(0..n);
        let b = (a + rng.random_range(1..n)) % n;
        let swap = world.swapped_factor().unwrap_or_default();
        let rest =
            |k: usize| scene.objects[k].combination(&said.iter().copied().filter(|f| *f != swap).collect::<Vec<_>>());
        swapped = Some(of(&scene.swapped(swap, a, b))).filter(|s| rest(a) != rest(b) && *s != caption);
    }
    (caption, swapped)
}
