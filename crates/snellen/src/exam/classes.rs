//! One caption for every combination, and which of them an image of a single object comes nearest to.

use super::question::{Answer, Decision};
use super::scores::{class_embeddings, cosine, outcome, winners};
use super::sitting::Sitting;
use crate::Result;
use crate::measure::Matrix;
use crate::report::SaidOf;
use crate::scene::caption::{Phrase, say};
use crate::scene::{Combination, Combinations, Scene, WorldFactor};

/// The combinations of a world, each with an embedding of its captions, the ensemble over the templates.
pub(super) struct Classes {
    pub(super) known: Combinations,
    /// `[combination, unit]`.
    pub(super) embeddings: Matrix,
    /// The caption of each in the first template.
    pub(super) said: Vec<String>,
}

/// Which classes came nearest to each of some images.
pub(super) struct Chosen<'a> {
    classes: &'a Classes,
    /// The combination that each image shows.
    pub(super) shown: Vec<Combination>,
    winners: Vec<Vec<usize>>,
}

impl Classes {
    pub(super) fn of(sitting: &Sitting<'_>) -> Result<Self> {
        let in_all = |phrase: &[Phrase<'_>]| sitting.templates.iter().map(|template| say(phrase, template)).collect();
        Self::worded(sitting, &in_all)
    }

    /// The same in these words instead of the templates.
    pub(super) fn worded(sitting: &Sitting<'_>, said: &dyn Fn(&[Phrase<'_>]) -> Vec<String>) -> Result<Self> {
        let known = Combinations::all(sitting.world);
        let captions = |values: &Combination| said(&[Phrase::saying(known.factors(), values, sitting.world)]);
        let captions: Vec<Vec<String>> = known.as_slice().iter().map(captions).collect();
        let embeddings = class_embeddings(sitting, &captions)?;
        let said = captions.into_iter().filter_map(|captions| captions.into_iter().next()).collect();
        Ok(Self { known, embeddings, said })
    }

    /// The class of `values`.
    pub(super) fn class(&self, values: &[u32]) -> Option<usize> {
        self.known.as_slice().binary_search_by(|own| own.as_slice().cmp(values)).ok()
    }

    /// For `images` `[scene, unit]` of `scenes` of one object.
    pub(super) fn chosen(&self, scenes: &[Scene], images: &Matrix) -> Chosen<'_> {
        let shown = scenes.iter().map(|scene| scene.objects[0].combination(self.known.factors())).collect();
        Chosen { classes: self, shown, winners: winners(images, &self.embeddings) }
    }
}

impl Chosen<'_> {
    /// Each of `images` with its own caption against the nearest other, which is asked `of`.
    pub(super) fn decisions(
        &self,
        images: &Matrix,
        of: &str,
        answers: &[Answer],
        seen: Option<&Combinations>,
    ) -> Vec<Decision> {
        let classes = self.classes;
        let mut decisions = Vec::with_capacity(self.shown.len());
        for (i, own) in self.shown.iter().enumerate() {
            let Some(right) = classes.class(own) else { continue };
            let near = |class: usize| cosine(images.row(i), classes.embeddings.row(class));
            let others = (0..classes.said.len()).filter(|class| *class != right);
            let Some(other) = others.reduce(|a, b| if near(b) > near(a) { b } else { a }) else { continue };
            decisions.push(Decision {
                of: of.to_owned(),
                scene: i,
                right: classes.said[right].clone(),
                other: classes.said[other].clone(),
                similarity: near(right),
                other_similarity: near(other),
                score: answers[i].score,
                seen: seen.map(|seen| seen.contains(own)),
            });
        }
        decisions
    }

    /// What was said of each value of `factor`, which stands at `at` in a combination.
    pub(super) fn said(&self, at: usize, factor: &WorldFactor) -> SaidOf {
        let (known, values) = (self.classes.known.as_slice(), factor.values.len());
        let mut counts = vec![vec![0.0; values]; values];
        for (own, won) in self.shown.iter().zip(&self.winners) {
            won.iter().for_each(|class| counts[own[at] as usize][known[*class][at] as usize] += 1.0 / won.len() as f64);
        }
        let shares = |row: Vec<f64>| {
            let total = row.iter().sum::<f64>().max(1.0);
            row.into_iter().map(|count| count / total).collect()
        };
        SaidOf {
            factor: factor.name.clone(),
            values: factor.values.iter().map(|value| value.name.clone()).collect(),
            shares: counts.into_iter().map(shares).collect(),
        }
    }

    /// What each image scores where `right` says of the values of a winner and of those shown whether the answer is right.
    pub(super) fn answers(&self, right: &dyn Fn(&[u32], &[u32]) -> bool) -> Vec<Answer> {
        let known = self.classes.known.as_slice();
        let of = |(own, won): (&Combination, &Vec<usize>)| Answer {
            score: outcome(won, |class| right(&known[class], own)),
            cluster: self.classes.class(own).unwrap_or_default() as u64,
        };
        self.shown.iter().zip(&self.winners).map(of).collect()
    }
}
