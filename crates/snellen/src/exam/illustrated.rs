//! What an exam found, as a report with its pictures.

use super::confusions::confusions;
use super::examine::{Answered, Plan};
use super::findings;
use super::measured::Measured;
use super::question::{Asked, Decision};
use super::training::Training;
use crate::Result;
use crate::model::{Model, TowerConfig};
use crate::report::{Gallery, ModelCard, Picture, QuestionCard, Report, SceneSet, TowerCard};
use crate::scene::caption::{Wording, caption};
use crate::scene::{Scene, render};
use crate::units;
use std::collections::BTreeSet;

/// Said where the captions of the scenes were not recorded.
const UNREAD: &str = "The captions of the scenes are not recorded: the text tower has no room or no words for some of them \
                      (`snellen record --texts scenes/captions.csv` says which).";

/// Pictures of each kind of scene in the report.
const EXAMPLES: usize = 8;

impl Plan<'_> {
    /// The report, but for verdict and cause, and its pictures.
    pub(super) fn illustrate(
        &self,
        name: &str,
        asked: &Answered,
        measured: Option<Measured<'_>>,
    ) -> Result<(Report, Gallery)> {
        let mut gallery = Gallery::default();
        let mut scenes = Vec::new();
        for (asked, card) in asked {
            scenes.push(SceneSet { name: card.title.clone(), purpose: card.purpose.clone(), images: card.images });
            gallery.scenes.push(self.examples(&asked.scenes, asked.group)?);
            gallery.failures.push(self.failures(asked)?);
        }
        let cards: Vec<QuestionCard> = asked.iter().map(|(_, card)| card.clone()).collect();
        let mut said = findings::of_questions(&self.config.questions, &cards);
        let (mut model, mut confused) = (None, Vec::new());
        if let Some(measured) = &measured {
            let (name, purpose) = match &measured.toys {
                Some(_) => (
                    "independent scenes",
                    "unit measures: single objects in a grid, and several whose values are drawn each by itself",
                ),
                None => ("images", "unit measures: the images that were given"),
            };
            let images = measured.source.filenames.len();
            scenes.push(SceneSet { name: name.to_owned(), purpose: purpose.to_owned(), images });
            gallery.scenes.push(self.examples(measured.toys.as_deref().unwrap_or_default(), 1)?);
            [gallery.units, gallery.classes] = units::pictures(measured.model, &measured.source, &measured.units)?;
            said.extend(findings::of_units(&measured.units));
            if measured.unread {
                said.push(UNREAD.to_owned());
            }
            model = Some(model_card(measured.model));
            let embedding = measured.pairs.as_ref();
            if let Some((site, geometry)) = embedding.and_then(|of| Some((of.site.as_str(), of.geometry.as_ref()?))) {
                let factors = self.world.factors();
                let nearness = asked.iter().flat_map(|(asked, _)| asked.nearness.clone()).collect::<Vec<_>>();
                let concepts = &measured.units.concepts;
                confused = confusions(&nearness, &factors, (site, geometry), concepts, self.config.seed);
            }
        }
        let report = Report {
            schema: crate::report::SCHEMA,
            snellen: env!("CARGO_PKG_VERSION").to_owned(),
            seed: self.config.seed,
            confidence: self.config.confidence,
            name: name.to_owned(),
            model,
            training: self.training.map(Training::card),
            world: self.world.name().filter(|_| self.given.is_none()).map(str::to_owned),
            scenes,
            templates: self.templates.iter().map(ToString::to_string).collect(),
            verdict: None,
            questions: cards,
            units: measured.map(|measured| measured.units),
            confusions: confused,
            cause: None,
            findings: said,
        };
        Ok((report, gallery))
    }

    /// The wrong answers of which the examinee was surest, of different scenes.
    fn failures(&self, asked: &Asked) -> Result<Vec<Picture>> {
        let by = |wrong: &Decision| wrong.other_similarity - wrong.similarity;
        let mut wrong: Vec<&Decision> = asked.decisions.iter().filter(|decision| decision.score == 0.0).collect();
        wrong.sort_by(|a, b| by(b).total_cmp(&by(a)));
        let mut met = BTreeSet::new();
        wrong.retain(|decision| decision.scene < asked.scenes.len() && met.insert(decision.scene));
        let picture = |wrong: &&Decision| {
            let Decision { other, right, similarity, other_similarity, .. } = wrong;
            let said = format!("“{other}” {other_similarity:.3}, and not “{right}” {similarity:.3}");
            Picture::new(&render(&asked.scenes[wrong.scene], &self.world, &self.canvas()), said, None)
        };
        wrong.iter().take(EXAMPLES).map(picture).collect()
    }

    /// Some of `scenes`, evenly spread; those of a group side by side.
    fn examples(&self, scenes: &[Scene], group: usize) -> Result<Vec<Picture>> {
        let (n, shown) = (scenes.len(), EXAMPLES.min(scenes.len()));
        let at = |i: usize| {
            if group > 1 { i / group * group * (n / shown) + i % group } else { (i * n / shown + i) % n }
        };
        let picture = |scene: &Scene| {
            let said = caption(scene, &self.world, &Wording::plain(scene.objects.len()));
            Picture::new(&render(scene, &self.world, &self.canvas()), said, None)
        };
        (0..shown).map(|i| picture(&scenes[at(i)])).collect()
    }
}

fn model_card(model: &Model) -> ModelCard {
    let tower = |t: &TowerConfig| TowerCard { layers: t.layers, width: t.width, heads: t.heads, mlp: t.mlp };
    ModelCard {
        weights_hash: model.weights_hash.clone(),
        parameters: model.parameters,
        vision: tower(&model.config.vision.tower),
        text: model.config.text.as_ref().map(|text| tower(&text.tower)),
        image: model.config.vision.image,
        patch: model.config.vision.patch,
        embedding: model.config.vision.embedding().unwrap_or_default(),
        preprocessing: model.preprocessing.clone(),
    }
}
