//! The row of a binding: which value of one attribute belongs to which of another.
//!
//! What the match does is asked of any twins, what readers find of those that hold one value ([`Anchor`]). Readers begin with few
//! twins and get more until they tell: a network that finds nothing with few pictures may find a product of two codes with many.

use super::anchor::Anchor;
use super::cells::{Linear, lost, swapped};
use super::link::{Link, Links};
use super::margins::{FIRST_TWINS, Holds, MORE};
use super::shown::Shown;
use super::{Chart, FOLDS, accuracy, layers, row};
use crate::exam::interaction::Interaction;
use crate::exam::scores::{cosine, decided};
use crate::exam::sentences::{list, word};
use crate::measure::proportion::Proportion;
use crate::readers::alignment::{Alignment, Teaching, Twins, align};
use crate::readers::{Split, Task, scene_splits};
use crate::report::verdict::{ContentKind, LayerReading, VerdictRow};
use crate::scene::{Combinations, Scene};
use crate::{Error, Result};

/// Twins without which no reader is asked.
const FEWEST: usize = 60;

/// What the match makes of exchanged captions.
struct Matched {
    /// On combinations that it knows, and on others.
    known: Proportion,
    new: Proportion,
    map: Alignment,
}

/// What readers found.
struct Found {
    contained: Link,
    image: Link,
    text: Link,
    layers: Vec<LayerReading>,
}

/// The same before controls are looked at.
struct Readings {
    contained: Link,
    image: Linear,
    text: Linear,
}

/// Twins that hold the anchor's value, and what is asked of them.
struct Asked {
    shown: Shown,
    task: Task,
    splits: Vec<Split>,
}

impl Chart<'_> {
    /// The row of factors `f` and `g`; `failed` are those of them that fail by themselves.
    pub(super) fn binding(&self, [f, g]: [usize; 2], failed: &[String]) -> Result<VerdictRow> {
        let world = self.sitting.world;
        let content = format!("{} x {}", world.factors[f].name, world.factors[g].name);
        let unasked = |why: &str| Ok(row(content.clone(), ContentKind::Binding, Links::not_asked(why), Vec::new()));
        if !failed.is_empty() {
            let fails = if failed.len() == 1 { "fails by itself" } else { "fail by themselves" };
            let failed: Vec<String> = failed.iter().map(|name| word(name).to_string()).collect();
            return unasked(&format!("{} {fails}", list(&failed)));
        }
        let matched = match self.exchanged(g) {
            Err(Error::Mismatch { place, expected, got }) => {
                return unasked(&format!("no twins can be made: {place}: expected {expected}, got {got}"));
            }
            matched => matched?,
        };
        let link = swapped(&matched.known, &matched.map);
        self.sitting.go_on()?;
        let found = self.readers([f, g], &link)?;
        let links = Links {
            image_contained: found.contained,
            image_accessible: found.image,
            text_accessible: found.text,
            new_combinations: self.carried(&matched),
            matched: link,
        };
        Ok(row(content, ContentKind::Binding, links, found.layers))
    }

    /// Shows any twins, and asks match and map.
    fn exchanged(&self, g: usize) -> Result<Matched> {
        let sitting = self.sitting;
        let all = Combinations::all(sitting.world);
        let twins = sitting.any_twins(g, self.shows.twins)?;
        let shown = Shown::of(sitting, twins.into_iter().flat_map(|twin| [twin.scene, twin.twin]).collect(), 2)?;
        let knows = |i: usize| shown.scenes[i].objects.iter().all(|o| self.knows.knows(&o.combination(all.factors())));
        let kept: Vec<bool> = (0..shown.scenes.len()).map(|i| knows(i) && knows(i ^ 1)).collect();
        let score = |i: usize| {
            let cosine = |caption: usize| cosine(shown.pictures.row(i), shown.texts.row(caption));
            decided(cosine(i) - cosine(i ^ 1))
        };
        let of = |known: bool| {
            let rows: Vec<usize> = (0..kept.len()).filter(|i| kept[*i] == known).collect();
            let scores: Vec<f64> = rows.iter().map(|i| score(*i)).collect();
            let clusters: Vec<u64> = rows.iter().map(|i| *i as u64 / 2).collect();
            accuracy(&scores, &clusters, sitting)
        };
        let (known, new) = (of(true)?, of(false)?);
        let label = |i: usize| kept[i].then_some(i % 2);
        let rows = shown.scenes.len();
        let task = Task::new(2, (0..rows).map(label).collect(), (0..rows as u64).map(|i| i / 2).collect())?;
        let pairs: Vec<Split> = scene_splits(&task, FOLDS, sitting.seed)?.iter().map(of_pairs).collect();
        let twins = Twins { pictures: &shown.pictures, captions: &shown.texts };
        let teaching = Teaching { nulls: 0, ..Teaching::standard(sitting.confidence) };
        let map = align(&twins, &pairs, &teaching, sitting.seed)?;
        Ok(Matched { known, new, map })
    }

    /// What readers find in twins that hold one value; more of these where they don't tell and the match doesn't either.
    fn readers(&self, factors: [usize; 2], matched: &Link) -> Result<Found> {
        let sitting = self.sitting;
        let anchor = Anchor::of(sitting, factors, self.recognition);
        let known = Combinations::filter(sitting.world, |values| self.knows.knows(&values.to_vec()));
        let draw = |count: usize| match anchor.twins(sitting, factors[1], &known, count) {
            Err(Error::Mismatch { .. }) => Ok(Vec::new()),
            scenes => scenes,
        };
        let mut count = FIRST_TWINS;
        let scenes = draw(count)?;
        if scenes.len() < 2 * FEWEST {
            let link = || Link::not_asked("too few twins can be made of the combinations that it knows");
            return Ok(Found { contained: link(), image: link(), text: link(), layers: Vec::new() });
        }
        let all_drawn = |scenes: &[Scene], count: usize| scenes.len() < 2 * count;
        let mut last = all_drawn(&scenes, count);
        let asked = self.ask(&anchor, Shown::by_layer(sitting, scenes, 2)?)?;
        let reading = self.reading(ContentKind::Binding, &asked.task, &asked.splits);
        let beside = asked.shown.beside(sitting)?;
        let contained = reading.contained(&asked.shown.pictures)?;
        let (image, of_image) = reading.accessible(&asked.shown.pictures, &beside.pictures)?;
        let (text, of_text) = reading.accessible(&asked.shown.texts, &beside.texts)?;
        let layers = layers(&reading, &asked.shown.layers)?;
        let mut found = Readings { contained, image, text };
        while !(last || matched.is_yes() || found.tell()) && count < self.shows.most {
            sitting.go_on()?;
            count = (MORE * count).min(self.shows.most);
            let scenes = draw(count)?;
            last = all_drawn(&scenes, count);
            let asked = self.ask(&anchor, Shown::of(sitting, scenes, 2)?)?;
            let reading = self.reading(ContentKind::Binding, &asked.task, &asked.splits);
            found.contained = reading.contained(&asked.shown.pictures)?;
            found.image = reading.found(&asked.shown.pictures)?;
            found.text = reading.found(&asked.shown.texts)?;
        }
        let (image, text) = (found.image.credited(of_image), found.text.credited(of_text));
        Ok(Found { contained: found.contained, image, text, layers })
    }

    fn ask(&self, anchor: &Anchor, shown: Shown) -> Result<Asked> {
        let task = anchor.task(self.sitting, &shown.scenes)?;
        let splits = scene_splits(&task, FOLDS, self.sitting.seed)?;
        Ok(Asked { shown, task, splits })
    }

    /// Whether the match does as well on new combinations.
    fn carried(&self, matched: &Matched) -> Link {
        if self.knows.told {
            let new = &matched.new;
            return match new.n {
                0 => Link::not_asked("training showed all combinations"),
                n => lost(&matched.known.minus(new), n),
            };
        }
        let most = |a: &&Interaction, b: &&Interaction| a.lo.total_cmp(&b.lo);
        self.evenness(self.knows.uneven.iter().flatten().max_by(most).copied())
    }
}

impl Readings {
    /// Whether more twins would change nothing: that a network doesn't find it is said only of the most.
    fn tell(&self) -> bool {
        let there = self.image.link.is(Holds::Yes) || self.contained.is(Holds::Yes);
        there && !self.image.link.is(Holds::Near) && !self.text.link.is(Holds::Near)
    }
}

/// Of rows the pairs.
fn of_pairs(split: &Split) -> Split {
    let pairs = |rows: &[usize]| rows.iter().filter(|row| *row % 2 == 0).map(|row| row / 2).collect();
    Split { train: pairs(&split.train), test: pairs(&split.test) }
}
