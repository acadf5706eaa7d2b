//! Where the strongest units are active, against the exact masks of what they stand for.

use crate::engine::Tape;
use crate::measure::spatial::spatial;
use crate::model::{ActivationMut, Hook, Model, Site};
use crate::record::cover::read_object_covers;
use crate::record::{FolderSource, read_pixels};
use crate::report::UnitCard;
use crate::{Error, Result};

/// Images that are looked at, evenly spread.
const IMAGES: usize = 256;
/// Images of a forward.
const BATCH: usize = 32;

/// Fills in [`UnitCard::spatial`], where the images have masks and the sites patches.
pub(super) fn check(model: &Model, source: &FolderSource, cards: &mut [UnitCard]) -> Result<()> {
    let (Some(masks), Some(labels)) = (&source.masks, &source.labels) else { return Ok(()) };
    let labels = &labels.table;
    let concepts = labels.concepts();
    let mut units = Vec::new();
    for card in cards.iter() {
        let concept = concepts.iter().position(|concept| concept.to_string() == card.concept);
        let concept = concept.ok_or_else(|| Error::mismatch("labels", format!("`{}`", card.concept), "none"))?;
        units.push(Unit {
            site: card.site.parse()?,
            column: card.unit as usize,
            concept,
            values: vec![],
            covered: vec![],
        });
    }
    let first: Vec<u32> = labels.factors.iter().map(|factor| factor.values.len() as u32).collect();
    let value = |concept: usize| {
        let (mut f, mut v) = (0, concept as u32);
        while v >= first[f] {
            v -= first[f];
            f += 1;
        }
        (f, v)
    };
    let n = source.filenames.len();
    let rows: Vec<usize> = (0..n.min(IMAGES)).map(|k| k * n / n.min(IMAGES)).collect();
    let patches = model.config.vision.patches();
    for rows in rows.chunks(BATCH) {
        let paths: Vec<_> = rows.iter().map(|row| source.path(*row)).collect();
        let pixels = read_pixels(&paths, &model.preprocessing)?;
        let mut maps = Maps { units: &mut units, patches, grids: &pixels.grids };
        model.towers.observe_images(&mut Tape::off(), &pixels, &mut maps)?;
        for row in rows {
            let objects = &labels.rows[*row].objects;
            let covers = read_object_covers(&masks[*row], objects.len(), &model.preprocessing, &model.config.vision)?;
            for unit in &mut units {
                let (f, v) = value(unit.concept);
                let mut covered = vec![0.0_f64; covers.first().map_or(patches, Vec::len)];
                for (_, cover) in objects.iter().zip(&covers).filter(|(object, _)| object[f] == Some(v)) {
                    covered.iter_mut().zip(cover).for_each(|(sum, share)| *sum = (*sum + share).min(1.0));
                }
                unit.covered.extend(covered);
            }
        }
    }
    for (card, unit) in cards.iter_mut().zip(units) {
        let sign = if card.effect < 0.0 { -1.0 } else { 1.0 };
        let values: Vec<f32> = unit.values.iter().map(|x| sign * x).collect();
        card.spatial = (values.len() == unit.covered.len()).then(|| spatial(&values, &unit.covered)).flatten();
    }
    Ok(())
}

struct Unit {
    site: Site,
    column: usize,
    concept: usize,
    /// Of every patch, image after image; none where the site has no patches.
    values: Vec<f32>,
    covered: Vec<f64>,
}

struct Maps<'a> {
    units: &'a mut [Unit],
    patches: usize,
    /// Rows and columns of the patches of every image; empty where all have the tower's.
    grids: &'a [[usize; 2]],
}

impl Hook for Maps<'_> {
    fn wants(&self, site: Site) -> bool {
        self.units.iter().any(|unit| unit.site == site)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        let (images, tokens) = (x.shape[0], x.shape[1]);
        // Class token and registers have no place in the picture.
        let Some(first) = tokens.checked_sub(self.patches).filter(|_| x.shape.len() > 2) else { return Ok(()) };
        let width = x.data.len() / (images * tokens);
        for unit in self.units.iter_mut().filter(|unit| unit.site == site) {
            for (number, image) in x.data.chunks(tokens * width).enumerate() {
                let count = self.grids.get(number).map_or(self.patches, |[rows, columns]| rows * columns);
                unit.values.extend(image.chunks(width).skip(first).take(count).map(|token| token[unit.column]));
            }
        }
        Ok(())
    }
}
