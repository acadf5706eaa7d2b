//! What is seen: zero-shot recognition of single objects, by attribute and by combination (METHODS.md, attribute recognition).

use super::scores::{class_embeddings, outcome, winners};
use crate::Result;
use crate::model::{Hook, Model};
use crate::scene::caption::{Phrase, say};
use crate::scene::{Canvas, Pairs, Scene, Shape, World, generate, render};
use rayon::prelude::*;

/// Outcomes, 0 to 1, of every picture of a single object.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognition {
    /// The scenes, in the order of the outcomes.
    pub scenes: Vec<Scene>,
    /// Whether the chosen caption names the shape.
    pub shape: Vec<f64>,
    /// Whether it names the colour.
    pub color: Vec<f64>,
    /// Whether it names both.
    pub pair: Vec<f64>,
}

/// Shows every combination at every position, `repeats` times, and lets `model` choose among one caption per combination (each the
/// ensemble over `templates`). The choice is right in shape, in colour, or in both.
pub fn recognition(
    model: &Model,
    world: &World,
    templates: &[&str],
    (repeats, seed): (usize, u64),
    hook: &mut dyn Hook,
) -> Result<Recognition> {
    let pairs = Pairs::all(world);
    let pairs = pairs.as_slice();
    let scenes = generate::factorial(world, &Pairs::all(world), repeats, seed)?;
    let side = model.config.vision.image as u32;
    let pictures: Vec<_> = scenes.par_iter().map(|s| render(s, world, &Canvas::plain(side, side))).collect();
    let pictures = model.encode_pictures(&pictures, hook)?;
    let captions = |(shape, color): &(Shape, usize)| {
        let phrase = Phrase { color: Some(world.colors[*color].name.as_str()), shape: Some(*shape) };
        templates.iter().map(|template| say(&[phrase], template)).collect()
    };
    let classes: Vec<Vec<String>> = pairs.iter().map(captions).collect();
    let chosen = winners(&pictures, &class_embeddings(model, &classes, hook)?);
    let outcomes = |right: fn((Shape, usize), (Shape, usize)) -> bool| {
        let of = |(scene, won): (&Scene, &Vec<usize>)| {
            let object = &scene.objects[0];
            outcome(won, |c| right(pairs[c], (object.shape, object.color)))
        };
        scenes.iter().zip(&chosen).map(of).collect()
    };
    Ok(Recognition {
        shape: outcomes(|a, b| a.0 == b.0),
        color: outcomes(|a, b| a.1 == b.1),
        pair: outcomes(|a, b| a == b),
        scenes,
    })
}
