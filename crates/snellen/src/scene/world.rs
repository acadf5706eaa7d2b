//! The vocabulary of scenes: factors with their values, how these look and how they are said. A world is data; no code knows its
//! factors by name.

use super::drawing::{Figure, Look, Outline, Texture};
use super::{Background, Factor, Object};
use serde::{Deserialize, Serialize};

/// What scenes are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// Smallest and largest object size, as a share of the frame.
    pub size: [f64; 2],
    /// Largest displacement of an object from its place, along each axis, as a share of the frame; 0 where places are free.
    #[serde(default)]
    pub jitter: f64,
    /// Whether objects of one size have one area whatever their outline, that of a disc as wide as the size: a triangle's box is then
    /// a quarter wider. Else a size is that of the box, and how much of the picture has a colour tells something of the shape.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub equal_areas: bool,
    /// What is behind the objects.
    #[serde(default, skip_serializing_if = "Background::is_plain")]
    pub background: Background,
    /// Where there is this, objects are anywhere in the frame; else each is at a place of the factor of places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<Free>,
    /// Its factors, at most one of each kind of look; one is of places unless these are free. Where they are free, a factor of places
    /// is but a label: the place that the object's centre is nearest to.
    pub factors: Vec<WorldFactor>,
}

/// A factor of a world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldFactor {
    /// `shape`, `color`, `texture`, ...
    pub name: String,
    /// What captions make of it.
    #[serde(default)]
    pub said: Said,
    /// Whether two objects of a scene by design may share a value. (Objects of training scenes always may.)
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeats: bool,
    /// Its values, of one kind of look.
    pub values: Vec<WorldValue>,
}

/// What captions make of a factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// The noun: `a circle`.
    Noun,
    /// An adjective, in the order of the factors: `a red object`.
    Adjective,
    /// Nothing.
    #[default]
    No,
}

/// A value of a factor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ValueFile", into = "ValueFile")]
pub struct WorldValue {
    /// The word for it in captions and labels.
    pub name: String,
    /// How it looks.
    pub look: Look,
}

/// A value as it is written: its name, and one look by its kind.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueFile {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outline: Option<Outline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paint: Option<[u8; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    texture: Option<Texture>,
}

impl TryFrom<ValueFile> for WorldValue {
    type Error = String;

    fn try_from(file: ValueFile) -> Result<Self, String> {
        let looks = [
            file.outline.map(Look::Outline),
            file.paint.map(Look::Paint),
            file.place.map(Look::Place),
            file.scale.map(Look::Scale),
            file.texture.map(Look::Texture),
        ];
        let mut looks = looks.into_iter().flatten();
        match (looks.next(), looks.next()) {
            (Some(look), None) => Ok(Self { name: file.name, look }),
            (None, _) => {
                Err(format!("value `{}`: expected one of outline, paint, place, scale, texture, got none", file.name))
            }
            (Some(one), Some(other)) => {
                Err(format!("value `{}`: expected one look, got {} and {}", file.name, one.kind(), other.kind()))
            }
        }
    }
}

impl From<WorldValue> for ValueFile {
    fn from(WorldValue { name, look }: WorldValue) -> Self {
        let mut file = Self { name, outline: None, paint: None, place: None, scale: None, texture: None };
        match look {
            Look::Outline(outline) => file.outline = Some(outline),
            Look::Paint(paint) => file.paint = Some(paint),
            Look::Place(place) => file.place = Some(place),
            Look::Scale(scale) => file.scale = Some(scale),
            Look::Texture(texture) => file.texture = Some(texture),
        }
        file
    }
}

impl WorldFactor {
    /// A factor whose values differ in the objects of a scene.
    #[must_use]
    pub fn new(name: &str, said: Said, values: impl IntoIterator<Item = (impl Into<String>, Look)>) -> Self {
        let values = values.into_iter().map(|(name, look)| WorldValue { name: name.into(), look }).collect();
        Self { name: name.to_owned(), said, repeats: false, values }
    }
}

impl World {
    /// The same world, in which any value that is no place may come twice in a scene.
    pub fn repeating(&self) -> Self {
        let places = self.places();
        let mut world = self.clone();
        for (f, factor) in world.factors.iter_mut().enumerate() {
            factor.repeats = Some(f) != places;
        }
        world
    }

    /// The toy world of arXiv 2508.16652: 5 shapes, 6 colours, 5 positions, one size, no jitter.
    #[must_use]
    pub fn study() -> Self {
        let shapes = Outline::ALL.map(|outline| (outline.name(), Look::Outline(outline)));
        let colors = [
            ("red", [255, 0, 0]),
            ("green", [0, 128, 0]),
            ("blue", [0, 0, 255]),
            ("yellow", [255, 255, 0]),
            ("pink", [255, 192, 203]),
            ("black", [0, 0, 0]),
        ];
        let places =
            [("M", [0.5, 0.5]), ("TL", [0.25, 0.25]), ("TR", [0.75, 0.25]), ("BL", [0.25, 0.75]), ("BR", [0.75, 0.75])];
        Self {
            size: [0.2, 0.2],
            jitter: 0.0,
            equal_areas: false,
            background: Background::Plain,
            free: None,
            factors: vec![
                WorldFactor::new("shape", Said::Noun, shapes),
                WorldFactor::new("color", Said::Adjective, colors.map(|(name, paint)| (name, Look::Paint(paint)))),
                WorldFactor::new("position", Said::No, places.map(|(name, place)| (name, Look::Place(place)))),
            ],
        }
    }

    /// The study's world with objects a little different in size and place from image to image.
    #[must_use]
    pub fn toy() -> Self {
        Self { size: [0.18, 0.22], jitter: 0.015, ..Self::study() }
    }

    /// The same shapes and colours where raw pixels do not do: up to five objects anywhere, of wide sizes, of one area whatever the shape.
    #[must_use]
    pub fn hard() -> Self {
        let study = Self::study();
        Self {
            size: [0.14, 0.24],
            equal_areas: true,
            free: Some(Free { objects: 5, gap: 0.02 }),
            factors: study.factors.iter().filter(|factor| factor.said != Said::No).cloned().collect(),
            ..study
        }
    }

    /// The factors of its objects as labels have them, in this order.
    #[must_use]
    pub fn factors(&self) -> Vec<Factor> {
        let values = |factor: &WorldFactor| factor.values.iter().map(|value| value.name.clone()).collect();
        self.factors.iter().map(|factor| Factor { name: factor.name.clone(), values: values(factor) }).collect()
    }

    /// The index of the factor called `name`.
    #[must_use]
    pub fn factor(&self, name: &str) -> Option<usize> {
        self.factors.iter().position(|factor| factor.name == name)
    }

    /// The index of value `value` of factor `factor`.
    #[must_use]
    pub fn value(&self, factor: usize, value: &str) -> Option<u32> {
        self.factors.get(factor)?.values.iter().position(|known| known.name == value).map(|at| at as u32)
    }

    /// The factors that captions say, in the order of the world.
    #[must_use]
    pub fn said(&self) -> Vec<usize> {
        (0..self.factors.len()).filter(|f| self.factors[*f].said != Said::No).collect()
    }

    /// The factor whose values swap twins exchange: colours, if captions say them as adjectives; else the first adjective, else the noun.
    #[must_use]
    pub fn swapped_factor(&self) -> Option<usize> {
        let by = |said: Said| self.factors.iter().position(|factor| factor.said == said);
        let paints =
            |factor: &WorldFactor| matches!(factor.values.first(), Some(WorldValue { look: Look::Paint(_), .. }));
        let colours = self.factors.iter().position(|factor| factor.said == Said::Adjective && paints(factor));
        colours.or_else(|| by(Said::Adjective)).or_else(|| by(Said::Noun))
    }

    /// The factor of places.
    #[must_use]
    pub fn places(&self) -> Option<usize> {
        self.factors
            .iter()
            .position(|factor| matches!(factor.values.first(), Some(WorldValue { look: Look::Place(_), .. })))
    }

    /// The most objects that a scene has room for: the number of places, or what free ones are said to hold.
    #[must_use]
    pub fn room(&self) -> usize {
        match self.free {
            Some(free) => free.objects,
            None => self.places().map_or(0, |f| self.factors[f].values.len()),
        }
    }

    /// Where the objects with value `place` of the places' factor are, before jitter; the middle where there is no such place.
    #[must_use]
    pub fn place(&self, place: u32) -> [f64; 2] {
        let values = self.places().map(|f| &self.factors[f].values);
        match values.and_then(|values| values.get(place as usize)) {
            Some(WorldValue { look: Look::Place(place), .. }) => *place,
            _ => [0.5, 0.5],
        }
    }

    /// What `values` of the factors `factors` are called: adjectives before the noun, `red circle`.
    #[must_use]
    pub fn combination_name(&self, factors: &[usize], values: &[u32]) -> String {
        let named = factors.iter().zip(values).map(|(f, v)| (&self.factors[*f], *v as usize));
        let (mut words, mut nouns) = (Vec::new(), Vec::new());
        for (factor, value) in named {
            let list = if factor.said == Said::Noun { &mut nouns } else { &mut words };
            list.extend(factor.values.get(value).map(|value| value.name.as_str()));
        }
        words.extend(nouns);
        words.join(" ")
    }

    /// What objects with these values are multiplied by in size.
    #[must_use]
    pub fn scale(&self, values: &[u32]) -> f64 {
        self.looks(values).map(|look| self.scale_of(look)).product()
    }

    /// The largest size of any object's box.
    #[must_use]
    pub fn largest(&self) -> f64 {
        let largest = |factor: &WorldFactor| {
            let scales = factor.values.iter().map(|value| self.scale_of(value.look));
            scales.fold(0.0, f64::max)
        };
        self.size[1] * self.factors.iter().map(largest).product::<f64>()
    }

    /// What a look multiplies an object's size by.
    pub(super) fn scale_of(&self, look: Look) -> f64 {
        match look {
            Look::Scale(scale) => scale,
            Look::Outline(outline) if self.equal_areas => (Outline::Circle.area() / outline.area()).sqrt(),
            _ => 1.0,
        }
    }

    /// `object` as it is drawn: what no factor says is a solid black circle.
    #[must_use]
    pub fn figure(&self, object: &Object) -> Figure {
        let Object { x, y, size, .. } = *object;
        let mut figure = Figure { outline: Outline::Circle, paint: [0; 3], texture: Texture::Solid, x, y, size };
        for look in self.looks(&object.values) {
            match look {
                Look::Outline(outline) => figure.outline = outline,
                Look::Paint(paint) => figure.paint = paint,
                Look::Texture(texture) => figure.texture = texture,
                // They are in the object's own centre and size.
                Look::Place(_) | Look::Scale(_) => {}
            }
        }
        figure
    }

    fn looks<'a>(&'a self, values: &'a [u32]) -> impl Iterator<Item = Look> + 'a {
        self.factors.iter().zip(values).filter_map(|(factor, value)| Some(factor.values.get(*value as usize)?.look))
    }
}

/// What free places are like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Free {
    /// The most objects of a scene.
    pub objects: usize,
    /// The least distance of two objects' boxes, along one axis, as a share of the frame.
    #[serde(default)]
    pub gap: f64,
}

impl Free {
    /// How many boxes of size `largest` fit into the frame, side by side in rows.
    ///
    /// No arrangement holds more: every such box covers one of as many points, `largest` plus gap apart.
    pub(super) fn most(&self, largest: f64) -> usize {
        let side = ((1.0 + self.gap) / (largest + self.gap) + 1e-6).floor();
        (side * side) as usize
    }
}
