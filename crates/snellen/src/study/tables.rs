//! `pairs.csv`, `units.csv` and, number by number, `checks.csv`: printed beside ours, empty where there is none.

use super::feature::FEATURES;
use super::published::{self, Printed};
use super::result::Study;
use crate::{Error, Result, output};
use serde::Serialize;
use std::path::Path;

/// A pair of features, as the tables show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct PairRow {
    concept_a: &'static str,
    concept_b: &'static str,
    n_images: usize,
    distance_printed: f64,
    distance: f64,
    misclassified_printed: usize,
    misclassified: usize,
    pca_components: Option<usize>,
    pca_distance: f64,
    pca_misclassified: usize,
    neuron_count_printed: usize,
    neuron_count: Option<usize>,
    sum_ratios_printed: f64,
    sum_ratios: Option<f64>,
}

/// A unit, as the tables show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct UnitLine {
    layer: usize,
    unit: usize,
    /// In the low-entropy set of the model.
    rank: Option<usize>,
    /// Entropy, objects, and the frequencies of the features: printed and ours.
    numbers: Vec<[Option<f64>; 2]>,
}

/// All pairs.
pub(super) fn pair_rows(study: &Study) -> Result<Vec<PairRow>> {
    let measured = study.model.as_ref().map(|model| &model.pairs);
    let all = published::pairs()?.into_iter().zip(study.embedding_pairs.iter().zip(&study.embedding_pairs_pca));
    let row = |(i, (printed, (full, principal))): (usize, (published::PublishedPair, _))| {
        let (full, principal): (&super::EmbeddingPair, &super::EmbeddingPair) = (full, principal);
        let sums = measured.map(|pairs| &pairs[i]);
        PairRow {
            concept_a: full.concept_a,
            concept_b: full.concept_b,
            n_images: full.n_images,
            distance_printed: printed.distance.value,
            distance: full.distance,
            misclassified_printed: printed.misclassified,
            misclassified: full.misclassified,
            pca_components: principal.components,
            pca_distance: principal.distance,
            pca_misclassified: principal.misclassified,
            neuron_count_printed: printed.units,
            neuron_count: sums.map(|pair| pair.neuron_count),
            sum_ratios_printed: printed.sum.value,
            sum_ratios: sums.map(|pair| pair.sum_ratios),
        }
    };
    Ok(all.enumerate().map(row).collect())
}

/// The units that the study printed, and those of the model's low-entropy set.
pub(super) fn unit_lines(study: &Study) -> Result<Vec<UnitLine>> {
    let published = published::units()?;
    let ours = study.model.as_ref().map_or(&[][..], |model| &model.units);
    let value = |printed: Option<Printed>| printed.map(|printed| printed.value);
    let mut names: Vec<[usize; 2]> = ours.iter().map(|unit| [unit.layer, unit.unit]).collect();
    names.extend(published.iter().map(|unit| unit.unit).filter(|unit| !names.contains(unit)).collect::<Vec<_>>());
    let line = |name: [usize; 2]| {
        let printed = published.iter().find(|unit| unit.unit == name);
        let own = ours.iter().find(|unit| [unit.layer, unit.unit] == name);
        let mut numbers = vec![
            [printed.and_then(|unit| value(unit.entropy)), own.map(|unit| unit.entropy)],
            [printed.and_then(|unit| value(unit.objects)), own.map(|unit| unit.objects)],
        ];
        numbers.extend(FEATURES.iter().enumerate().map(|(f, feature)| {
            let own = own.and_then(|unit| unit.frequencies.get(feature.name).copied());
            [printed.and_then(|unit| value(unit.frequencies[f])), own]
        }));
        UnitLine { layer: name[0], unit: name[1], rank: own.and_then(|unit| unit.rank), numbers }
    };
    Ok(names.into_iter().map(line).collect())
}

/// Writes the tables into `folder`.
pub(super) fn write(folder: &Path, study: &Study) -> Result<()> {
    let failed = |source: csv::Error| Error::malformed("study: tables", source);
    let mut pairs = csv::Writer::from_writer(Vec::new());
    pair_rows(study)?.iter().try_for_each(|row| pairs.serialize(row)).map_err(failed)?;
    let mut units = csv::Writer::from_writer(Vec::new());
    let names = ["entropy", "objects"].into_iter().chain(FEATURES.iter().map(|feature| feature.name));
    let columns = names.flat_map(|name| [format!("{name}_printed"), name.to_owned()]);
    let header = ["layer", "unit", "rank"].map(str::to_owned).into_iter().chain(columns);
    units.write_record(header).map_err(failed)?;
    for line in unit_lines(study)? {
        let numbers = line.numbers.iter().flatten().map(|number| number.map_or(String::new(), |x| x.to_string()));
        let rank = line.rank.map_or(String::new(), |rank| rank.to_string());
        let first = [line.layer.to_string(), line.unit.to_string(), rank];
        units.write_record(first.into_iter().chain(numbers)).map_err(failed)?;
    }
    let mut checks = csv::Writer::from_writer(Vec::new());
    checks.write_record(["quantity", "of", "printed", "ours", "difference", "agrees"]).map_err(failed)?;
    for (check, line) in study.checks.iter().flat_map(|check| check.lines.iter().map(move |line| (check, line))) {
        let difference = line.ours.map(|ours| (ours - line.printed).abs());
        let [ours, difference] = [line.ours, difference].map(|x| x.map_or(String::new(), |x| x.to_string()));
        let [printed, agrees] = [line.printed.to_string(), line.agrees.to_string()];
        checks.write_record([check.quantity, &line.of, &printed, &ours, &difference, &agrees]).map_err(failed)?;
    }
    for (name, table) in [("pairs.csv", pairs), ("units.csv", units), ("checks.csv", checks)] {
        let bytes = table.into_inner().map_err(|e| Error::malformed("study: tables", e.into_error()))?;
        output::write_file(&folder.join(name), &bytes)?;
    }
    Ok(())
}
