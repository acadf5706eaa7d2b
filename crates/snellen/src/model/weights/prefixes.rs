//! Where the towers' weights begin among the names of a file.
//!
//! The same tower stands under no prefix, under `vision_model.`, or under whatever a trainer or a larger model wrapped it in
//! (`module.`, `clip.`, `model.vision_tower.`). It is found by one weight that every such tower has, its landmark.

use crate::model::layout::Layout;
use crate::{Error, Result};
use std::path::Path;

/// What stands before the names of either tower, and of what they share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model) struct Prefixes {
    pub(in crate::model) vision: String,
    /// Empty where there is no text tower.
    pub(in crate::model) text: String,
}

impl Prefixes {
    /// Those of a file whose names the towers ask for as they are.
    pub(in crate::model) fn plain() -> Self {
        Self { vision: "vision_model.".to_owned(), text: "text_model.".to_owned() }
    }

    /// Those of a file with these `names`; `path` is its name in messages.
    ///
    /// # Errors
    /// Where a tower is not there, or twice.
    pub(in crate::model) fn find(names: &[&str], layout: Layout, text: bool, path: &Path) -> Result<Self> {
        let vision = one(names, layout.landmark(false), path);
        if vision.is_err()
            && !names.iter().any(|name| name.contains("vision") || name.contains("visual"))
            && let Ok(only) = one(names, layout.landmark(true), path)
        {
            let got = format!("a text tower alone (`{only}{}`), which sees no pictures", layout.landmark(true));
            return Err(Error::mismatch(path.display(), "a vision tower, with a text tower or without", got));
        }
        let text = if text { one(names, layout.landmark(true), path)? } else { String::new() };
        Ok(Self { vision: vision?, text })
    }
}

/// Whether a file has nothing of the text tower that its configuration speaks of: it was saved from the vision tower alone, as image
/// classifiers are.
pub(in crate::model) fn lack_text<'a>(mut names: impl Iterator<Item = &'a str>, layout: Layout) -> bool {
    let of_text = |name: &str| name.split('.').any(|part| part.starts_with("text_") || part == "token_embedding");
    layout == Layout::Transformers { inside: false } && !names.any(of_text)
}

/// What stands before the one name that ends with `landmark`.
fn one(names: &[&str], landmark: &str, path: &Path) -> Result<String> {
    let found: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_suffix(landmark))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .collect();
    match found[..] {
        [one] => Ok(one.to_owned()),
        [] => {
            Err(Error::mismatch(path.display(), format!("a tensor `{landmark}`, under some prefix"), "no such tensor"))
        }
        [a, b, ..] => {
            let got = format!("`{a}{landmark}` and `{b}{landmark}`");
            Err(Error::mismatch(path.display(), format!("one tower with a tensor `{landmark}`"), got))
        }
    }
}
