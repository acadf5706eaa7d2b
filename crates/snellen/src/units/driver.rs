//! From a recording to unit measures, and from those to pictures of the strongest units.

use super::blocks::{Array, BLOCK_VALUES};
use super::controls::{Untrained, beside};
use super::given::Given;
use super::maps::unit_maps;
use super::measuring::{Measuring, SiteName};
use super::second::Second;
use super::tables::{Files, Held, Sink, Tables};
use crate::measure::Matrix;
use crate::measure::encodes::Criterion;
use crate::measure::mark;
use crate::measure::pairs_table::SitePairs;
use crate::model::Model;
use crate::output::Claim;
use crate::record::{ActivationStore, ArrayId, FolderSource, Layout, Progress, RunManifest, TokenPolicy};
use crate::report::{Picture, SiteUnits, Units};
use crate::scene::labels::LabelTable;
use crate::scene::labels_csv::{read_label_columns, read_labels};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Measures every array of the recording in `run`, writes `unit_concepts.parquet`, `units.parquet`, `pairs.parquet`, `concepts.parquet` and
/// `sites.parquet` there, all at once in place of those of an earlier measurement, and sums up.
///
/// `second` are a second encoder's embeddings of the images, for the monosemanticity score; `controls` recordings of the same images and
/// sites from untrained models of one kind, beside whose numbers those of the run stand.
///
/// # Errors
/// When the images had no labels, a file is malformed, another process measures the run, or a control has other images or sites.
pub fn measure_run(
    run: &Path,
    second: Option<Second<'_>>,
    controls: &[PathBuf],
    by: &Criterion,
    progress: &dyn Progress,
) -> Result<Measured> {
    let shown = |run: &Path| -> Result<_> {
        let manifest = RunManifest::read(run)?;
        Ok((manifest.images.map(|images| images.hash), manifest.texts.map(|texts| texts.hash)))
    };
    distinct(run, controls)?;
    let own = if controls.is_empty() { (None, None) } else { shown(run)? };
    let mut models = Vec::new();
    for control in controls {
        if shown(control)? != own {
            let expected = format!("what {} shows", run.display());
            return Err(Error::mismatch(format!("control {}", control.display()), expected, "others"));
        }
        models.push(sites(control, by, progress)?);
    }
    measure(run, second, &as_controls(models), by, &mut drop, progress)
}

/// Whether no control is what it stands beside, or given twice.
fn distinct(own: &Path, controls: &[PathBuf]) -> Result<()> {
    let place = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut known = vec![place(own)];
    for control in controls {
        let path = place(control);
        if known.contains(&path) {
            let expected = "another one: a model is no control of itself, and counts once";
            return Err(Error::mismatch(format!("control {}", control.display()), expected, "the same again"));
        }
        known.push(path);
    }
    Ok(())
}

/// Controls that a user gave.
fn as_controls(models: Vec<Vec<SiteUnits>>) -> Vec<Untrained> {
    let name = "control".to_owned();
    if models.is_empty() { Vec::new() } else { vec![Untrained { name, models }] }
}

/// What the sites of a run give, without any table.
pub(crate) fn sites(run: &Path, by: &Criterion, progress: &dyn Progress) -> Result<Vec<SiteUnits>> {
    let recording = Recording::open(run)?;
    let mut measuring = Measuring::begin(&recording.labels, None, by)?;
    recording.measure(&mut measuring, &mut (), progress)?;
    Ok(measuring.sums().units.sites)
}

/// As [`measure_run`]; `seen` is handed the pairs of every site once they are written.
pub(crate) fn measure(
    run: &Path,
    second: Option<Second<'_>>,
    controls: &[Untrained],
    by: &Criterion,
    seen: &mut dyn FnMut(SitePairs),
    progress: &dyn Progress,
) -> Result<Measured> {
    let _claim = if run.is_dir() { Some(Claim::on(&run.join(mark::FILE))?) } else { None };
    let recording = Recording::open(run)?;
    let mut measuring = Measuring::begin(&recording.labels, second, by)?;
    let mut files = Files::begin(run, measuring.concepts(), seen)?;
    recording.measure(&mut measuring, &mut files, progress)?;
    let notes = measuring.notes();
    let mut sums = measuring.sums();
    beside(&mut sums.units, controls, by.confidence)?;
    files.replace(&sums, by)?;
    Ok(Measured { units: sums.units, notes })
}

/// A run that can be measured.
struct Recording {
    labels: LabelTable,
    store: ActivationStore,
}

impl Recording {
    fn open(run: &Path) -> Result<Self> {
        let labels = run.join(crate::record::LABELS);
        if !labels.is_file() {
            let things = RunManifest::read(run).map_or("images", |manifest| manifest.things());
            let expected =
                format!("a run with labels.csv, of {things} that had labels beside them (snellen record --help)");
            return Err(Error::mismatch(run.display(), expected, "none"));
        }
        let store = ActivationStore::open(&run.join(crate::record::ACTIVATIONS))?;
        Ok(Self { labels: read_labels(&labels)?, store })
    }

    /// Measures every array but those of single tokens.
    fn measure(&self, measuring: &mut Measuring<'_>, sink: &mut dyn Sink, progress: &dyn Progress) -> Result<()> {
        let arrays: Vec<_> = self.store.arrays().iter().filter(|a| a.id.policy != TokenPolicy::All).collect();
        for (done, array) in arrays.iter().enumerate() {
            progress.advance(done, arrays.len());
            let pooled = |array: &Layout| array.id.policy == TokenPolicy::Pooled;
            // Units of pooled sites have no map to show: they are shown only where nothing else was recorded.
            let shown = !pooled(array) || arrays.iter().all(|array| pooled(array));
            let (site, tokens) = (array.id.units(), array.id.policy.to_string());
            let name = SiteName { site, tokens, path: array.path(), shown };
            measuring.site(name, &Array::open(&self.store, array, BLOCK_VALUES)?, sink, progress)?;
        }
        progress.advance(arrays.len(), arrays.len());
        Ok(())
    }
}

/// Activations of others, to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Acts<'a> {
    /// Safetensors, .npy or .npz with tensors `[image, unit]`.
    pub file: &'a Path,
    /// The tensors to measure, in this order; where empty, all that can only be activations.
    pub tensors: &'a [String],
    /// What the images show, in the order of the rows.
    pub labels: &'a Path,
    /// The factors of the labels to take, as [`read_label_columns`] takes them; all where empty.
    pub label_columns: &'a [String],
}

/// What was measured, and what is worth a line about the files.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The sum of it.
    pub units: Units,
    /// Tensors that were left alone, numbers that are not finite.
    pub notes: Vec<String>,
}

/// Measures activations of others, whose rows are those of their labels; writes the same tables into the existing folder `out`.
/// `second` as in [`measure_run`]; `controls` are files with the same tensors from untrained models.
///
/// # Errors
/// When a file is malformed, or a tensor has not a row for each image.
pub fn measure_given(
    acts: Acts<'_>,
    second: Option<Second<'_>>,
    controls: &[PathBuf],
    out: &Path,
    criterion: &Criterion,
    progress: &dyn Progress,
) -> Result<Measured> {
    let labels = read_label_columns(acts.labels, acts.label_columns)?;
    distinct(acts.file, controls)?;
    let mut given = Given::open(acts.file, acts.tensors, labels.rows.len(), acts.labels)?;
    let mut measuring = Measuring::begin(&labels, second, criterion)?;
    let mut seen = drop;
    let mut files = Files::begin(out, measuring.concepts(), &mut seen)?;
    measuring.given(&mut given, &mut files, progress)?;
    let (mut notes, mut models) = ([given.notes, measuring.notes()].concat(), Vec::new());
    for control in controls {
        let mut given = Given::open(control, &given.names, labels.rows.len(), acts.labels)?;
        let mut measuring = Measuring::begin(&labels, None, criterion)?;
        measuring.given(&mut given, &mut (), progress)?;
        notes.extend(given.notes);
        models.push(measuring.sums().units.sites);
    }
    let mut sums = measuring.sums();
    beside(&mut sums.units, &as_controls(models), criterion.confidence)?;
    files.replace(&sums, criterion)?;
    Ok(Measured { units: sums.units, notes })
}

/// Measures matrices `[image, unit]` in memory, each under the name of its site, against the labels of their rows.
///
/// # Errors
/// When there is no concept to measure, or a matrix has not a row for each of `labels`.
pub fn measure_matrices(sites: Vec<(String, Matrix)>, labels: &LabelTable, by: &Criterion) -> Result<Tables> {
    let (mut measuring, mut held) = (Measuring::begin(labels, None, by)?, Held::default());
    for (name, matrix) in sites {
        if matrix.images() != labels.rows.len() {
            return Err(Error::mismatch(name, format!("{} rows, as labels", labels.rows.len()), matrix.images()));
        }
        measuring.site(SiteName::given(&name), &Array::of(matrix), &mut held, &())?;
    }
    let concepts = measuring.concepts().to_vec();
    Ok(held.with(measuring.sums(), concepts))
}

/// The top images of the strongest units and of the clearest, each under the unit's own map of it.
pub(crate) fn pictures(model: &Model, source: &FolderSource, units: &Units) -> Result<[Vec<Vec<Picture>>; 2]> {
    let of_unit = |[site, tokens]: [&str; 2], unit: u32, lowered: bool, rows: &[usize]| {
        let paths: Vec<_> = rows.iter().map(|row| source.path(*row)).collect();
        let ArrayId { site, basis, .. } = format!("{site}/{tokens}").parse()?;
        if let Some(basis) = basis {
            let expected = "units of the site itself, as the forward has no latents";
            return Err(Error::mismatch(format!("maps of unit {unit} of `{site}`"), expected, format!("`{basis}`")));
        }
        unit_maps(model, &paths, site, unit as usize, lowered)
    };
    let strongest = units
        .strongest
        .iter()
        .map(|card| of_unit([&card.site, &card.tokens], card.unit, card.effect < 0.0, &card.top_images));
    let clearest = units
        .clearest
        .iter()
        .map(|card| of_unit([&card.site, &card.tokens], card.unit, card.lowered, &card.top_images));
    Ok([strongest.collect::<Result<_>>()?, clearest.collect::<Result<_>>()?])
}
