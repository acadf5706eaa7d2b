//! What every question of the exam is asked with: who answers, on which scenes, in which words.

use super::examinee::Examinee;
use super::pictures::Pictures;
use crate::measure::{Confidence, Matrix};
use crate::record::Progress;
use crate::scene::{Canvas, Combinations, Scene, World, render};
use crate::{Error, Result};
use rayon::prelude::*;

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
    /// Told of nothing, asked whether to stop.
    pub progress: &'a dyn Progress,
}

impl Sitting<'_> {
    /// What its scenes are drawn on.
    pub fn canvas(&self) -> Canvas {
        let side = self.examinee.side();
        Canvas::plain(side, side)
    }

    /// Embeddings `[scene, unit]` of the images of `scenes`, of which some are in memory at a time.
    ///
    /// # Errors
    /// What the examinee cannot do, embeddings that are not of length 1, and [`Error::Interrupted`].
    pub fn images(&self, scenes: &[&Scene]) -> Result<Matrix> {
        let canvas = self.canvas();
        self.rows("image", scenes, |scenes| {
            let images: Vec<_> = scenes.par_iter().map(|scene| render(scene, self.world, &canvas)).collect();
            self.examinee.images(&images)
        })
    }

    /// Embeddings `[text, unit]` of `texts`.
    ///
    /// # Errors
    /// As [`images`](Self::images).
    pub fn texts(&self, texts: &[String]) -> Result<Matrix> {
        self.rows("text", texts, |texts| self.examinee.texts(texts))
    }

    /// Embeddings of `of`, called `what`, made by `embed` of some at a time, and checked.
    pub(super) fn rows<T>(&self, what: &str, of: &[T], embed: impl Fn(&[T]) -> Result<Matrix>) -> Result<Matrix> {
        let (mut width, mut values) = (0, Vec::new());
        for (k, batch) in of.chunks(BATCH).enumerate() {
            if self.progress.is_cancelled() {
                return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
            }
            let embedded = embed(batch)?;
            if k == 0 {
                width = embedded.units();
            }
            if (embedded.images(), embedded.units()) != (batch.len(), width) {
                let expected = format!("embeddings [{}, {width}]", batch.len());
                let got = format!("[{}, {}]", embedded.images(), embedded.units());
                return Err(Error::mismatch(format!("{what}s of the exam"), expected, got));
            }
            for i in 0..batch.len() {
                let length = embedded.row(i).iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
                if length.is_nan() || (length - 1.0).abs() > SLACK {
                    let place = format!("embedding of {what} {} of the exam", k * BATCH + i);
                    return Err(Error::mismatch(place, "length 1", length));
                }
            }
            values.extend_from_slice(embedded.values());
        }
        Matrix::new(of.len(), width, values)
    }
}
