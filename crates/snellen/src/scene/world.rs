//! What a [`World`] has to be for its scenes to be drawn and told apart, and how scenes speak of it.

use super::{Color, Concept, Factor, Object, Position, Scene, World};
use crate::{Error, Result};
use std::collections::BTreeSet;

/// The longest name of a shape, colour, position or factor, in bytes.
pub const MAX_NAME: usize = 1024;

/// Lengths that differ by no more than this share of the frame count as equal.
const SLACK: f64 = 1e-6;

impl World {
    /// The study's world with objects a little different in size and place from picture to picture.
    pub fn toy() -> Self {
        Self { size: [0.18, 0.22], jitter: 0.015, ..Self::study() }
    }

    /// The factors of its objects: `shape`, `color`, `position`, in this order, values in the world's order.
    #[must_use]
    pub fn factors(&self) -> Vec<Factor> {
        let factor = |name: &str, values: Vec<String>| Factor { name: name.to_owned(), values };
        vec![
            factor("shape", self.shapes.iter().map(|shape| shape.name().to_owned()).collect()),
            factor("color", self.colors.iter().map(|color| color.name.clone()).collect()),
            factor("position", self.positions.iter().map(|position| position.name.clone()).collect()),
        ]
    }

    /// Whether every scene of this world can be drawn, with no object leaving the frame or touching another.
    ///
    /// # Errors
    /// Names the field that is empty, repeated, out of range, out of the frame or too close to another.
    pub fn check(&self) -> Result<()> {
        distinct("shapes", self.shapes.iter().map(|shape| shape.name()))?;
        distinct("colors", self.colors.iter().map(|color| color.name.as_str()))?;
        distinct("positions", self.positions.iter().map(|position| position.name.as_str()))?;
        check_paints(&self.colors)?;
        let [smallest, largest] = self.size;
        if !(smallest > 0.0 && smallest <= largest && largest <= 1.0) {
            let expected = "a smallest and a largest size with 0 < smallest <= largest <= 1";
            return Err(Error::mismatch("world: size", expected, format!("[{smallest}, {largest}]")));
        }
        if !(0.0..=0.5).contains(&self.jitter) {
            return Err(Error::mismatch("world: jitter", "a share of the frame from 0 to 0.5", self.jitter));
        }
        let reach = largest / 2.0 + self.jitter;
        self.positions.iter().try_for_each(|position| inside_frame(position, reach))?;
        self.check_distances(reach)
    }

    fn check_distances(&self, reach: f64) -> Result<()> {
        for (k, one) in self.positions.iter().enumerate() {
            for other in &self.positions[..k] {
                let apart = (one.x - other.x).abs().max((one.y - other.y).abs());
                if apart < 2.0 * reach - SLACK {
                    let expected = format!(
                        "positions {:.6} or more apart along an axis, so that objects of size {} and jitter {} never overlap",
                        2.0 * reach,
                        self.size[1],
                        self.jitter
                    );
                    let got = format!("`{}` {apart:.6} from `{}`", one.name, other.name);
                    return Err(Error::mismatch(format!("world: positions[{k}]"), expected, got));
                }
            }
        }
        Ok(())
    }
}

/// Whether `name` can stand in labels and captions: not empty, at most [`MAX_NAME`] bytes, no control characters, no blanks at
/// its ends.
pub(super) fn check_name(place: impl Fn() -> String, name: &str) -> Result<()> {
    if name.len() > MAX_NAME {
        return Err(Error::mismatch(place(), format!("at most {MAX_NAME} bytes"), format!("{} bytes", name.len())));
    }
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Error::mismatch(place(), "text without control characters", format!("{name:?}")));
    }
    if name.trim() != name {
        return Err(Error::mismatch(place(), "text without blanks at its ends", format!("{name:?}")));
    }
    Ok(())
}

fn distinct<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (k, name) in names.enumerate() {
        let place = || format!("world: {field}[{k}]");
        check_name(place, name)?;
        if !seen.insert(name) {
            return Err(Error::mismatch(place(), "a name of its own", format!("`{name}` again")));
        }
    }
    if seen.is_empty() {
        return Err(Error::mismatch(format!("world: {field}"), "at least one", "none"));
    }
    Ok(())
}

fn check_paints(colors: &[Color]) -> Result<()> {
    for (k, color) in colors.iter().enumerate() {
        let place = format!("world: colors[{k}].rgb");
        if color.rgb == [255; 3] {
            return Err(Error::mismatch(place, "a colour other than the white background", "[255, 255, 255]"));
        }
        if let Some(twin) = colors[..k].iter().find(|other| other.rgb == color.rgb) {
            let got = format!("{:?}, which is `{}` too", color.rgb, twin.name);
            return Err(Error::mismatch(place, "a colour of its own", got));
        }
    }
    Ok(())
}

fn inside_frame(position: &Position, reach: f64) -> Result<()> {
    for (axis, centre) in [("x", position.x), ("y", position.y)] {
        if !(centre - reach >= -SLACK && centre + reach <= 1.0 + SLACK) {
            return Err(Error::mismatch(
                format!("world: position `{}`, {axis}", position.name),
                format!("{reach:.6} to {:.6}, so that the largest object stays in the frame", 1.0 - reach),
                centre,
            ));
        }
    }
    Ok(())
}

impl Object {
    /// Its concepts in `world`, in the order of [`World::factors`].
    ///
    /// # Panics
    /// If it is not of this world ([`Scene::check`]).
    #[must_use]
    pub fn concepts(&self, world: &World) -> [Concept; 3] {
        let concept = |factor: &str, value: &str| Concept { factor: factor.to_owned(), value: value.to_owned() };
        [
            concept("shape", self.shape.name()),
            concept("color", &world.colors[self.color].name),
            concept("position", &world.positions[self.position].name),
        ]
    }
}

impl Scene {
    /// Whether every object is of `world` and has a finite place and a size in (0, 1].
    ///
    /// # Errors
    /// Names the object and the field.
    pub fn check(&self, world: &World) -> Result<()> {
        if self.objects.is_empty() {
            return Err(Error::mismatch("scene: objects", "at least one", "none"));
        }
        for (k, object) in self.objects.iter().enumerate() {
            let place = |field: &str| format!("scene: objects[{k}].{field}");
            let below = |field: &str, index: usize, count: usize| {
                let wrong = || Error::mismatch(place(field), format!("an index below {count}"), index);
                if index < count { Ok(()) } else { Err(wrong()) }
            };
            if !world.shapes.contains(&object.shape) {
                return Err(Error::mismatch(place("shape"), "a shape of the world", object.shape.name()));
            }
            below("color", object.color, world.colors.len())?;
            below("position", object.position, world.positions.len())?;
            for (field, value) in [("x", object.x), ("y", object.y), ("size", object.size)] {
                if !(0.0..=1.0).contains(&value) || (field == "size" && value == 0.0) {
                    return Err(Error::mismatch(place(field), "a share of the frame from 0 to 1", value));
                }
            }
        }
        Ok(())
    }

    /// The bag of concepts that it shows: object after object, in the order of [`World::factors`], repeats kept.
    ///
    /// # Panics
    /// If it is not of this world ([`Scene::check`]).
    #[must_use]
    pub fn concepts(&self, world: &World) -> Vec<Concept> {
        self.objects.iter().flat_map(|object| object.concepts(world)).collect()
    }

    /// The same scene with the colours of objects `a` and `b` exchanged: its attribute swap.
    ///
    /// # Panics
    /// If there is no such object.
    #[must_use]
    pub fn with_colors_swapped(&self, a: usize, b: usize) -> Self {
        let mut twin = self.clone();
        twin.objects[a].color = self.objects[b].color;
        twin.objects[b].color = self.objects[a].color;
        twin
    }
}
