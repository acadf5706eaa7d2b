//! How the value of a factor looks: the only thing that the rasteriser knows of it.

use serde::{Deserialize, Serialize};
use std::f64::consts::{PI, TAU};

/// The outline of an object, inscribed in its box (see `render`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outline {
    /// A disc.
    Circle,
    /// An upright square.
    Square,
    /// As wide and as high as its box, apex up.
    Triangle,
    /// A regular pentagon on the circle inscribed in the box, a corner down.
    Pentagon,
    /// A regular hexagon on the circle inscribed in the box, corners left and right.
    Hexagon,
}

impl Outline {
    /// Every outline, in the study's order.
    pub const ALL: [Self; 5] = [Self::Circle, Self::Square, Self::Triangle, Self::Pentagon, Self::Hexagon];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Circle => "circle",
            Self::Square => "square",
            Self::Triangle => "triangle",
            Self::Pentagon => "pentagon",
            Self::Hexagon => "hexagon",
        }
    }

    /// The share of its box that it covers.
    #[must_use]
    pub fn area(self) -> f64 {
        // Of a regular polygon: triangles between the middle and two corners.
        let regular = |corners: f64| corners / 8.0 * (TAU / corners).sin();
        match self {
            Self::Circle => PI / 4.0,
            Self::Square => 1.0,
            Self::Triangle => 0.5,
            Self::Pentagon => regular(5.0),
            Self::Hexagon => regular(6.0),
        }
    }
}

/// How the inside of an object is painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Texture {
    /// All of it.
    Solid,
    /// In diagonal stripes, a fifth of the box apart; between them the background shows.
    Hatched,
    /// Every other field of a chequerboard, a tenth of the box wide; between them the background shows.
    Checkered,
}

/// How one value looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Look {
    /// The outline of the object.
    Outline(Outline),
    /// Its colour: sRGB, 0 to 255.
    Paint([u8; 3]),
    /// Its centre: 0 (left) to 1 (right), 0 (top) to 1 (bottom).
    Place([f64; 2]),
    /// What its size is multiplied by.
    Scale(f64),
    /// How its inside is painted.
    Texture(Texture),
}

impl Look {
    /// What kind of look it is, as world files call it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Outline(_) => "outline",
            Self::Paint(_) => "paint",
            Self::Place(_) => "place",
            Self::Scale(_) => "scale",
            Self::Texture(_) => "texture",
        }
    }
}

/// An object as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Its outline.
    pub outline: Outline,
    /// Its colour: sRGB, 0 to 255.
    pub paint: [u8; 3],
    /// How its inside is painted.
    pub texture: Texture,
    /// Centre, 0 (left) to 1 (right).
    pub x: f64,
    /// Centre, 0 (top) to 1 (bottom).
    pub y: f64,
    /// Width and height of its box, as a share of the frame's width and height.
    pub size: f64,
}
