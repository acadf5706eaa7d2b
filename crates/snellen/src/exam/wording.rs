//! In which words a model is asked: those that its text tower reads.

use crate::Result;
use crate::model::Tokenizer;
use crate::scene::caption::{Phrase, say};
use crate::scene::{Pairs, Shape, World};

/// Those of `templates` in which every caption of two objects of `world` has room in the text tower and no unknown word.
///
/// # Errors
/// When there is none: what is wrong with the first.
pub(super) fn readable<'a>(tokenizer: &Tokenizer, world: &World, templates: &[&'a str]) -> Result<Vec<&'a str>> {
    let longest = |template: &str| -> Vec<String> {
        // A caption is as long as its words together, so that none is longer than that of the longest combination twice.
        let twice = |&(shape, color): &(Shape, usize)| {
            [Phrase { color: Some(&world.colors[color].name), shape: Some(shape) }; 2]
        };
        Pairs::all(world).as_slice().iter().map(|pair| say(&twice(pair), template)).collect()
    };
    let mut kept = Vec::new();
    let mut refused = None;
    for template in templates {
        match tokenizer.encode(&longest(template)) {
            Ok(_) => kept.push(*template),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    match refused {
        Some(error) if kept.is_empty() => Err(error),
        _ => Ok(kept),
    }
}
