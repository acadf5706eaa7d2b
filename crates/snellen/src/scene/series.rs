//! Generated scenes one by one, so that however many there are, they are never in memory at once.

use super::caption::{TEMPLATES, Wording, caption};
use super::generate::{check_toy, factorial_scene, most_objects, places, swap_twin, toy_scene};
use super::labels::LabelRow;
use super::labels_csv::LabelWriter;
use super::relation::{Relation, check_relation, related, relation_twin};
use super::swappable::{Rule, Swappable, swappable};
use super::{Canvas, Combinations, Scene, World};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::Write;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// How far the centres of two objects in a relation are apart along its axis at least, as a share of the frame.
pub const MARGIN: f64 = 0.2;

/// The most objects in a toy scene of a world with fixed places.
const TOY_OBJECTS: usize = 5;

/// Objects in a toy scene of `world`.
fn toy_objects(world: &World) -> RangeInclusive<usize> {
    1..=most_objects(world).clamp(1, world.free.map_or(TOY_OBJECTS, |free| free.objects.max(1)))
}

/// Which generator makes the scenes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SceneKind {
    /// `toy`: [`generate::toy`](super::generate::toy), one to five objects, or as many as free places hold.
    Toy,
    /// `factorial`: [`generate::factorial`](super::generate::factorial).
    Factorial,
    /// `swap`: [`generate::swap_twins`](super::generate::swap_twins), each scene followed by its twin.
    Swap,
    /// `left_of`: [`relation_twins`](super::relation::relation_twins) of two objects side by side, their centres [`MARGIN`] or more apart.
    LeftOf,
    /// `above`: the same of two objects one above the other.
    Above,
}

impl SceneKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Toy, Self::Factorial, Self::Swap, Self::LeftOf, Self::Above];

    /// What its twins mirror and its captions say.
    fn relation(self) -> Option<Relation> {
        match self {
            Self::LeftOf => Some(Relation::LeftOf),
            Self::Above => Some(Relation::Above),
            Self::Toy | Self::Factorial | Self::Swap => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Toy => "toy",
            Self::Factorial => "factorial",
            Self::Swap => "swap",
            Self::LeftOf => "left_of",
            Self::Above => "above",
        }
    }
}

impl fmt::Display for SceneKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SceneKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| Error::mismatch("scenes", format!("one of {}", known()), format!("`{name}`")))
    }
}

/// The scenes of one generator, made when they are asked for; scene `i` is the same however many there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    kind: SceneKind,
    world: World,
    canvas: Canvas,
    count: usize,
    seed: u64,
    combinations: Combinations,
    /// What twins exchange, where they are asked for.
    twins: Option<Swappable>,
}

impl Series {
    /// `count` toy scenes, or twins (two scenes each), or repeats of the factorial grid, with every combination of `world`,
    /// on `canvas`.
    ///
    /// # Errors
    /// Refuses what the generators refuse, a canvas that cannot be drawn on, and a count of 0 or of more scenes than
    /// [`u32::MAX`].
    pub fn new(kind: SceneKind, world: World, canvas: Canvas, count: usize, seed: u64) -> Result<Self> {
        canvas.check()?;
        world.check()?;
        let combinations = Combinations::all(&world);
        let swapped = world.swapped_factor().unwrap_or_default();
        let twins = match kind {
            SceneKind::Toy => check_toy(&world, &toy_objects(&world)).map(|()| None)?,
            SceneKind::Factorial => None,
            SceneKind::Swap => Some(swappable(&world, swapped, Rule::Design, &combinations, &combinations)?),
            SceneKind::LeftOf | SceneKind::Above => check_relation(&world, MARGIN).map(|()| None)?,
        };
        let each = match kind {
            SceneKind::Toy => 1,
            SceneKind::Factorial => combinations.as_slice().len() * places(&world),
            SceneKind::Swap => twins.as_ref().map_or(0, |twins| if twins.is_empty() { 0 } else { 2 }),
            SceneKind::LeftOf | SceneKind::Above => 2,
        };
        if each == 0 {
            let expected = "a world in which two objects can exchange a value: two factors of two values, two places";
            return Err(Error::mismatch("swap twins", expected, "one in which no twins can be made"));
        }
        let number = count.checked_mul(each).filter(|number| (1..=u32::MAX as usize).contains(number));
        let expected = format!("1 to {} scenes", u32::MAX);
        let number = number.ok_or_else(|| Error::mismatch("scenes", expected, format!("{count} times {each}")))?;
        Ok(Self { kind, world, canvas, count: number, seed, combinations, twins })
    }

    /// Which generator it is.
    pub fn kind(&self) -> SceneKind {
        self.kind
    }

    /// What the scenes are made of.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What they are drawn on.
    pub fn canvas(&self) -> &Canvas {
        &self.canvas
    }

    /// What they are drawn by.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Number of scenes.
    #[allow(clippy::len_without_is_empty, reason = "a series is never empty")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Scene `i`.
    ///
    /// # Errors
    /// When the world has too few combinations for it.
    pub fn scene(&self, i: usize) -> Result<Scene> {
        if let Some(twins) = &self.twins {
            let twins = swap_twin(&self.world, twins, i / 2, self.seed);
            return Ok(if i.is_multiple_of(2) { twins.scene } else { twins.twin });
        }
        if let Some(relation) = self.kind.relation() {
            let twins = relation_twin(&self.world, relation, MARGIN, &self.combinations, i / 2, self.seed)?;
            return Ok(if i.is_multiple_of(2) { twins.scene } else { twins.twin });
        }
        match self.kind {
            SceneKind::Factorial => Ok(factorial_scene(&self.world, &self.combinations, i, self.seed)),
            _ => toy_scene(&self.world, &self.combinations, &toy_objects(&self.world), i, self.seed),
        }
    }

    /// What is said of a scene of this series: its relation, where that is what it is about, or its objects in their order.
    ///
    /// # Panics
    /// If the scene is none of this series.
    pub fn caption(&self, scene: &Scene) -> String {
        match self.kind.relation() {
            Some(relation) => related(scene, &self.world, relation, false, TEMPLATES[0]),
            None => caption(scene, &self.world, &Wording::plain(scene.objects.len())),
        }
    }

    /// The name of picture `i`, as [`write_folder`](super::folder::write_folder) calls it.
    pub fn filename(i: usize) -> String {
        format!("images/{i:06}.png")
    }

    /// Writes the `labels.csv` that [`write_folder`](super::folder::write_folder) writes of the same scenes.
    ///
    /// # Errors
    /// As [`Series::scene`], and when writing fails.
    pub fn write_labels(&self, to: impl Write) -> Result<()> {
        let most = match self.kind {
            SceneKind::Toy => self.count.min(*toy_objects(&self.world).end()),
            SceneKind::Factorial => 1,
            SceneKind::Swap | SceneKind::LeftOf | SceneKind::Above => 2,
        };
        let factors = self.world.factors();
        let mut writer = LabelWriter::begin(&factors, most, to)?;
        for i in 0..self.count {
            writer.row(&LabelRow::of_scene(&self.world, &self.scene(i)?, &Self::filename(i))?)?;
        }
        writer.finish()
    }
}
