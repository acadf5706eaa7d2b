//! From a recording to unit measures, and from those to pictures of the strongest units.

use super::blocks::{Array, BLOCK_VALUES};
use super::maps::unit_maps;
use crate::measure::Design;
use crate::measure::encodes::{Criterion, Encodings};
use crate::measure::table::UnitConcepts;
use crate::model::Model;
use crate::record::{ActivationStore, FolderSource, Progress, TokenPolicy};
use crate::report::{Picture, SiteUnits, UnitCard, Units};
use crate::scene::labels_csv::read_labels;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Images shown of a unit.
const TOP: usize = 6;

/// Measures every array of the recording in `run`, writes `unit_concepts.parquet` there, and sums up.
pub fn measure(run: &Path, criterion: &Criterion, progress: &dyn Progress) -> Result<Units> {
    let labels_path = run.join(crate::record::LABELS);
    if !labels_path.is_file() {
        return Err(Error::mismatch(run.display(), "a run with labels.csv: its images had labels", "none"));
    }
    let design = Design::from_labels(&read_labels(&labels_path)?)?;
    let store = ActivationStore::open(&run.join(crate::record::ACTIVATIONS))?;
    let [_, held_out] = design.halves(criterion.seed);
    let mut units = Units {
        concepts: design.concepts().iter().map(ToString::to_string).collect(),
        q: criterion.q,
        min_effect: criterion.min_effect,
        images: design.images(),
        sites: Vec::new(),
        strongest: Vec::new(),
    };
    let mut tables = Vec::new();
    let mut best: Vec<Option<UnitCard>> = vec![None; design.concepts().len()];
    let arrays: Vec<_> = store.arrays().iter().filter(|a| a.policy != TokenPolicy::All).collect();
    for (done, array) in arrays.iter().enumerate() {
        progress.advance(done, arrays.len());
        if progress.is_cancelled() {
            return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
        }
        let values = Array::open(&store, array, BLOCK_VALUES)?;
        let Encodings { cells, summary } = values.encodes(&design, criterion, progress)?;
        let name = array.path();
        // Units of pooled sites have no map to show: they are shown only where nothing else was recorded.
        let shown = array.policy != TokenPolicy::Pooled || arrays.iter().all(|a| a.policy == TokenPolicy::Pooled);
        let mut better = BTreeMap::new();
        for cell in cells.iter().filter(|cell| cell.encodes && shown) {
            let (Some(chosen), Some(reported)) = (cell.chosen, cell.held_out) else { continue };
            let concept = cell.concept as usize;
            if best[concept].as_ref().is_none_or(|card| card.effect.abs() < reported.effect.abs()) {
                best[concept] = Some(UnitCard {
                    site: array.site.to_string(),
                    tokens: array.policy.to_string(),
                    unit: cell.unit,
                    concept: units.concepts[concept].clone(),
                    effect: reported.effect,
                    effect_lo: reported.effect_lo,
                    effect_hi: reported.effect_hi,
                    q: chosen.q,
                    top_with_concept: 0,
                    top_images: Vec::new(),
                    base_rate: 0.0,
                });
                better.insert(concept, cell.unit as usize);
            }
        }
        let columns = values.columns(&better.values().copied().collect::<Vec<_>>())?;
        for (&concept, column) in better.keys().zip(columns) {
            if let Some(card) = &mut best[concept] {
                let present = design.present(concept);
                (card.top_images, card.base_rate) = top(&column, card.effect, &held_out, present);
                card.top_with_concept = card.top_images.iter().filter(|i| present[**i]).count();
            }
        }
        units.sites.push(SiteUnits {
            site: array.site.to_string(),
            tokens: array.policy.to_string(),
            units: summary.units,
            flagged: summary.flagged.len(),
            encoding: summary.encoding,
            null: summary.null,
        });
        tables.push((name, cells));
    }
    progress.advance(arrays.len(), arrays.len());
    UnitConcepts { concepts: design.concepts().to_vec(), sites: tables }.write(&run.join("unit_concepts.parquet"))?;
    units.strongest = best.into_iter().flatten().collect();
    units.strongest.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));
    Ok(units)
}

/// The rows of `among` that lie furthest in the direction of `effect`, and the share of `among` that show the concept.
fn top(column: &[f32], effect: f64, among: &[usize], present: &[bool]) -> (Vec<usize>, f64) {
    let sign = if effect < 0.0 { -1.0 } else { 1.0 };
    let mut ranked = among.to_vec();
    let value = |i: &usize| sign * column[*i];
    ranked.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.cmp(b)));
    let with = among.iter().filter(|i| present[**i]).count();
    (ranked.into_iter().take(TOP).collect(), with as f64 / among.len() as f64)
}

/// The top images of the strongest units, each under the unit's own map of it.
pub(super) fn pictures(model: &Model, source: &FolderSource, units: &Units) -> Result<Vec<Vec<Picture>>> {
    let of_unit = |card: &UnitCard| {
        let paths: Vec<_> = card.top_images.iter().map(|row| source.path(*row)).collect();
        unit_maps(model, &paths, card.site.parse()?, card.unit as usize, card.effect < 0.0)
    };
    units.strongest.iter().map(of_unit).collect()
}
