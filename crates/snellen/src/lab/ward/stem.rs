//! The sizes that patients of one kind are bred in.

use crate::lab::Recipe;
use serde::Serialize;

/// A stem: the sizes of a patient's towers. What else its recipe says stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stem {
    /// As the recipes have it: 7 x 7 patches, 96 wide, 4 + 2 layers.
    #[default]
    Plain,
    /// 8 x 8 smaller patches, 64 wide, 3 + 2 layers.
    Fine,
    /// 7 x 7 patches, 128 wide, 2 + 2 layers.
    Wide,
}

impl Stem {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Fine, Self::Wide];

    /// Its name in files; that of the plain one is left out there.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Fine => "fine",
            Self::Wide => "wide",
        }
    }

    /// `recipe` in these sizes.
    pub fn of(self, mut recipe: Recipe) -> Recipe {
        let own = &mut recipe.model;
        match self {
            Self::Plain => {}
            Self::Fine => {
                (own.image, own.patch) = (48, 6);
                (own.width, own.mlp, own.embedding, own.vision_layers) = (64, 256, 48, 3);
            }
            Self::Wide => (own.width, own.mlp, own.embedding, own.vision_layers) = (128, 512, 96, 2),
        }
        recipe
    }
}
