//! In which words a model is asked: those that its text tower reads.

use super::examinee::Examinee;
use crate::Result;
use crate::scene::caption::{Phrase, say};
use crate::scene::{Combinations, World};

/// Those of `templates` in which `examinee` reads every caption of two objects of `world`: it has room in the text tower and no unknown
/// word.
///
/// # Errors
/// When there is none: what is wrong with the first.
pub fn readable<'a>(examinee: &dyn Examinee, world: &World, templates: &[&'a str]) -> Result<Vec<&'a str>> {
    let mut kept = Vec::new();
    let mut refused = None;
    for template in templates {
        match examinee.reads(&longest(world, &|phrases| say(phrases, template))) {
            Ok(()) => kept.push(*template),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    match refused {
        Some(error) if kept.is_empty() => Err(error),
        _ => Ok(kept),
    }
}

/// The captions of `world` that say every combination twice, as `said` words them: a caption is as long as its words together, so that none of
/// two objects is longer.
pub(super) fn longest(world: &World, said: &dyn Fn(&[Phrase<'_>]) -> String) -> Vec<String> {
    let all = Combinations::all(world);
    let phrase = |values: &Vec<u32>| Phrase::saying(all.factors(), values, world);
    all.as_slice().iter().map(|values| said(&[phrase(values), phrase(values)])).collect()
}
