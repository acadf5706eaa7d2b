//! What every question of the exam is asked with: who answers, on which scenes, in which words.

use super::controls::untrained;
use super::examinee::Examinee;
use super::pictures::Pictures;
use super::remembered::{Control, Remembered, Rows};
use crate::measure::{Confidence, Matrix};
use crate::record::Progress;
use crate::scene::generate::{SwapTwin, independent, swap_twins};
use crate::scene::{Canvas, Combinations, Scene, World, render};
use crate::{Error, Result};
use blake3::Hash;
use image::RgbImage;
use rayon::prelude::*;
use std::collections::HashSet;

/// Images or texts that are asked for at a time. Fixed: answers do not depend on it, memory does.
const BATCH: usize = 64;

/// How far the length of an embedding may be from 1.
const SLACK: f64 = 1e-3;

/// One examinee, and all that its questions have in common.
pub struct Sitting<'a> {
    /// Who answers.
    pub examinee: &'a dyn Examinee,
    /// What scenes are made of.
    pub world: &'a World,
    /// Captions around what a scene holds, `{}` standing for it.
    pub templates: &'a [&'a str],
    /// Pictures that were given, with labels.
    pub pictures: Option<&'a Pictures>,
    /// The combinations that its training showed, where that is known.
    pub seen: Option<&'a Combinations>,
    /// How often each combination is shown at each position; five times as often where objects may be anywhere.
    pub repeats: usize,
    /// Swap twins.
    pub twins: usize,
    /// Seed of scenes, wordings and resampling.
    pub seed: u64,
    /// Of every interval.
    pub confidence: Confidence,
    /// What was shown before, of this examinee.
    pub remembered: &'a Remembered,
    /// Told of nothing, asked whether to stop.
    pub progress: &'a dyn Progress,
}

impl Sitting<'_> {
    /// What its scenes are drawn on.
    pub fn canvas(&self) -> Canvas {
        let side = self.examinee.side();
        Canvas::plain(side, side)
    }

    /// `count` single objects whose values are independent: to all questions the same, those of recognition among them.
    ///
    /// # Errors
    /// When its world is refused.
    pub(super) fn singles(&self, count: usize) -> Result<Vec<Scene>> {
        independent(&self.world.repeating(), 1, count, self.remembered.seed)
    }

    /// `count` swap twins of `factor`, of any combinations: to all questions the same.
    ///
    /// # Errors
    /// As [`swap_twins`].
    pub(super) fn any_twins(&self, factor: usize, count: usize) -> Result<Vec<SwapTwin>> {
        let all = Combinations::all(self.world);
        swap_twins(self.world, factor, &all, &all, count, self.remembered.seed)
    }

    /// One untrained model of each kind, where they can be made.
    ///
    /// # Errors
    /// When the examinee's weights can't be read again.
    pub(super) fn controls(&self) -> Result<&[Control]> {
        let known = &self.remembered.controls;
        match known.get() {
            Some(controls) => Ok(controls),
            None => untrained(self.examinee, self.remembered.seed).map(|made| known.get_or_init(|| made).as_slice()),
        }
    }

    /// The same for an untrained model.
    pub(super) fn of<'b>(&'b self, control: &'b Control) -> Sitting<'b> {
        Sitting { examinee: &control.model, remembered: &control.remembered, ..*self }
    }

    /// Embeddings `[scene, unit]` of the images of `scenes`, of which some are in memory at a time. What was shown before is not shown again.
    ///
    /// # Errors
    /// What the examinee cannot do, embeddings that are not of length 1, and [`Error::Interrupted`].
    pub fn images(&self, scenes: &[&Scene]) -> Result<Matrix> {
        let canvas = self.canvas();
        let picture = |scene: &&Scene| {
            let picture = render(scene, self.world, &canvas);
            (blake3::hash(picture.as_raw()), picture)
        };
        let embed = |pictures: &[RgbImage]| self.examinee.images(pictures);
        self.new_rows(("image", &self.remembered.images), scenes, picture, embed)
    }

    /// Embeddings `[text, unit]` of `texts`.
    ///
    /// # Errors
    /// As [`images`](Self::images).
    pub fn texts(&self, texts: &[String]) -> Result<Matrix> {
        let text = |text: &String| (blake3::hash(text.as_bytes()), text.clone());
        self.new_rows(("text", &self.remembered.texts), texts, text, |texts| self.examinee.texts(texts))
    }

    /// Embeddings of `of`, called `what`: those that are `known`, and of the others what `embed` makes of what `show` gives.
    fn new_rows<T: Sync, P: Send>(
        &self,
        (what, known): (&str, &Rows),
        of: &[T],
        show: impl Fn(&T) -> (Hash, P) + Sync,
        embed: impl Fn(&[P]) -> Result<Matrix>,
    ) -> Result<Matrix> {
        // Where all is known, nothing below asks.
        self.go_on()?;
        let (mut keys, mut met) = (Vec::with_capacity(of.len()), HashSet::new());
        let (mut places, mut waiting) = (Vec::new(), Vec::new());
        let ask = |places: &[usize], keys: &[Hash], waiting: &[P]| -> Result<()> {
            self.go_on()?;
            let embedded = embed(waiting)?;
            self.check(what, &embedded, places)?;
            known.put(places.iter().map(|i| keys[*i]), (0..places.len()).map(|k| embedded.row(k)));
            Ok(())
        };
        for batch in of.chunks(BATCH) {
            let shown: Vec<(Hash, P)> = batch.par_iter().map(&show).collect();
            for (key, shown) in shown {
                if !known.holds(&key) && met.insert(key) {
                    places.push(keys.len());
                    waiting.push(shown);
                }
                keys.push(key);
                if waiting.len() == BATCH {
                    ask(&places, &keys, &waiting)?;
                    places.clear();
                    waiting.clear();
                }
            }
        }
        if !waiting.is_empty() {
            ask(&places, &keys, &waiting)?;
        }
        let values = known.concat(&keys);
        Matrix::new(of.len(), values.len() / of.len().max(1), values)
    }

    /// Embeddings of `of`, called `what`, made by `embed` of some at a time, and checked.
    pub(super) fn rows<T>(&self, what: &str, of: &[T], embed: impl Fn(&[T]) -> Result<Matrix>) -> Result<Matrix> {
        let mut values = Vec::new();
        for (k, batch) in of.chunks(BATCH).enumerate() {
            self.go_on()?;
            let embedded = embed(batch)?;
            self.check(what, &embedded, &(k * BATCH..k * BATCH + batch.len()).collect::<Vec<_>>())?;
            values.extend_from_slice(embedded.values());
        }
        Matrix::new(of.len(), values.len() / of.len().max(1), values)
    }

    /// That nobody wants it to stop.
    pub(super) fn go_on(&self) -> Result<()> {
        if self.progress.is_cancelled() {
            return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
        }
        Ok(())
    }

    /// That `embedded` are embeddings of what stands at `places`.
    fn check(&self, what: &str, embedded: &Matrix, places: &[usize]) -> Result<()> {
        let width = *self.remembered.width.get_or_init(|| embedded.units());
        if (embedded.images(), embedded.units()) != (places.len(), width) {
            let expected = format!("embeddings [{}, {width}]", places.len());
            let got = format!("[{}, {}]", embedded.images(), embedded.units());
            return Err(Error::mismatch(format!("{what}s of the exam"), expected, got));
        }
        for (row, place) in places.iter().enumerate() {
            let length = embedded.row(row).iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            if length.is_nan() || (length - 1.0).abs() > SLACK {
                let place = format!("embedding of {what} {place} of the exam");
                return Err(Error::mismatch(place, "length 1", length));
            }
        }
        Ok(())
    }
}
