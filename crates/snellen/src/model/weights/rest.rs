//! What a checkpoint holds beside the weights that the towers ask for.
//!
//! A tensor within a tower that the tower does not ask for means another architecture, and is refused; so is an adapter, which
//! changes the weights beside it. What stands beside the towers, such as a classifier or a language model, is left alone, and said.

use crate::model::checkpoint::Checkpoint;
use crate::model::config::{LeftAlone, shown};
use crate::model::layout::Layout;
use crate::model::prefixes::Prefixes;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// What a classifier adds to a tower that stands under no prefix of its own, what a tower alone keeps of the whole, and what `ViTModel`
/// has behind the class token.
const HEADS: [&str; 6] = ["classifier", "logit_scale", "logit_bias", "pooler", "visual_projection", "text_projection"];

/// What timm puts behind a tower.
const CLASSIFIERS: [&str; 2] = ["head", "head_dist"];

/// How the parts of a name begin that adapters have in PEFT, kohya's scripts and LyCORIS.
const ADAPTERS: [&str; 9] =
    ["lora_", "base_layer", "hada_", "lokr_", "oft_", "boft_", "ia3_", "vera_", "modules_to_save"];

impl Checkpoint {
    /// Refuses weights that change others when they are put together: their sum is what the model computes with.
    pub(in crate::model) fn without_adapters(self) -> Result<Self> {
        let vision = &self.prefixes.vision;
        let inside = self.layout == Layout::Transformers { inside: true };
        let ours = |name: &&String| !inside || name.starts_with(vision.as_str());
        let adapter =
            |name: &&String| name.split('.').any(|part| ADAPTERS.iter().any(|adapter| part.starts_with(adapter)));
        let Some(name) = self.names().filter(ours).find(adapter).cloned() else { return Ok(self) };
        let expected = "weights without an adapter (merge it first: PEFT's `merge_and_unload`, then `save_pretrained`)";
        Err(Error::mismatch(self.file_of(&name).display(), expected, format!("`{}`", shown(&name))))
    }

    /// What nothing asked for, by the first part of the names.
    ///
    /// # Errors
    /// When a tower did not ask for a weight that is its own: that would mean another architecture.
    pub fn finish(self) -> Result<Vec<String>> {
        let roots: BTreeSet<&str> = self.asked.iter().map(|name| self.root(name)).collect();
        let mut left: BTreeMap<String, Vec<&String>> = BTreeMap::new();
        for name in self.names() {
            if self.asked.contains(name) || self.layout.ignores(name) || self.is_empty(name) {
                continue;
            }
            if self.within(name, &roots) {
                let expected = "only tensors that the configuration speaks of";
                return Err(Error::mismatch(self.file_of(name).display(), expected, format!("`{}`", shown(name))));
            }
            let outer = if name.starts_with(self.outer()) { self.outer() } else { "" };
            left.entry(format!("{outer}{}", self.root(name))).or_default().push(name);
        }
        let group = |(root, names): (String, Vec<&String>)| match names[..] {
            [one] => shown(one),
            _ => format!("{}.* ({} tensors)", shown(&root), names.len()),
        };
        let mut listed = Vec::new();
        LeftAlone::list(&mut listed, left.into_iter().map(group));
        LeftAlone::list(&mut listed, self.beside.iter().cloned());
        Ok(listed)
    }

    /// What stands before the first parts of names that mean something.
    fn outer(&self) -> &str {
        let vision = &self.prefixes.vision;
        self.layout.outer(vision).unwrap_or(vision)
    }

    /// The first part of a name, behind what the whole is wrapped in.
    fn root<'a>(&self, name: &'a str) -> &'a str {
        let name = name.strip_prefix(self.outer()).unwrap_or(name);
        name.split_once('.').map_or(name, |(root, _)| root)
    }

    /// Whether a tensor is of one of the towers, whose weights have these `roots`.
    fn within(&self, name: &str, roots: &BTreeSet<&str>) -> bool {
        let Prefixes { vision, text } = &self.prefixes;
        let head = |rest: &str| HEADS.contains(&rest.split_once('.').map_or(rest, |(root, _)| root));
        let under = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| !head(rest));
        match self.layout {
            Layout::Transformers { inside: true } => !vision.is_empty() && under(vision),
            // OpenCLIP refuses whatever it does not ask for.
            Layout::OpenClip | Layout::OpenClipTimm(_) => true,
            Layout::Timm(_) => under(vision) && !CLASSIFIERS.contains(&self.root(name)),
            _ => under(vision) || !text.is_empty() && under(text) || roots.contains(self.root(name)),
        }
    }
}
