//! Scenes in words: what the text tower is shown. Swapped and replaced captions are those of [`Scene::swapped`] and
//! [`Scene::replaced`].

use super::generate::SwapTwin;
use super::{Object, Said, Scene, World};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use std::fmt;
use std::ops::Range;

/// Captions around what a scene holds, which stands for `{}`.
pub const TEMPLATES: [&str; 6] =
    ["{}", "a photo of {}", "a picture of {}", "a drawing of {}", "an image of {}", "this is {}"];

/// What is said of one object, displayed as a noun phrase: `a red circle`, `a circle`, `a red object`, `an object`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phrase<'a> {
    /// What is said before the noun, in order.
    pub adjectives: Vec<&'a str>,
    /// What it is called; `object` where that is not said.
    pub noun: Option<&'a str>,
}

impl<'a> Phrase<'a> {
    /// All that captions say of `object`.
    ///
    /// # Panics
    /// If it is not of `world` ([`Scene::check`]).
    #[must_use]
    pub fn of(object: &Object, world: &'a World) -> Self {
        Self::saying(&world.said(), &object.combination(&world.said()), world)
    }

    /// What captions say of `values` of `factors`.
    ///
    /// # Panics
    /// If `world` has no such value.
    #[must_use]
    pub fn saying(factors: &[usize], values: &[u32], world: &'a World) -> Self {
        let mut phrase = Self::default();
        for (f, value) in factors.iter().zip(values) {
            let factor = &world.factors[*f];
            let word = factor.values[*value as usize].name.as_str();
            match factor.said {
                Said::Noun => phrase.noun = Some(word),
                Said::Adjective => phrase.adjectives.push(word),
                Said::No => {}
            }
        }
        phrase
    }
}

impl fmt::Display for Phrase<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = self.noun.unwrap_or("object");
        f.write_str(article(self.adjectives.first().unwrap_or(&noun)))?;
        self.adjectives.iter().chain([&noun]).try_for_each(|word| write!(f, " {word}"))
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

    /// The wordings of a scene and its twin, objects of both in one random order; what only one of them has stands anywhere among them.
    pub fn of_twins(twin: &SwapTwin, templates: &[&'a str], rng: &mut impl Rng) -> [Self; 2] {
        let numbers = [&twin.scene, &twin.twin].map(|scene| scene.objects.len());
        let both = Self::draw(numbers[0].max(numbers[1]), templates, rng);
        numbers
            .map(|number| Self { order: both.order.iter().copied().filter(|k| *k < number).collect(), ..both.clone() })
    }
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

/// The same, and where in it the words stand that say an object, without their article: `(object, bytes)`, in the order of the caption.
///
/// # Panics
/// As [`caption`].
#[must_use]
pub fn said(scene: &Scene, world: &World, wording: &Wording) -> (String, Vec<(usize, Range<usize>)>) {
    let text = caption(scene, world, wording);
    let mut at = wording.template.find("{}").unwrap_or_default();
    let mut spans = Vec::with_capacity(wording.order.len());
    for &k in &wording.order {
        let phrase = Phrase::of(&scene.objects[k], world).to_string();
        let Some(from) = text[at..].find(&phrase).map(|found| at + found) else { continue };
        at = from + phrase.len();
        let article = phrase.find(' ').map_or(0, |space| space + 1);
        spans.push((k, from + article..at));
    }
    (text, spans)
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
    put(&joined, template)
}

/// `said` in place of the `{}` of `template`.
pub(super) fn put(said: &str, template: &str) -> String {
    template.replacen("{}", said, 1)
}

/// Spelt with a vowel, spoken with a consonant.
const CONSONANTS: [&str; 5] = ["uni", "use", "eu", "one", "ubi"];
/// Spelt with a consonant, spoken with a vowel.
const VOWELS: [&str; 4] = ["hour", "honest", "honor", "heir"];

/// `a` or `an`, by how `word` sounds.
pub(crate) fn article(word: &str) -> &'static str {
    let word = word.to_lowercase();
    let starts = |beginnings: &[&str]| beginnings.iter().any(|beginning| word.starts_with(beginning));
    let vowel = starts(&["a", "e", "i", "o", "u"]) && !starts(&CONSONANTS) || starts(&VOWELS);
    if vowel { "an" } else { "a" }
}
