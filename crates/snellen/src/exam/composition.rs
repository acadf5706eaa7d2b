//! What is bound: swap twins and replaced attributes on scenes of two objects (METHODS.md, swap accuracy).

use super::scores::cosine;
use crate::model::{Hook, Model};
use crate::scene::caption::{Replacement, Wording, caption, replaced_caption, swapped_caption};
use crate::scene::generate::{SwapTwin, swap_twins};
use crate::scene::{Canvas, Pairs, World, render};
use crate::{Result, random};
use rand::RngExt;
use rayon::prelude::*;

/// Margins, right minus wrong caption as cosines, of every picture of every twin.
#[derive(Clone, Debug, PartialEq)]
pub struct Composition {
    /// The twins, in the order of the margins.
    pub twins: Vec<SwapTwin>,
    /// `s(I, T) - s(I, T')` of the scene and `s(I', T') - s(I', T)` of its twin.
    pub swap: Vec<[f64; 2]>,
    /// `s(I, T) - s(I', T)` and `s(I', T') - s(I, T')`: choosing the picture for a caption.
    pub swap_image: Vec<[f64; 2]>,
    /// The same pictures against the caption with one object's shape replaced by one that no object has.
    pub replaced_shape: Vec<[f64; 2]>,
    /// The same with a colour.
    pub replaced_color: Vec<[f64; 2]>,
}

/// 1 where the margin favours the right caption, 1/2 at a tie, else 0.
pub fn outcome(margin: f64) -> f64 {
    if margin > 0.0 {
        1.0
    } else if margin < 0.0 {
        0.0
    } else {
        0.5
    }
}

/// Shows `count` swap twins with their captions, each twin in one wording: scenes of `scenes`, twins of `twins` ([`swap_twins`]).
///
/// Replaced attributes need a shape and a colour that neither object has: with two shapes or colours in `world` there is none, and those
/// lists are empty.
pub fn composition(
    model: &Model,
    world: &World,
    (scenes, twins): (&Pairs, &Pairs),
    templates: &[&str],
    (count, seed): (usize, u64),
    hook: &mut dyn Hook,
) -> Result<Composition> {
    let twins = swap_twins(world, scenes, twins, count, seed)?;
    let side = model.config.vision.image as u32;
    let both = || twins.par_iter().flat_map_iter(|t| [&t.scene, &t.twin]);
    let pictures: Vec<_> = both().map(|s| render(s, world, &Canvas::plain(side, side))).collect();
    let pictures = model.encode_pictures(&pictures, hook)?;
    let replaceable = world.shapes.len() > 2 && world.colors.len() > 2;
    let mut texts = Vec::new();
    for (i, twin) in twins.iter().enumerate() {
        let mut rng = random::stream(seed, "composition", i as u64);
        let wording = Wording::draw(2, templates, &mut rng);
        let scene = &twin.scene;
        texts.push(caption(scene, world, &wording));
        texts.push(swapped_caption(scene, world, [0, 1], &wording));
        if replaceable {
            let k = rng.random_range(0..2);
            let other_shapes: Vec<_> =
                world.shapes.iter().filter(|s| scene.objects.iter().all(|o| o.shape != **s)).collect();
            let other_colors: Vec<_> =
                (0..world.colors.len()).filter(|c| scene.objects.iter().all(|o| o.color != *c)).collect();
            let shape = Replacement::Shape(*other_shapes[rng.random_range(0..other_shapes.len())]);
            let color = Replacement::Color(other_colors[rng.random_range(0..other_colors.len())]);
            for by in [shape, color] {
                texts.push(replaced_caption(scene, world, k, by, &wording));
                texts.push(replaced_caption(&twin.twin, world, k, by, &wording));
            }
        }
    }
    let texts = model.encode_texts(&texts, hook)?;
    let width = pictures.width();
    let (pictures, texts): (Vec<_>, Vec<_>) =
        (pictures.data().chunks(width).collect(), texts.data().chunks(width).collect());
    let mut out = Composition {
        twins: Vec::new(),
        swap: vec![],
        swap_image: vec![],
        replaced_shape: vec![],
        replaced_color: vec![],
    };
    for (images, captions) in pictures.chunks(2).zip(texts.chunks(if replaceable { 6 } else { 2 })) {
        let s = |image: usize, caption: usize| cosine(images[image], captions[caption]);
        out.swap.push([s(0, 0) - s(0, 1), s(1, 1) - s(1, 0)]);
        out.swap_image.push([s(0, 0) - s(1, 0), s(1, 1) - s(0, 1)]);
        if replaceable {
            out.replaced_shape.push([s(0, 0) - s(0, 2), s(1, 1) - s(1, 3)]);
            out.replaced_color.push([s(0, 0) - s(0, 4), s(1, 1) - s(1, 5)]);
        }
    }
    out.twins = twins;
    Ok(out)
}
