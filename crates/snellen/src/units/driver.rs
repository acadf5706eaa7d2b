//! From a recording to unit measures, and from those to pictures of the strongest units.

use super::blocks::{Array, BLOCK_VALUES};
use super::cards::Cards;
use super::controls::{Untrained, beside};
use super::given::Given;
use super::maps::unit_maps;
use super::second::{Second, SecondEncoder};
use crate::measure::Design;
use crate::measure::Matrix;
use crate::measure::co_encoding::co_encoding;
use crate::measure::concepts_table::{SiteConcepts, write_concepts};
use crate::measure::encodes::{Criterion, Encodings, UnitConcept};
use crate::measure::factorial::{Rule, decompose_in_blocks};
use crate::measure::mark::{self, TableSet};
use crate::measure::pairs_table::{SitePairs, write_pairs};
use crate::measure::sites_table::{SiteRow, write_sites};
use crate::measure::superposition::{SiteGeometry, Superposition};
use crate::measure::table::UnitConcepts;
use crate::measure::terms::{FEWEST, Terms};
use crate::measure::units_table::{UnitRow, write_units};
use crate::model::Model;
use crate::output::Claim;
use crate::record::{ActivationStore, ArrayId, FolderSource, Layout, Progress, RunManifest, TokenPolicy};
use crate::report::{PairCard, Picture, SiteUnits, Units};
use crate::scene::labels::LabelTable;
use crate::scene::labels_csv::read_labels;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Pairs that the report shows.
const PAIRS: usize = 8;

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
    measure(run, second, &as_controls(models), by, progress).map(|(measured, _)| measured)
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
pub(crate) fn sites(run: &Path, criterion: &Criterion, progress: &dyn Progress) -> Result<Vec<SiteUnits>> {
    Ok(measuring(run, None, criterion, progress)?.units.sites)
}

/// As [`measure_run`], with the pairs of every site.
pub(crate) fn measure(
    run: &Path,
    second: Option<Second<'_>>,
    controls: &[Untrained],
    criterion: &Criterion,
    progress: &dyn Progress,
) -> Result<(Measured, Vec<SitePairs>)> {
    let _claim = if run.is_dir() { Some(Claim::on(&run.join(mark::FILE))?) } else { None };
    let mut measuring = measuring(run, second, criterion, progress)?;
    beside(&mut measuring.units, controls, criterion.confidence)?;
    let notes = measuring.notes();
    let (units, pairs) = measuring.finish(run)?;
    Ok((Measured { units, notes }, pairs))
}

fn measuring<'a>(
    run: &Path,
    second: Option<Second<'_>>,
    criterion: &'a Criterion,
    progress: &dyn Progress,
) -> Result<Measuring<'a>> {
    let labels = run.join(crate::record::LABELS);
    if !labels.is_file() {
        let things = RunManifest::read(run).map_or("images", |manifest| manifest.things());
        let expected =
            format!("a run with labels.csv, of {things} that had labels beside them (snellen record --help)");
        return Err(Error::mismatch(run.display(), expected, "none"));
    }
    let store = ActivationStore::open(&run.join(crate::record::ACTIVATIONS))?;
    let mut measuring = Measuring::begin(&read_labels(&labels)?, second, criterion)?;
    let arrays: Vec<_> = store.arrays().iter().filter(|a| a.id.policy != TokenPolicy::All).collect();
    for (done, array) in arrays.iter().enumerate() {
        progress.advance(done, arrays.len());
        let name = [array.id.units(), array.id.policy.to_string()];
        // Units of pooled sites have no map to show: they are shown only where nothing else was recorded.
        let pooled = |array: &Layout| array.id.policy == TokenPolicy::Pooled;
        let shown = !pooled(array) || arrays.iter().all(|array| pooled(array));
        measuring.site(name, array.path(), &Array::open(&store, array, BLOCK_VALUES)?, shown, progress)?;
    }
    progress.advance(arrays.len(), arrays.len());
    Ok(measuring)
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
    let labels = read_labels(acts.labels)?;
    distinct(acts.file, controls)?;
    let mut given = Given::open(acts.file, acts.tensors, labels.rows.len(), acts.labels)?;
    let mut measuring = Measuring::begin(&labels, second, criterion)?;
    measuring.given(&mut given, progress)?;
    let (mut notes, mut models) = ([given.notes, measuring.notes()].concat(), Vec::new());
    for control in controls {
        let mut given = Given::open(control, &given.names, labels.rows.len(), acts.labels)?;
        let mut measuring = Measuring::begin(&labels, None, criterion)?;
        measuring.given(&mut given, progress)?;
        notes.extend(given.notes);
        models.push(measuring.units.sites);
    }
    beside(&mut measuring.units, &as_controls(models), criterion.confidence)?;
    Ok(Measured { units: measuring.finish(out)?.0, notes })
}

/// Sites, measured one after another.
struct Measuring<'a> {
    criterion: &'a Criterion,
    design: Design,
    /// `None` of too few images to tell classes apart.
    terms: Option<Terms>,
    units: Units,
    cards: Cards,
    cells: Vec<(String, Vec<UnitConcept>)>,
    rows: Vec<(String, Vec<UnitRow>)>,
    pairs: Vec<SitePairs>,
    factors: Vec<String>,
    /// `None` of too few images.
    superposition: Option<Superposition>,
    second: Option<SecondEncoder>,
    ms_by_chance: Option<f64>,
}

impl<'a> Measuring<'a> {
    fn begin(labels: &LabelTable, second: Option<Second<'_>>, criterion: &'a Criterion) -> Result<Self> {
        let design = Design::from_labels(labels)?;
        let units = Units {
            concepts: design.concepts().iter().map(ToString::to_string).collect(),
            q: criterion.q,
            min_effect: criterion.min_effect,
            images: design.images(),
            sites: Vec::new(),
            strongest: Vec::new(),
            clearest: Vec::new(),
            interference: Vec::new(),
            controls: Vec::new(),
            pixels: None,
        };
        let cards = Cards::new(&design, criterion.seed);
        let terms = (labels.rows.len() >= FEWEST).then(|| Terms::of(labels)).transpose()?;
        Ok(Self {
            criterion,
            design,
            terms,
            units,
            cards,
            cells: Vec::new(),
            rows: Vec::new(),
            pairs: Vec::new(),
            factors: labels.factors.iter().map(|factor| factor.name.clone()).collect(),
            superposition: Superposition::of(labels, criterion)?,
            second: second.map(|second| SecondEncoder::open(second, labels.rows.len())).transpose()?,
            ms_by_chance: None,
        })
    }

    /// Measures all tensors of a file.
    fn given(&mut self, given: &mut Given, progress: &dyn Progress) -> Result<()> {
        let names = given.names.clone();
        for (done, name) in names.iter().enumerate() {
            progress.advance(done, names.len());
            let array = Array::of(given.matrix(name)?);
            self.site([name.clone(), String::new()], name.clone(), &array, true, progress)?;
        }
        progress.advance(names.len(), names.len());
        Ok(())
    }

    /// What is worth a line about the second encoder's file.
    fn notes(&self) -> Vec<String> {
        self.second.iter().flat_map(|second| second.notes.clone()).collect()
    }

    /// Measures one site; `path` is what tables call it.
    fn site(
        &mut self,
        [site, tokens]: [String; 2],
        path: String,
        values: &Array<'_>,
        shown: bool,
        progress: &dyn Progress,
    ) -> Result<()> {
        let design = &self.design;
        let Encodings { cells, summary } = values.encodes(design, self.criterion, progress)?;
        let rule = Rule::standard(self.criterion.q);
        let decomposed = self.terms.as_ref().map(|terms| decompose_in_blocks(values.blocks(progress), terms, &rule));
        let decomposed = decomposed.transpose()?.unwrap_or_default();
        let mut classes = BTreeMap::new();
        decomposed.iter().for_each(|unit| *classes.entry(unit.class).or_insert(0) += 1);
        let mut rows = Vec::new();
        for block in values.blocks(progress).filter(|_| !decomposed.is_empty()) {
            let (block, first) = (block?, rows.len());
            let units = first..first + block.units();
            let concepts = design.concepts().len();
            let cells = &cells[first * concepts..units.end * concepts];
            let mut of_block = UnitRow::of(&block, first, design, cells, &decomposed[units]);
            if let Some(second) = &self.second {
                let scores = second.scores(&block)?;
                of_block.iter_mut().zip(scores.units).for_each(|(row, ms)| row.ms = ms);
                self.ms_by_chance = scores.by_chance;
            }
            rows.extend(of_block);
        }
        if shown {
            self.cards.site([&site, &tokens], values, (design, &self.factors), &cells, &rows)?;
        }
        let together = self.superposition.as_ref();
        let geometry = together.map(|of| of.measure(summary.units, values.blocks(progress))).transpose()?;
        let shared = co_encoding(&cells, design.concepts().len())?;
        self.units.sites.push(SiteUnits {
            site,
            tokens,
            units: summary.units,
            flagged: summary.flagged.len(),
            encoding: summary.encoding,
            null: summary.null,
            classes,
            together: geometry.as_ref().map(|of| of.together.clone()),
            controls: Vec::new(),
        });
        self.pairs.push(SitePairs { site: path.clone(), shared, geometry });
        self.cells.push((path.clone(), cells));
        self.rows.push((path, rows));
        Ok(())
    }

    /// What all sites give.
    fn done(self) -> Tables {
        let Self { design, mut units, cards, cells, rows, pairs, ms_by_chance, .. } = self;
        let last = pairs.last().and_then(|of| Some(interfering(of, of.geometry.as_ref()?, &units.concepts)));
        units.interference = last.unwrap_or_default();
        (units.strongest, units.clearest) = cards.finish();
        let cells = UnitConcepts { concepts: design.concepts().to_vec(), sites: cells };
        Tables { units, cells, rows, pairs, ms_by_chance }
    }

    /// Writes the tables into `folder`, in place of others.
    fn finish(self, folder: &Path) -> Result<(Units, Vec<SitePairs>)> {
        let criterion = *self.criterion;
        let set = TableSet::begin(folder)?;
        let tables = self.done();
        tables.write(set.path())?;
        set.replace(&criterion)?;
        Ok((tables.units, tables.pairs))
    }
}

/// All that was measured, in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Tables {
    /// The sum of it.
    pub units: Units,
    /// A cell for every site, unit and concept.
    pub cells: UnitConcepts,
    /// By site, a row for every unit; no rows where there are too few images to tell classes apart.
    pub rows: Vec<(String, Vec<UnitRow>)>,
    /// By site, its pairs of concepts.
    pub pairs: Vec<SitePairs>,
    /// The monosemanticity score that chance gives; `None` without a second encoder.
    pub ms_by_chance: Option<f64>,
}

impl Tables {
    /// Writes `unit_concepts.parquet`, `units.parquet`, `pairs.parquet`, `concepts.parquet` and `sites.parquet` into `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let Self { units, cells, rows, pairs, ms_by_chance } = self;
        cells.write(&folder.join("unit_concepts.parquet"))?;
        write_pairs(&folder.join("pairs.parquet"), &units.concepts, pairs)?;
        write_units(&folder.join("units.parquet"), rows)?;
        let each = || pairs.iter().zip(&units.sites);
        let concepts = each().map(|(of, site)| SiteConcepts {
            site: &of.site,
            units: &site.encoding.per_concept,
            geometry: of.geometry.as_ref(),
            controls: &site.controls,
        });
        write_concepts(&folder.join("concepts.parquet"), &units.concepts, &concepts.collect::<Vec<_>>())?;
        let sites = each().map(|(of, site)| SiteRow {
            site: &of.site,
            units: site.units,
            classes: &site.classes,
            together: site.together.as_ref(),
            ms_by_chance: *ms_by_chance,
            encoding: site.encoding.any,
            controls: &site.controls,
        });
        write_sites(&folder.join("sites.parquet"), &sites.collect::<Vec<_>>())
    }
}

/// Measures matrices `[image, unit]` in memory, each under the name of its site, against the labels of their rows.
///
/// # Errors
/// When there is no concept to measure, or a matrix has not a row for each of `labels`.
pub fn measure_matrices(sites: Vec<(String, Matrix)>, labels: &LabelTable, by: &Criterion) -> Result<Tables> {
    let mut measuring = Measuring::begin(labels, None, by)?;
    for (name, matrix) in sites {
        if matrix.images() != labels.rows.len() {
            return Err(Error::mismatch(name, format!("{} rows, as labels", labels.rows.len()), matrix.images()));
        }
        measuring.site([name.clone(), String::new()], name, &Array::of(matrix), true, &())?;
    }
    Ok(measuring.done())
}

/// The pairs of concepts of a site of which one moves the probe of the other most.
fn interfering(site: &SitePairs, of: &SiteGeometry, concepts: &[String]) -> Vec<PairCard> {
    let both = of.pairs.iter().flat_map(|pair| {
        let directed = [(pair.a, pair.b, pair.interference_ab), (pair.b, pair.a, pair.interference_ba)];
        directed.map(|(moved, by, interference)| interference.map(|interference| (pair, moved, by, interference)))
    });
    let mut cards: Vec<PairCard> = both
        .flatten()
        .map(|(pair, moved, by, interference)| PairCard {
            site: site.site.clone(),
            of: concepts[moved].clone(),
            by: concepts[by].clone(),
            interference,
            cos_cv: pair.cos_cv,
        })
        .collect();
    // By what is sure of them.
    let sure = |card: &PairCard| card.interference.lo.max(-card.interference.hi);
    cards.sort_by(|a, b| sure(b).total_cmp(&sure(a)));
    cards.truncate(PAIRS);
    cards.retain(|card| sure(card) > 0.0);
    cards
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
