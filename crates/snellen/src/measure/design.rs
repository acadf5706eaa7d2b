//! Which concepts each image holds, and which images may be compared: those with equally many objects.
//!
//! An image with more objects holds more of every concept and excites more of every unit. Comparing only within a stratum,
//! images of one object count, keeps that from looking like an encoding.

use crate::scene::Concept;
use crate::scene::labels::LabelTable;
use crate::{Error, Result, random};
use rand::Rng;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;

/// The truth that units are held against: concepts `[concept, image]`, and the stratum of each image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Design {
    concepts: Vec<Concept>,
    present: Vec<Vec<bool>>,
    /// Objects that have it.
    numbers: Vec<Vec<u8>>,
    strata: Vec<usize>,
}

impl Design {
    /// Every concept of `labels`, in its order; the stratum of an image is its number of objects.
    ///
    /// Concepts that every image holds, or none, stay listed: the measures report them as missing.
    ///
    /// # Errors
    /// When the table has no concept.
    pub fn from_labels(labels: &LabelTable) -> Result<Self> {
        let concepts = labels.concepts();
        let numbers: Vec<Vec<u8>> = concepts.iter().map(|concept| labels.numbers(concept)).collect::<Result<_>>()?;
        let present = numbers.iter().map(|row| row.iter().map(|number| *number > 0).collect()).collect();
        Ok(Self { numbers, ..Self::new(concepts, present, labels.object_counts())? })
    }

    /// `present[c][i]`: whether image i holds concept c, in one object; `strata[i]`: any number that says with which images it is
    /// compared.
    ///
    /// # Errors
    /// When there is no concept, or the lengths disagree.
    pub fn new(concepts: Vec<Concept>, present: Vec<Vec<bool>>, strata: Vec<usize>) -> Result<Self> {
        if concepts.is_empty() {
            return Err(Error::mismatch("design", "at least one concept", "none"));
        }
        if present.len() != concepts.len() {
            return Err(Error::mismatch("design: presence", format!("{} concepts", concepts.len()), present.len()));
        }
        for (concept, row) in concepts.iter().zip(&present) {
            if row.len() != strata.len() {
                let place = format!("design: concept `{concept}`");
                return Err(Error::mismatch(place, format!("{} images", strata.len()), row.len()));
            }
        }
        let numbers = present.iter().map(|row| row.iter().map(|held| u8::from(*held)).collect()).collect();
        Ok(Self { concepts, present, numbers, strata })
    }

    /// The concepts; elsewhere they are spoken of by their index here.
    pub fn concepts(&self) -> &[Concept] {
        &self.concepts
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.strata.len()
    }

    /// Per image, whether it holds the concept of index `concept`.
    ///
    /// # Panics
    /// When there is no such concept.
    pub fn present(&self, concept: usize) -> &[bool] {
        &self.present[concept]
    }

    /// Per image, how many of its objects have the concept of index `concept`, 255 for more.
    ///
    /// # Panics
    /// When there is no such concept.
    pub fn numbers(&self, concept: usize) -> &[u8] {
        &self.numbers[concept]
    }

    /// Per image, its stratum.
    pub fn strata(&self) -> &[usize] {
        &self.strata
    }

    /// The design of only `images`, in that order.
    ///
    /// # Errors
    /// When an index has no image.
    pub fn subset(&self, images: &[usize]) -> Result<Self> {
        if let Some(wrong) = images.iter().find(|&&image| image >= self.images()) {
            return Err(Error::mismatch("design: subset", format!("an image below {}", self.images()), wrong));
        }
        Ok(Self {
            concepts: self.concepts.clone(),
            present: picked(&self.present, images),
            numbers: picked(&self.numbers, images),
            strata: images.iter().map(|&image| self.strata[image]).collect(),
        })
    }

    /// Two halves of the images, each sorted: one to choose units on, one to report them on.
    ///
    /// Every stratum is dealt out in an order drawn from `seed`; the halves differ by at most one image, in each stratum and
    /// in all.
    pub fn halves(&self, seed: u64) -> [Vec<usize>; 2] {
        let mut halves = self.dealt(2, random::stream(seed, "halves of the images", 0)).into_iter();
        [halves.next(), halves.next()].map(Option::unwrap_or_default)
    }

    /// As [`halves`](Self::halves), into `parts` parts.
    pub(super) fn parts(&self, parts: usize, seed: u64) -> Vec<Vec<usize>> {
        self.dealt(parts, random::stream(seed, "parts of the images", 0))
    }

    fn dealt(&self, parts: usize, mut rng: impl Rng) -> Vec<Vec<usize>> {
        let mut dealt = vec![Vec::new(); parts];
        let mut next = 0;
        for mut images in by_stratum(&self.strata, 0..self.images()) {
            images.shuffle(&mut rng);
            for image in images {
                dealt[next % parts].push(image);
                next += 1;
            }
        }
        dealt.iter_mut().for_each(|part| part.sort_unstable());
        dealt
    }

    /// The null of this design: the images of each stratum swap their labels, all concepts together, in an order drawn from
    /// `seed`. What concepts say about one another stays; what they say about activations goes.
    pub fn permuted(&self, seed: u64) -> Self {
        let mut rng = random::stream(seed, "labels permuted within strata", 0);
        let mut source = vec![0; self.images()];
        for images in by_stratum(&self.strata, 0..self.images()) {
            let mut shuffled = images.clone();
            shuffled.shuffle(&mut rng);
            images.iter().zip(shuffled).for_each(|(&to, from)| source[to] = from);
        }
        let (present, numbers) = (picked(&self.present, &source), picked(&self.numbers, &source));
        Self { present, numbers, ..self.clone() }
    }
}

/// Of every row, what stands at `images`.
fn picked<T: Copy>(rows: &[Vec<T>], images: &[usize]) -> Vec<Vec<T>> {
    rows.iter().map(|row| images.iter().map(|&image| row[image]).collect()).collect()
}

/// `images` by their stratum, strata in increasing order, images in the order given.
pub(crate) fn by_stratum(strata: &[usize], images: impl IntoIterator<Item = usize>) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    images.into_iter().for_each(|image| groups.entry(strata[image]).or_default().push(image));
    groups.into_values().collect()
}
