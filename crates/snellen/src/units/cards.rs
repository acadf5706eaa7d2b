//! The units that a report shows with their pictures: the strongest of each concept, and the clearest of each class.

use super::blocks::Array;
use crate::Result;
use crate::measure::Design;
use crate::measure::design::by_stratum;
use crate::measure::encodes::UnitConcept;
use crate::measure::factorial::{Decomposed, UnitClass};
use crate::measure::units_table::UnitRow;
use crate::report::{ClassCard, Histogram, UnitCard};
use std::collections::BTreeMap;

/// Images shown of a unit.
const TOP: usize = 6;
/// Bins of a histogram.
const BINS: usize = 24;

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
    /// The half of the images that is shown, by the number of objects.
    held_out: Vec<Vec<usize>>,
}

impl Cards {
    pub(super) fn new(design: &Design, seed: u64) -> Self {
        let [_, held_out] = design.halves(seed);
        let held_out = by_stratum(design.strata(), held_out);
        Self { strongest: vec![None; design.concepts().len()], clearest: BTreeMap::new(), held_out }
    }

    /// Looks at the units of a site, whose `cells` are `[unit, concept]`; the values of all that are kept are read at once.
    pub(super) fn site(
        &mut self,
        of: [&str; 2],
        values: &Array<'_>,
        (design, factors): (&Design, &[String]),
        cells: &[UnitConcept],
        rows: &[UnitRow],
    ) -> Result<()> {
        let stronger = self.stronger(of, design, cells);
        let clearer = self.clearer(rows);
        let units = stronger.values().copied().chain(clearer.iter().map(|(.., row)| row.unit as usize));
        let mut columns = values.columns(&units.collect::<Vec<_>>())?.into_iter();
        for (concept, column) in stronger.into_keys().zip(&mut columns) {
            let Some(card) = &mut self.strongest[concept] else { continue };
            let present = design.present(concept);
            card.top_images = top(&column, card.partial < 0.0, &self.held_out);
            card.top_with_concept = card.top_images.iter().filter(|i| present[**i]).count();
            // Of the strata that these come from, equally: what as many drawn at random would show.
            let share =
                |images: &Vec<usize>| images.iter().filter(|i| present[**i]).count() as f64 / images.len() as f64;
            let taken = |images: &Vec<usize>| card.top_images.iter().filter(|i| images.contains(i)).count() as f64;
            let shown = self.held_out.iter().map(|images| share(images) * taken(images)).sum::<f64>();
            card.base_rate = shown / card.top_images.len().max(1) as f64;
            card.histogram = histogram(&column, present, &self.held_out);
        }
        for ((class, clarity, row), column) in clearer.into_iter().zip(columns) {
            let of_unit = &cells[row.unit as usize * design.concepts().len()..][..design.concepts().len()];
            let lowered = encoded(of_unit).first().is_some_and(|cell| partial(cell) < 0.0);
            let card = ClassCard {
                class,
                site: of[0].to_owned(),
                tokens: of[1].to_owned(),
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

    /// Puts units that are stronger than those of sites before in their place, without pictures; gives them by concept.
    fn stronger(
        &mut self,
        [site, tokens]: [&str; 2],
        design: &Design,
        cells: &[UnitConcept],
    ) -> BTreeMap<usize, usize> {
        let mut stronger = BTreeMap::new();
        for cells in cells.chunks(design.concepts().len()) {
            // A unit is shown for the concept that moves it most, beyond the others that it needs.
            let encoded = encoded(cells);
            let Some(cell) = encoded.first() else { continue };
            let (Some(chosen), Some(reported), Some(partial)) = (cell.chosen, cell.held_out, cell.partial) else {
                continue;
            };
            let concept = cell.concept as usize;
            let card = &mut self.strongest[concept];
            if card.as_ref().is_none_or(|card| card.partial.abs() < partial.effect.abs()) {
                let name = |cell: &&UnitConcept| design.concepts()[cell.concept as usize].to_string();
                *card = Some(UnitCard {
                    site: site.to_owned(),
                    tokens: tokens.to_owned(),
                    unit: cell.unit,
                    concept: design.concepts()[concept].to_string(),
                    effect: reported.effect,
                    effect_lo: reported.effect_lo,
                    effect_hi: reported.effect_hi,
                    q: chosen.q,
                    partial: partial.effect,
                    partial_lo: partial.effect_lo,
                    partial_hi: partial.effect_hi,
                    concepts: encoded.iter().map(name).collect(),
                    histogram: Histogram::default(),
                    top_with_concept: 0,
                    top_images: Vec::new(),
                    base_rate: 0.0,
                    spatial: None,
                });
                stronger.insert(concept, cell.unit as usize);
            }
        }
        stronger
    }

    /// Of each class its clearest unit and how clear that is, where it is clearer than those of sites before.
    fn clearer<'r>(&self, rows: &'r [UnitRow]) -> Vec<(UnitClass, f64, &'r UnitRow)> {
        let of_class = |class: UnitClass| {
            // By what makes it of its class, not by what else explains it.
            let clarity = |of: &Decomposed| match class {
                UnitClass::Count => of.eta2_count.unwrap_or(0.0),
                UnitClass::Conjunction | UnitClass::Mixed => of.eta2_interaction.unwrap_or(0.0),
                _ => of.eta2_main.unwrap_or(0.0),
            };
            let of_class = rows.iter().filter(|row| row.decomposed.class == class);
            let row = of_class.reduce(|a, b| if clarity(&b.decomposed) > clarity(&a.decomposed) { b } else { a })?;
            let clarity = clarity(&row.decomposed);
            let known = self.clearest.get(&class).is_some_and(|(best, _)| *best >= clarity);
            (!known).then_some((class, clarity, row))
        };
        SHOWN.into_iter().filter_map(of_class).collect()
    }

    /// The strongest unit of each concept, strongest first, and the clearest of each class.
    pub(super) fn finish(self) -> (Vec<UnitCard>, Vec<ClassCard>) {
        let mut strongest: Vec<UnitCard> = self.strongest.into_iter().flatten().collect();
        strongest.sort_by(|a, b| b.partial.abs().total_cmp(&a.partial.abs()));
        (strongest, self.clearest.into_values().map(|(_, card)| card).collect())
    }
}

/// The concepts that a unit encodes, the one that moves it most beyond the others first.
fn encoded(cells: &[UnitConcept]) -> Vec<&UnitConcept> {
    let mut encoded: Vec<&UnitConcept> = cells.iter().filter(|cell| cell.encodes).collect();
    encoded.sort_by(|a, b| partial(b).abs().total_cmp(&partial(a).abs()).then(a.concept.cmp(&b.concept)));
    encoded
}

fn partial(cell: &UnitConcept) -> f64 {
    cell.partial.map_or(0.0, |partial| partial.effect)
}

/// Of every stratum in turn the row with the largest value, then the second; the smallest where the unit is `lowered`: images
/// with more objects excite a unit more, and would take all places.
fn top(column: &[f32], lowered: bool, strata: &[Vec<usize>]) -> Vec<usize> {
    let sign = if lowered { -1.0 } else { 1.0 };
    let value = |i: &usize| sign * column[*i];
    let mut chosen: Vec<(usize, usize, usize)> = Vec::new();
    for (stratum, rows) in strata.iter().enumerate() {
        let mut ranked = rows.clone();
        ranked.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.cmp(b)));
        chosen.extend(ranked.into_iter().take(TOP).enumerate().map(|(place, row)| (place, stratum, row)));
    }
    chosen.sort_unstable();
    chosen.truncate(TOP);
    chosen.into_iter().map(|(.., row)| row).collect()
}

/// The values of a unit on the images of all strata, in bins from the smallest to the largest.
fn histogram(column: &[f32], present: &[bool], strata: &[Vec<usize>]) -> Histogram {
    let rows = || strata.iter().flatten().copied();
    let value = |row: usize| f64::from(column[row]);
    let (from, to) = rows().map(value).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    let mut found = Histogram { from, to, with: vec![0; BINS], without: vec![0; BINS] };
    for row in rows() {
        let bin = (((value(row) - from) / (to - from).max(f64::MIN_POSITIVE) * BINS as f64) as usize).min(BINS - 1);
        let side = if present[row] { &mut found.with } else { &mut found.without };
        side[bin] += 1;
    }
    found
}
