//! Which objects each image shows: the table that every measure reads its truth from.

use super::name::{check_factor, check_name};
use super::{Concept, Factor, Scene, World};
use crate::{Error, Result};
use std::collections::BTreeSet;

/// The longest file name, in bytes.
pub const MAX_FILENAME: usize = 4096;

/// The labels of a set of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelTable {
    /// The factors. Read from a file: in the order of their first columns, their values sorted by bytes. Made from scenes: in
    /// the world's order.
    pub factors: Vec<Factor>,
    /// The images, in the order of the file.
    pub rows: Vec<LabelRow>,
}

/// One image of a [`LabelTable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRow {
    /// Path of the image relative to the table's folder, parts separated by `/`.
    pub filename: String,
    /// Per object, per factor: the index of its value, or `None` where the factor is not labelled. At least one is.
    pub objects: Vec<Vec<Option<u32>>>,
}

impl LabelRow {
    /// What `scene` shows, in the factors of `world`; its picture is called `filename`.
    ///
    /// # Errors
    /// When the scene is not of `world`.
    pub fn of_scene(world: &World, scene: &Scene, filename: &str) -> Result<Self> {
        scene.check(world)?;
        let objects = scene.objects.iter().map(|object| object.values.iter().copied().map(Some).collect());
        Ok(Self { filename: filename.to_owned(), objects: objects.collect() })
    }
}

impl LabelTable {
    /// The labels of `scenes`, whose pictures are called `filenames`; factors and values in the order of `world`.
    ///
    /// # Errors
    /// When a scene is not of `world`, numbers differ, or [`LabelTable::check`] refuses the result.
    pub fn from_scenes(world: &World, scenes: &[Scene], filenames: &[String]) -> Result<Self> {
        if scenes.len() != filenames.len() {
            return Err(Error::mismatch("labels: file names", format!("{} of them", scenes.len()), filenames.len()));
        }
        let rows = scenes.iter().zip(filenames).map(|(scene, filename)| LabelRow::of_scene(world, scene, filename));
        let table = Self { factors: world.factors(), rows: rows.collect::<Result<_>>()? };
        table.check()?;
        Ok(table)
    }

    /// Whether it can be written and read back: distinct, sound names, every index in range, no object without any value.
    ///
    /// # Errors
    /// Names the factor, row or object.
    pub fn check(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        for factor in &self.factors {
            let place = || format!("labels: factor `{}`", factor.name);
            check_factor(place, &factor.name)?;
            if !names.insert(factor.name.as_str()) {
                return Err(Error::mismatch(place(), "a name of its own", "a second one"));
            }
            let mut values = BTreeSet::new();
            for value in &factor.values {
                check_name(place, value)?;
                if !values.insert(value) {
                    return Err(Error::mismatch(place(), "distinct values", format!("`{value}` twice")));
                }
            }
        }
        let mut files = BTreeSet::new();
        for (i, row) in self.rows.iter().enumerate() {
            let place = || format!("labels: row {i}");
            check_filename(place, &row.filename)?;
            if row.filename.trim() != row.filename {
                return Err(Error::mismatch(
                    place(),
                    "a file name without blanks at its ends",
                    format!("{:?}", row.filename),
                ));
            }
            if !files.insert(row.filename.as_str()) {
                return Err(Error::mismatch(place(), "a file name of its own", format!("`{}` again", row.filename)));
            }
            row.objects.iter().enumerate().try_for_each(|(k, object)| self.check_object(i, k, object))?;
        }
        Ok(())
    }

    fn check_object(&self, i: usize, k: usize, object: &[Option<u32>]) -> Result<()> {
        let place = || format!("labels: row {i}, object {k}");
        if object.len() != self.factors.len() {
            return Err(Error::mismatch(
                place(),
                format!("{} values, one per factor", self.factors.len()),
                object.len(),
            ));
        }
        if object.iter().all(Option::is_none) {
            return Err(Error::mismatch(place(), "a value of some factor", "none"));
        }
        for (factor, value) in self.factors.iter().zip(object) {
            let count = factor.values.len();
            if let Some(value) = value.filter(|&value| value as usize >= count) {
                let expected = format!("an index below {count} for `{}`", factor.name);
                return Err(Error::mismatch(place(), expected, value));
            }
        }
        Ok(())
    }

    /// Every value of every factor, factor after factor, in the order of [`LabelTable::factors`].
    #[must_use]
    pub fn concepts(&self) -> Vec<Concept> {
        let of = |factor: &Factor| {
            let name = factor.name.clone();
            factor.values.clone().into_iter().map(move |value| Concept { factor: name.clone(), value })
        };
        self.factors.iter().flat_map(of).collect()
    }

    /// The factor of each of [`LabelTable::concepts`], by index.
    #[must_use]
    pub fn concept_factors(&self) -> Vec<usize> {
        self.factors.iter().enumerate().flat_map(|(f, factor)| vec![f; factor.values.len()]).collect()
    }

    /// Per image, whether some object has the value `concept`.
    ///
    /// # Errors
    /// When the table has no such factor or value.
    pub fn present(&self, concept: &Concept) -> Result<Vec<bool>> {
        Ok(self.numbers(concept)?.into_iter().map(|number| number > 0).collect())
    }

    /// Per image, how many objects have the value `concept`, 255 for more.
    ///
    /// # Errors
    /// When the table has no such factor or value.
    pub fn numbers(&self, concept: &Concept) -> Result<Vec<u8>> {
        let wrong = |expected: String| Error::mismatch(format!("labels: concept `{concept}`"), expected, "another");
        let Some(f) = self.factors.iter().position(|factor| factor.name == concept.factor) else {
            let names: Vec<_> = self.factors.iter().map(|factor| factor.name.as_str()).collect();
            return Err(wrong(format!("a factor of [{}]", names.join(", "))));
        };
        let values = &self.factors[f].values;
        let Some(value) = values.iter().position(|value| *value == concept.value) else {
            return Err(wrong(format!("a value of [{}]", values.join(", "))));
        };
        let value = Some(value as u32);
        let number = |row: &LabelRow| row.objects.iter().filter(|object| object[f] == value).count();
        Ok(self.rows.iter().map(|row| number(row).min(255) as u8).collect())
    }

    /// Objects per image.
    #[must_use]
    pub fn object_counts(&self) -> Vec<usize> {
        self.rows.iter().map(|row| row.objects.len()).collect()
    }

    /// The same labels with each factor's values sorted by bytes and unused values dropped: what reading them from a file
    /// gives.
    ///
    /// # Panics
    /// If [`LabelTable::check`] refuses the table.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        for (f, factor) in self.factors.iter_mut().enumerate() {
            let mut used = vec![false; factor.values.len()];
            let cells = || self.rows.iter().flat_map(|row| &row.objects).filter_map(|object| object[f]);
            cells().for_each(|value| used[value as usize] = true);
            let mut kept: Vec<usize> = (0..used.len()).filter(|&value| used[value]).collect();
            kept.sort_unstable_by_key(|&value| &factor.values[value]);
            let mut number = vec![None; used.len()];
            kept.iter().zip(0..).for_each(|(&value, sorted)| number[value] = Some(sorted));
            for object in self.rows.iter_mut().flat_map(|row| &mut row.objects) {
                object[f] = object[f].and_then(|value| number[value as usize]);
            }
            factor.values = kept.iter().map(|&value| factor.values[value].clone()).collect();
        }
        self
    }
}

/// Whether `name` is a relative path that stays in its folder, in its one spelling.
pub(crate) fn check_filename(place: impl Fn() -> String, name: &str) -> Result<()> {
    if name.len() > MAX_FILENAME {
        return Err(Error::mismatch(place(), format!("at most {MAX_FILENAME} bytes"), format!("{} bytes", name.len())));
    }
    let drive = name.as_bytes().get(1) == Some(&b':');
    let strange = name.chars().any(|c| c.is_control() || c == '\\');
    if drive || strange || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        let expected = "a path inside the folder: not empty, relative, separated by `/`, without `.` and `..`";
        return Err(Error::mismatch(place(), expected, format!("{name:?}")));
    }
    Ok(())
}
