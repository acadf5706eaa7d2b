//! What is seen: zero-shot recognition of single objects, by attribute and by combination (METHODS.md, attribute recognition).

use super::scores::{class_embeddings, cosine, outcome, winners};
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
    /// How near pictures of shape g come to being called shape f, `[f][g]`: the mean difference of the two captions' cosines.
    pub near_shapes: Vec<Vec<f64>>,
    /// The same of colours.
    pub near_colors: Vec<Vec<f64>>,
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
    let classes = class_embeddings(model, &classes, hook)?;
    let chosen = winners(&pictures, &classes);
    let (shapes, colors) = (&world.shapes, world.colors.len());
    // Mean over the pictures that `shows` picks, of the cosine of the caption that `says` less that of their own.
    let nearness = |shows: &dyn Fn((Shape, usize)) -> bool, says: &dyn Fn((Shape, usize)) -> (Shape, usize)| {
        let class = |pair: (Shape, usize)| pairs.iter().position(|known| *known == pair).map(|c| &classes[c]);
        let of = |(scene, picture): (&Scene, &[f32])| {
            let own = (scene.objects[0].shape, scene.objects[0].color);
            let [said, own] = [says(own), own].map(|pair| class(pair).map(|class| cosine(picture, class)));
            Some(said? - own?)
        };
        let shown = scenes.iter().zip(pictures.data().chunks(pictures.width()));
        let shown = shown.filter(|(scene, _)| shows((scene.objects[0].shape, scene.objects[0].color)));
        let all: Vec<f64> = shown.filter_map(of).collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    };
    let near_shape = |f: &Shape, g: &Shape| nearness(&|own| own.0 == *g, &|own| (*f, own.1));
    let near_shapes = shapes.iter().map(|f| shapes.iter().map(|g| near_shape(f, g)).collect()).collect();
    let near_color = |f: usize, g: usize| nearness(&|own| own.1 == g, &|own| (own.0, f));
    let near_colors = (0..colors).map(|f| (0..colors).map(|g| near_color(f, g)).collect()).collect();
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
        near_shapes,
        near_colors,
        scenes,
    })
}
