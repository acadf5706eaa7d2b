//! What the units of one site stand for, measured on scenes made for it: for sets that are asked for by class or concepts.

use super::token_map::TokenMap;
use super::tokens::Tokens;
use super::units::KnownUnits;
use crate::engine::Tape;
use crate::measure::encodes::{Criterion, UnitConcept, encodes};
use crate::measure::factorial::{Rule, UnitClass, decompose_in_blocks};
use crate::measure::terms::Terms;
use crate::measure::{Design, Matrix};
use crate::model::{ActivationMut, Hook, Model, Site, Tower};
use crate::scene::caption::{Wording, caption};
use crate::scene::generate::{independent, most_objects};
use crate::scene::labels::LabelTable;
use crate::scene::{Canvas, Concept, Scene, World, render};
use crate::{Error, Result};
use rayon::prelude::*;

/// Scenes that units are measured on.
const SCENES: usize = 600;
/// Scenes of a forward.
const BATCH: usize = 50;
/// Objects in a scene, at most; in captions.
const MOST: usize = 5;
const MOST_SAID: usize = 2;

/// What each unit of a site encodes, and its class.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredUnits {
    site: String,
    concepts: Vec<Concept>,
    /// `[unit, concept]`.
    cells: Vec<UnitConcept>,
    classes: Vec<UnitClass>,
}

impl MeasuredUnits {
    /// Of what was measured elsewhere: `cells` `[unit, concept]` and the class of each unit; without classes where there are none.
    pub fn new(site: &str, concepts: Vec<Concept>, cells: Vec<UnitConcept>, classes: Vec<UnitClass>) -> Self {
        Self { site: site.to_owned(), concepts, cells, classes }
    }

    /// Of `site`, of one head where one is named, on scenes of independent values of `world` (of the text tower on captions of one and two
    /// objects): the mean over patches, or over all tokens where there are no patches.
    ///
    /// # Errors
    /// When scenes cannot be made, captions not read, or the forward fails.
    pub fn on_scenes(model: &Model, world: &World, site: Site, head: Option<usize>, seed: u64) -> Result<Self> {
        let world = world.repeating();
        let most = most_objects(&world).min(if site.tower == Tower::Text { MOST_SAID } else { MOST });
        let scenes = independent(&world, most, SCENES, seed)?;
        let names: Vec<String> = (0..scenes.len()).map(|i| format!("{i}.png")).collect();
        let labels = LabelTable::from_scenes(&world, &scenes, &names)?;
        let matrix = means(model, &world, site, head, &scenes)?;
        let criterion = Criterion::standard(seed)?;
        let design = Design::from_labels(&labels)?;
        let cells = encodes(&matrix, &design, &criterion)?.cells;
        let terms = Terms::of(&labels)?;
        let decomposed = decompose_in_blocks([Ok(&matrix)], &terms, &Rule::standard(criterion.q))?;
        let classes = decomposed.into_iter().map(|unit| unit.class).collect();
        Ok(Self { site: site.to_string(), concepts: design.concepts().to_vec(), cells, classes })
    }

    /// The concepts that units may encode.
    pub fn concepts(&self) -> &[Concept] {
        &self.concepts
    }

    /// Of every unit, which concepts it encodes.
    pub fn encoded(&self) -> Vec<Vec<usize>> {
        let of = |cells: &[UnitConcept]| -> Vec<usize> {
            cells.iter().filter(|cell| cell.encodes).map(|cell| cell.concept as usize).collect()
        };
        self.cells.chunks(self.concepts.len().max(1)).map(of).collect()
    }
}

impl KnownUnits for MeasuredUnits {
    fn of_class(&self, class: UnitClass) -> Result<Vec<usize>> {
        Ok((0..self.classes.len()).filter(|unit| self.classes[*unit] == class).collect())
    }

    fn sharing(&self, both: &[Concept; 2]) -> Result<Vec<usize>> {
        let index = |concept: &Concept| {
            let known = || self.concepts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            self.concepts.iter().position(|own| own == concept).ok_or_else(|| {
                let place = format!("site `{}`, units `shared:{},{}`", self.site, both[0], both[1]);
                Error::mismatch(place, format!("concepts among {}", known()), format!("`{concept}`"))
            })
        };
        let [a, b] = [index(&both[0])?, index(&both[1])?];
        let encoded = self.encoded();
        Ok((0..encoded.len()).filter(|unit| encoded[*unit].contains(&a) && encoded[*unit].contains(&b)).collect())
    }
}

/// The mean of every unit over the patches, or over all tokens, of each of `scenes`: `[scene, unit]`.
fn means(model: &Model, world: &World, site: Site, head: Option<usize>, scenes: &[Scene]) -> Result<Matrix> {
    let config = &model.config;
    let (mut values, mut width) = (Vec::new(), 0);
    let canvas = Canvas::plain(config.vision.image as u32, config.vision.image as u32);
    for scenes in scenes.chunks(BATCH) {
        let mut reduced = Reduced { site, head, positions: Vec::new(), rows: Vec::new(), width: 0 };
        let group = |map: &TokenMap| {
            let patches = Tokens::Patches.positions(config, site, map);
            patches.or_else(|_| Tokens::All.positions(config, site, map))
        };
        if site.tower == Tower::Text {
            let said = |scene: &Scene| caption(scene, world, &Wording::plain(scene.objects.len()));
            let texts: Vec<String> = scenes.iter().map(said).collect();
            let tokenizer = model.tokenizer()?;
            let maps = texts.iter().map(|text| TokenMap::of_text(text, tokenizer));
            reduced.positions = maps.map(|map| group(&map?)).collect::<Result<_>>()?;
            model.towers.observe_texts(&mut Tape::off(), &tokenizer.encode(&texts)?, &mut reduced)?;
        } else {
            let images: Vec<_> = scenes.par_iter().map(|scene| render(scene, world, &canvas)).collect();
            let maps = scenes.iter().map(|scene| TokenMap::of_scenes(&[scene], world, &canvas, model));
            reduced.positions = maps.map(|map| group(&map)).collect::<Result<_>>()?;
            model.towers.observe_images(&mut Tape::off(), &model.pixels(&images)?, &mut reduced)?;
        }
        width = reduced.width;
        values.extend(reduced.rows);
    }
    Matrix::new(scenes.len(), width, values)
}

/// Means over tokens.
struct Reduced {
    site: Site,
    head: Option<usize>,
    positions: Vec<Vec<usize>>,
    rows: Vec<f32>,
    width: usize,
}

impl Hook for Reduced {
    fn wants(&self, site: Site) -> bool {
        site == self.site
    }

    fn at(&mut self, _: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        let axes = super::change::Axes::of(self.site, x.shape);
        self.width = axes.width(self.head);
        for (row, positions) in self.positions.iter().enumerate() {
            let mut sums = vec![0.0; self.width];
            let heads = axes.heads(self.head);
            let count = (positions.len() * heads.len()) as f64;
            for token in positions {
                for head in heads.clone() {
                    for (unit, sum) in sums.iter_mut().enumerate() {
                        *sum += f64::from(x.data[axes.at(row, *token, head, unit)]);
                    }
                }
            }
            self.rows.extend(sums.iter().map(|sum| (sum / count) as f32));
        }
        Ok(())
    }
}
