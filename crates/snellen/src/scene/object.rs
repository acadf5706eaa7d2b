//! Shapes, colours, places, and the objects and scenes made of them.

use serde::{Deserialize, Serialize};

/// The outline of an object, inscribed in its box (see `render`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
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

impl Shape {
    /// Every shape, in the study's order.
    pub const ALL: [Self; 5] = [Self::Circle, Self::Square, Self::Triangle, Self::Pentagon, Self::Hexagon];

    /// The word for it in captions and labels.
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
}

/// A named colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Color {
    /// The word for it in captions and labels.
    pub name: String,
    /// sRGB, 0 to 255.
    pub rgb: [u8; 3],
}

/// A named place in the frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The word for it in labels.
    pub name: String,
    /// Horizontal centre, 0 (left) to 1 (right).
    pub x: f64,
    /// Vertical centre, 0 (top) to 1 (bottom).
    pub y: f64,
}

/// One object: a value per factor, and where exactly it is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Its outline.
    pub shape: Shape,
    /// Index into [`World::colors`].
    pub color: usize,
    /// Index into [`World::positions`].
    pub position: usize,
    /// Drawn centre, 0 (left) to 1 (right): the position's, plus jitter.
    pub x: f64,
    /// Drawn centre, 0 (top) to 1 (bottom).
    pub y: f64,
    /// Width and height of its box, as a share of the frame's width and height.
    pub size: f64,
}

/// What one image shows: objects that do not overlap, first drawn first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// The objects, at least one.
    pub objects: Vec<Object>,
}

/// The vocabulary that scenes are drawn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// Shapes in use.
    pub shapes: Vec<Shape>,
    /// Colours in use.
    pub colors: Vec<Color>,
    /// Places in use.
    pub positions: Vec<Position>,
    /// Smallest and largest object size, as a share of the frame.
    pub size: [f64; 2],
    /// Largest displacement of an object from its position, along each axis, as a share of the frame.
    pub jitter: f64,
}

impl World {
    /// The toy world of arXiv 2508.16652: 5 shapes, 6 colours, 5 positions, one size, no jitter.
    #[must_use]
    pub fn study() -> Self {
        let color = |name: &str, rgb| Color { name: name.to_owned(), rgb };
        let position = |name: &str, x, y| Position { name: name.to_owned(), x, y };
        Self {
            shapes: Shape::ALL.to_vec(),
            colors: vec![
                color("red", [255, 0, 0]),
                color("green", [0, 128, 0]),
                color("blue", [0, 0, 255]),
                color("yellow", [255, 255, 0]),
                color("pink", [255, 192, 203]),
                color("black", [0, 0, 0]),
            ],
            positions: vec![
                position("M", 0.5, 0.5),
                position("TL", 0.25, 0.25),
                position("TR", 0.75, 0.25),
                position("BL", 0.25, 0.75),
                position("BR", 0.75, 0.75),
            ],
            size: [0.2, 0.2],
            jitter: 0.0,
        }
    }
}
