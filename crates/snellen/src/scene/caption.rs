//! Scenes in words: what the text tower is shown, and the swapped and replaced captions that it must tell apart.

use super::{Object, Scene, Shape, World};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use std::fmt;

/// Captions around what a scene holds, which stands for `{}`.
pub const TEMPLATES: [&str; 6] =
    ["{}", "a photo of {}", "a picture of {}", "a drawing of {}", "an image of {}", "this is {}"];

/// What is said of one object, displayed as a noun phrase: `a red circle`, `a circle`, `a red object`, `an object`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phrase<'a> {
    /// The name of its colour, where that is said.
    pub color: Option<&'a str>,
    /// Its outline, where that is said.
    pub shape: Option<Shape>,
}

impl<'a> Phrase<'a> {
    /// Colour and shape of `object`.
    ///
    /// # Panics
    /// If it is not of `world` ([`Scene::check`]).
    #[must_use]
    pub fn of(object: &Object, world: &'a World) -> Self {
        Self { color: Some(&world.colors[object.color].name), shape: Some(object.shape) }
    }
}

impl fmt::Display for Phrase<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = self.shape.map_or("object", Shape::name);
        let article = article(self.color.unwrap_or(noun));
        match self.color {
            Some(color) => write!(f, "{article} {color} {noun}"),
            None => write!(f, "{article} {noun}"),
        }
    }
}

/// How a caption is worded: in which order the objects come, and in which template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording<'a> {
    /// Indices of the objects that are named, in the order in which they are.
    pub order: Vec<usize>,
    /// The caption, with `{}` for the objects.
    pub template: &'a str,
}

impl<'a> Wording<'a> {
    /// All of `objects` objects in their own order, nothing around them.
    #[must_use]
    pub fn plain(objects: usize) -> Self {
        Self { order: (0..objects).collect(), template: TEMPLATES[0] }
    }

    /// All of `objects` objects in random order, in one of `templates` (the bare one if there are none).
    pub fn draw(objects: usize, templates: &[&'a str], rng: &mut impl Rng) -> Self {
        let mut wording = Self::plain(objects);
        wording.order.shuffle(rng);
        if !templates.is_empty() {
            wording.template = templates[rng.random_range(0..templates.len())];
        }
        wording
    }
}

/// Another value for one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// Another shape.
    Shape(Shape),
    /// Another colour, an index into [`World::colors`].
    Color(usize),
}

/// The caption of `scene`: `a photo of a red circle and a blue square`.
///
/// # Panics
/// If the scene is not of `world`, or `wording` names an object that is not there.
#[must_use]
pub fn caption(scene: &Scene, world: &World, wording: &Wording) -> String {
    let phrases: Vec<_> = wording.order.iter().map(|&k| Phrase::of(&scene.objects[k], world)).collect();
    say(&phrases, wording.template)
}

/// The caption of `scene` with the colours of objects `a` and `b` exchanged: right in every word, wrong in binding.
///
/// # Panics
/// As [`caption`], and if there is no object `a` or `b`.
#[must_use]
pub fn swapped_caption(scene: &Scene, world: &World, [a, b]: [usize; 2], wording: &Wording) -> String {
    caption(&scene.with_colors_swapped(a, b), world, wording)
}

/// The caption of `scene` with a value of object `k` replaced: wrong in one word.
///
/// # Panics
/// As [`caption`], and if there is no object `k` or no such colour.
#[must_use]
pub fn replaced_caption(scene: &Scene, world: &World, k: usize, by: Replacement, wording: &Wording) -> String {
    let mut scene = scene.clone();
    match by {
        Replacement::Shape(shape) => scene.objects[k].shape = shape,
        Replacement::Color(color) => scene.objects[k].color = color,
    }
    caption(&scene, world, wording)
}

/// `phrases` joined (`a red circle`, `a red circle and a square`, `a circle, a square and a red object`; `nothing` if there
/// are none) and put in place of the `{}` of `template`.
pub fn say(phrases: &[Phrase], template: &str) -> String {
    let joined = match phrases {
        [] => "nothing".to_owned(),
        [one] => one.to_string(),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(Phrase::to_string).collect();
            format!("{} and {last}", first.join(", "))
        }
    };
    template.replacen("{}", &joined, 1)
}

/// Spelt with a vowel, spoken with a consonant.
const CONSONANTS: [&str; 5] = ["uni", "use", "eu", "one", "ubi"];
/// Spelt with a consonant, spoken with a vowel.
const VOWELS: [&str; 4] = ["hour", "honest", "honor", "heir"];

/// `a` or `an`, by how `word` sounds.
fn article(word: &str) -> &'static str {
    let word = word.to_lowercase();
    let starts = |beginnings: &[&str]| beginnings.iter().any(|beginning| word.starts_with(beginning));
    let vowel = starts(&["a", "e", "i", "o", "u"]) && !starts(&CONSONANTS) || starts(&VOWELS);
    if vowel { "an" } else { "a" }
}
