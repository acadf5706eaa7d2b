//! The units that a report shows with their pictures: the strongest of each concept, and the clearest of each class.

use super::blocks::Array;
use crate::Result;
use crate::measure::Design;
use crate::measure::encodes::UnitConcept;
use crate::measure::factorial::{Decomposed, UnitClass};
use crate::measure::units_table::UnitRow;
use crate::report::{ClassCard, UnitCard};
use std::collections::BTreeMap;

/// Images shown of a unit.
const TOP: usize = 6;

/// Classes that a unit is shown of.
const SHOWN: [UnitClass; 6] = [
    UnitClass::Count,
    UnitClass::Monosemantic,
    UnitClass::Factor,
    UnitClass::Polysemantic,
    UnitClass::Conjunction,
    UnitClass::Mixed,
];

/// The best so far.
pub(super) struct Cards {
    strongest: Vec<Option<UnitCard>>,
    clearest: BTreeMap<UnitClass, (f64, ClassCard)>,
    /// The half of the images that is shown.
    held_out: Vec<usize>,
}

impl Cards {
    pub(super) fn new(design: &Design, seed: u64) -> Self {
        let [_, held_out] = design.halves(seed);
        Self { strongest: vec![None; design.concepts().len()], clearest: BTreeMap::new(), held_out }
    }

    /// Looks at the units of a site, whose `cells` are `[unit, concept]`.
    pub(super) fn site(
        &mut self,
        [site, tokens]: [&str; 2],
        values: &Array<'_>,
        (design, factors): (&Design, &[String]),
        cells: &[UnitConcept],
        rows: &[UnitRow],
    ) -> Result<()> {
        let mut better = BTreeMap::new();
        for cell in cells.iter().filter(|cell| cell.encodes) {
            let (Some(chosen), Some(reported)) = (cell.chosen, cell.held_out) else { continue };
            let concept = cell.concept as usize;
            let card = &mut self.strongest[concept];
            if card.as_ref().is_none_or(|card| card.effect.abs() < reported.effect.abs()) {
                *card = Some(UnitCard {
                    site: site.to_owned(),
                    tokens: tokens.to_owned(),
                    unit: cell.unit,
                    concept: design.concepts()[concept].to_string(),
                    effect: reported.effect,
                    effect_lo: reported.effect_lo,
                    effect_hi: reported.effect_hi,
                    q: chosen.q,
                    top_with_concept: 0,
                    top_images: Vec::new(),
                    base_rate: 0.0,
                    spatial: None,
                });
                better.insert(concept, cell.unit as usize);
            }
        }
        let columns = values.columns(&better.values().copied().collect::<Vec<_>>())?;
        for (&concept, column) in better.keys().zip(columns) {
            if let Some(card) = &mut self.strongest[concept] {
                let present = design.present(concept);
                card.top_images = top(&column, card.effect < 0.0, &self.held_out);
                card.top_with_concept = card.top_images.iter().filter(|i| present[**i]).count();
                let with = self.held_out.iter().filter(|i| present[**i]).count();
                card.base_rate = with as f64 / self.held_out.len() as f64;
            }
        }
        for class in SHOWN {
            // By what makes it of its class, not by what else explains it.
            let clarity = |of: &Decomposed| match class {
                UnitClass::Count => of.eta2_count.unwrap_or(0.0),
                UnitClass::Conjunction | UnitClass::Mixed => of.eta2_interaction.unwrap_or(0.0),
                _ => of.eta2_main.unwrap_or(0.0),
            };
            let of_class = rows.iter().filter(|row| row.decomposed.class == class);
            let row = of_class.reduce(|a, b| if clarity(&b.decomposed) > clarity(&a.decomposed) { b } else { a });
            let Some(row) = row else { continue };
            let clarity = clarity(&row.decomposed);
            if self.clearest.get(&class).is_some_and(|(best, _)| *best >= clarity) {
                continue;
            }
            let of_unit = &cells[row.unit as usize * design.concepts().len()..][..design.concepts().len()];
            let effect = |cell: &UnitConcept| cell.held_out.map_or(0.0, |held_out| held_out.effect);
            let encoded = of_unit.iter().filter(|cell| cell.encodes);
            let strongest = encoded.reduce(|a, b| if effect(b).abs() > effect(a).abs() { b } else { a });
            let lowered = strongest.is_some_and(|cell| effect(cell) < 0.0);
            let column = values.columns(&[row.unit as usize])?.concat();
            let card = ClassCard {
                class,
                site: site.to_owned(),
                tokens: tokens.to_owned(),
                unit: row.unit,
                factors: row.decomposed.factors.iter().map(|f| factors[*f].clone()).collect(),
                concepts: row.concepts.clone(),
                cv_r2: row.decomposed.cv_r2.unwrap_or(0.0),
                eta2_count: row.decomposed.eta2_count,
                eta2_main: row.decomposed.eta2_main,
                eta2_interaction: row.decomposed.eta2_interaction,
                lowered,
                top_images: top(&column, lowered, &self.held_out),
            };
            self.clearest.insert(class, (clarity, card));
        }
        Ok(())
    }

    /// The strongest unit of each concept, strongest first, and the clearest of each class.
    pub(super) fn finish(self) -> (Vec<UnitCard>, Vec<ClassCard>) {
        let mut strongest: Vec<UnitCard> = self.strongest.into_iter().flatten().collect();
        strongest.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));
        (strongest, self.clearest.into_values().map(|(_, card)| card).collect())
    }
}

/// The rows of `among` with the largest values; the smallest where the unit is `lowered`.
fn top(column: &[f32], lowered: bool, among: &[usize]) -> Vec<usize> {
    let sign = if lowered { -1.0 } else { 1.0 };
    let mut ranked = among.to_vec();
    let value = |i: &usize| sign * column[*i];
    ranked.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.cmp(b)));
    ranked.truncate(TOP);
    ranked
}
