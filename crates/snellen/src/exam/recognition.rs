//! What is seen: zero-shot recognition of single objects, by attribute and by combination (METHODS.md, attribute recognition).

use super::scores::{class_embeddings, zero_shot};
use crate::Result;
use crate::model::Model;
use crate::scene::caption::{Phrase, say};
use crate::scene::{Canvas, Pairs, Scene, World, generate, render};
use rayon::prelude::*;

/// Outcomes, 0 to 1, of every picture of a single object.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognition {
    /// The scenes, in the order of the outcomes.
    pub scenes: Vec<Scene>,
    /// Choosing the shape among all shapes.
    pub shape: Vec<f64>,
    /// Choosing the colour among all colours.
    pub color: Vec<f64>,
    /// Choosing the combination among all combinations.
    pub pair: Vec<f64>,
}

/// Shows every combination at every position, `repeats` times, and lets `model` choose among captions.
///
/// A class is the ensemble of its captions over `templates` and, for attributes, over the values of the other factor.
pub fn recognition(model: &Model, world: &World, templates: &[&str], repeats: usize, seed: u64) -> Result<Recognition> {
    let scenes = generate::factorial(world, &Pairs::all(world), repeats, seed)?;
    let side = model.config.vision.image as u32;
    let pictures: Vec<_> = scenes.par_iter().map(|s| render(s, world, &Canvas::plain(side, side))).collect();
    let pictures = model.encode_pictures(&pictures, &mut ())?;
    let (shapes, colors) = (&world.shapes, &world.colors);
    let said = |shape: usize, color: usize| {
        let phrase = Phrase { color: Some(colors[color].name.as_str()), shape: Some(shapes[shape]) };
        templates.iter().map(move |template| say(&[phrase], template))
    };
    let (n, m) = (shapes.len(), colors.len());
    let by_shape: Vec<Vec<String>> = (0..n).map(|s| (0..m).flat_map(|c| said(s, c)).collect()).collect();
    let by_color: Vec<Vec<String>> = (0..m).map(|c| (0..n).flat_map(|s| said(s, c)).collect()).collect();
    let by_pair: Vec<Vec<String>> =
        (0..n).flat_map(|s| (0..m).map(move |c| (s, c))).map(|(s, c)| said(s, c).collect()).collect();
    let values = |scene: &Scene| {
        let object = &scene.objects[0];
        (shapes.iter().position(|s| *s == object.shape).unwrap_or_default(), object.color)
    };
    let right = |of: fn((usize, usize), usize) -> usize| scenes.iter().map(|s| of(values(s), m)).collect::<Vec<_>>();
    Ok(Recognition {
        shape: zero_shot(&pictures, &class_embeddings(model, &by_shape)?, &right(|(s, _), _| s)),
        color: zero_shot(&pictures, &class_embeddings(model, &by_color)?, &right(|(_, c), _| c)),
        pair: zero_shot(&pictures, &class_embeddings(model, &by_pair)?, &right(|(s, c), m| s * m + c)),
        scenes,
    })
}
