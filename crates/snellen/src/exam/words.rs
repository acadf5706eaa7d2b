//! Labels in words: how the values of a factor are said, where they stand in a caption, and captions with other values in their place.

use crate::scene::caption::{Phrase, article};
use crate::scene::labels::LabelTable;
use crate::scene::{Said, World};
use std::ops::Range;

/// Factors whose values are what a thing is called.
const NOUNS: [&str; 11] =
    ["shape", "class", "object", "category", "label", "kind", "type", "species", "animal", "noun", "thing"];
/// Factors whose values say what it is like.
const ADJECTIVES: [&str; 9] =
    ["color", "colour", "size", "texture", "material", "pattern", "adjective", "state", "age"];

/// What captions make of `factor`: what `world` does of one of this name, else what the name says; `None` where that fits no template.
pub(super) fn said(factor: &str, world: &World) -> Option<Said> {
    let own = world.factor(factor).map(|f| world.factors[f].said).filter(|said| *said != Said::No);
    let is = |names: &[&str]| names.iter().any(|name| factor.eq_ignore_ascii_case(name));
    own.or_else(|| is(&NOUNS).then_some(Said::Noun)).or_else(|| is(&ADJECTIVES).then_some(Said::Adjective))
}

/// A value as it is written in captions.
pub(super) fn word(value: &str) -> String {
    value.replace('_', " ")
}

/// `value` alone, said as a noun or of an object.
pub(super) fn alone(value: &str, said: Said) -> Phrase<'_> {
    match said {
        Said::Adjective => Phrase { adjectives: vec![value], noun: None },
        _ => Phrase { adjectives: Vec::new(), noun: Some(value) },
    }
}

/// All that captions say of an object, whose values are indices into `table`, written as in `words`; `None` where they say nothing.
pub(super) fn phrase<'a>(
    table: &LabelTable,
    words: &'a [Vec<String>],
    says: &[Option<Said>],
    object: &[Option<u32>],
) -> Option<Phrase<'a>> {
    let mut phrase = Phrase::default();
    for f in 0..table.factors.len() {
        let Some(value) = object.get(f).copied().flatten() else { continue };
        let word = words[f][value as usize].as_str();
        match says[f] {
            Some(Said::Noun) => phrase.noun = Some(word),
            Some(Said::Adjective) => phrase.adjectives.push(word),
            _ => {}
        }
    }
    (phrase.noun.is_some() || !phrase.adjectives.is_empty()).then_some(phrase)
}

/// Where `word` stands in `text` as a whole word, whatever the case.
pub(super) fn places(text: &str, word: &str) -> Vec<Range<usize>> {
    let (low, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let whole = |at: usize| {
        let end = at + word.len();
        !inside(low[..at].chars().next_back()) && !inside(low[end..].chars().next())
    };
    if word.is_empty() {
        return Vec::new();
    }
    low.match_indices(&word).map(|(at, _)| at).filter(|at| whole(*at)).map(|at| at..at + word.len()).collect()
}

/// `text` with other words at `places`, ascending, and the articles before them as these words need.
pub(super) fn with(text: &str, places: &[(Range<usize>, &str)]) -> String {
    let mut said = String::with_capacity(text.len());
    let mut from = 0;
    for (place, word) in places {
        let before = &text[from..place.start];
        let own = ["an ", "a "].into_iter().find(|own| {
            let ends = before.to_ascii_lowercase().ends_with(own);
            ends && !before[..before.len() - own.len()].chars().next_back().is_some_and(char::is_alphanumeric)
        });
        match own {
            Some(own) => {
                let cut = before.len() - own.len();
                said.push_str(&before[..cut]);
                let capital = before[cut..].starts_with('A');
                let right = article(word);
                said.push_str(&if capital { right.replacen('a', "A", 1) } else { right.to_owned() });
                said.push(' ');
            }
            None => said.push_str(before),
        }
        said.push_str(word);
        from = place.end;
    }
    said.push_str(&text[from..]);
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_found_and_articles_follow() {
        let text = "A red circle beside a reddish Circle";
        assert_eq!(places(text, "red").first(), Some(&(2..5)));
        assert_eq!(places(text, "circle"), [6..12, 30..36]);
        assert!(places(text, "").is_empty() && places(text, "blue").is_empty());
        assert_eq!(with(text, &[(2..5, "orange")]), "An orange circle beside a reddish Circle");
        let two = "an orange cat and a black dog";
        let exchanged = [(places(two, "orange")[0].clone(), "black"), (places(two, "black")[0].clone(), "orange")];
        assert_eq!(with(two, &exchanged), "a black cat and an orange dog");
        // An article is a word of its own.
        assert_eq!(with("a banana red", &[(9..12, "orange")]), "a banana orange");
    }

    #[test]
    fn a_factor_is_said_as_the_world_says_it_or_as_its_name_does() {
        let world = World::toy();
        assert_eq!((said("shape", &world), said("color", &world)), (Some(Said::Noun), Some(Said::Adjective)));
        assert_eq!((said("class", &world), said("Material", &world)), (Some(Said::Noun), Some(Said::Adjective)));
        assert_eq!((said("position", &world), said("photographer", &world)), (None, None));
    }
}
