//! From images to a run folder: the stages of [`record()`].

use super::basis::{self, BasisRecord, BasisSites};
use super::edited::{Edits, maps_of_images};
use super::finished::finished;
use super::images::ImageTable;
use super::journal::Journal;
use super::part::Part;
use super::partial::{Partial, Unfinished};
use super::pipeline::{Batch, IN_FLIGHT, Preparation, prepare_ahead};
use super::plan::{ImageList, Plan};
use super::run::{self, ImagesRecord, ModelRecord, PartRecord, RunManifest};
use super::skipped::{self, Met};
use super::source::Source;
use super::{IMAGES, LABELS, Progress, Recorder, Selected, StoreWriter, TokenPolicy};
use crate::engine::{Level, Tape};
use crate::intervene::Edit;
use crate::model::{Model, Tower};
use crate::output::{Claim, fault, write_part};
use crate::{Error, Result, memory};
use std::fs;
use std::ops::Range;
use std::path::Path;

/// What to record.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordConfig {
    /// Names and patterns of sites, as [`select()`](super::select()) reads them.
    pub sites: Vec<String>,
    /// How tokens become rows.
    pub policies: Vec<TokenPolicy>,
    /// Images per forward, at least 1.
    pub batch: usize,
    /// Kept in `run.json`; recording itself draws nothing.
    pub seed: u64,
    /// Which part of the run, where it isn't the whole.
    pub part: Option<Part>,
    /// What becomes of a recording that ends early, and whether an earlier one is gone on with.
    pub unfinished: Unfinished,
    /// Whether pictures that can not be read are listed and passed over. No part of the plan: an unfinished recording may go on
    /// with it that began without.
    pub skip_bad: bool,
    /// What is done to activations, in this order, of images or of texts.
    pub edits: Vec<Edit>,
    /// What is recorded in bases, after the edits; `sites` may then be empty.
    pub bases: Vec<BasisSites>,
}

impl RecordConfig {
    /// Of `sites`, tokens reduced by their mean: 32 images a forward, all of the run, without edits; what ends early is kept.
    pub fn new(sites: &[&str]) -> Self {
        Self {
            sites: sites.iter().map(|site| (*site).to_owned()).collect(),
            policies: vec![TokenPolicy::Mean],
            batch: 32,
            seed: 0,
            part: None,
            unfinished: Unfinished::Keep,
            skip_bad: false,
            edits: Vec::new(),
            bases: Vec::new(),
        }
    }
}

/// Runs the images of `source` through `model` and writes the new run folder `out`.
///
/// While it runs, everything is in the folder `<out>.partial`, which becomes `out` in the end. If it ends early,
/// [`Unfinished`] says what becomes of that folder: gone on with, the run is the same byte for byte as an undisturbed one, and no
/// image is computed anew whose rows were in whole shards of all arrays, or that was done when `progress` last
/// [kept](Progress::may_keep) what there was; unless it is killed, all that was done is kept in the end. A finished run of the same
/// plan that is gone on with is left as it is. Edits are part of the plan, and stand in `run.json`.
///
/// # Errors
/// [`Error::Exists`] if `out` is there already; when another process is recording there; [`Error::Interrupted`] if `progress` says so; refuses what [`select()`](super::select()) refuses, bases that were not made for a site,
/// `object` and `background` without masks or for an image that has none of them, images that do not decode, activations that are
/// not finite, edits that change nothing or need other scenes, and to go on with a recording of other images, another model or another configuration. Of several refused images
/// the first is reported. [`Error::Unfinished`] around any of these says what is kept.
pub fn record(
    model: &Model,
    source: &dyn Source,
    config: &RecordConfig,
    out: &Path,
    progress: &dyn Progress,
) -> Result<RunManifest> {
    let _claim = Claim::on(out)?;
    // Before anything is computed; what was gone on with may have come as far as this.
    if config.unfinished != Unfinished::Resume && out.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: out.to_owned() });
    }
    if config.batch == 0 {
        return Err(Error::mismatch("batch", "at least 1 image", 0));
    }
    let selected = basis::selected(&model.config, Tower::Vision, config)?;
    let masked = selected.iter().flat_map(|site| &site.policies).copied().find(|policy| policy.needs_masks());
    if let (Some(policy), false) = (masked, source.has_masks()) {
        let expected = format!("a folder `masks` beside labels.csv, for the token policy `{policy}`");
        return Err(Error::mismatch(source.place(), expected, "none"));
    }
    let rows = config.part.map_or(Ok(0..source.len()), |part| part.rows(source.len()))?;
    check_memory(model, config.batch.min(rows.len()))?;
    let layouts = basis::layouts(&model.config, &selected, &config.bases, [rows.len(), 0])?;
    let labels = source.labels()?;
    let mut edits = Edits::of(&model.config, Tower::Vision, &config.edits, &selected)?;
    let plan = plan(model, source, config, (selected, &edits), labels.as_deref());

    let Some(partial) = Partial::begin(out, &plan, config.unfinished)? else {
        return finished(out, &plan, source, rows);
    };
    let opened = partial.open(layouts).and_then(|opened| Ok((opened, edits.keep_in(partial.edits())?)));
    let ((mut journal, mut store), anew) = match opened {
        Ok((opened, stay)) => (opened, !stay),
        Err(error) => return Err(partial.abandon(error, 0, rows.len())),
    };
    let count = rows.len();
    let stages = Stages { model, source, plan: &plan, rows, config, masked: masked.is_some() };
    let filled = write_labels(&partial.run(), labels.as_deref())
        .and_then(|()| stages.fill((&mut store, &mut journal), anew, &mut edits, progress));
    if let (Ok(()), Err(error)) = (&filled, edits.check()) {
        drop(journal);
        return Err(partial.refuse(error));
    }
    let finished = filled
        .and_then(|()| stages.complete(&partial.run(), &mut journal, labels.as_deref()))
        .and_then(|run| store.shorten(run.rows()).map(|()| run));
    if finished.is_err() && config.unfinished != Unfinished::Discard {
        // What ended it may be a full disk, which leaves what was kept before.
        let _ = keep(&mut store, &mut journal);
    }
    let kept = store.first_missing_row().min(journal.kept());
    match finished.and_then(|run| store.finish().map(|()| run)) {
        Ok(run) => partial.publish().map(|()| run),
        Err(error) => {
            drop(journal);
            Err(partial.abandon(error, kept, count))
        }
    }
}

/// Refuses batches of `count` pictures that this machine has no memory for: of the pixels of those in flight, and the least that a
/// block makes of one of them.
fn check_memory(model: &Model, count: usize) -> Result<()> {
    let vision = &model.config.vision;
    let tokens = (vision.image / vision.patch.max(1)).pow(2);
    let values = IN_FLIGHT * model.preprocessing.values() + tokens * (4 * vision.tower.width + vision.tower.mlp);
    let bytes = (count as u64).saturating_mul((values * size_of::<f32>()) as u64);
    memory::check("batch", &format!("a batch of {count} pictures"), bytes)
}

/// Makes durable what was done; never rows without their images.
fn keep(store: &mut StoreWriter, journal: &mut Journal) -> Result<()> {
    journal.sync()?;
    store.checkpoint()
}

fn plan(
    model: &Model,
    source: &dyn Source,
    config: &RecordConfig,
    (sites, edits): (Vec<Selected>, &Edits),
    labels: Option<&[u8]>,
) -> Plan {
    let mut names = blake3::Hasher::new();
    for row in 0..source.len() {
        let name = source.name(row);
        names.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
    }
    Plan {
        schema: Plan::SCHEMA,
        snellen: env!("CARGO_PKG_VERSION").to_owned(),
        model: ModelRecord::of(model, edits.records()),
        images: Some(ImageList {
            count: source.len(),
            names_hash: names.finalize().to_hex().to_string(),
            labels_hash: labels.map(|labels| blake3::hash(labels).to_hex().to_string()),
            scenes: source.scenes(),
        }),
        preprocessing: Some(model.preprocessing.clone()),
        texts: None,
        sites,
        bases: BasisRecord::all(&config.bases),
        engine: format!("cpu {}", Level::current()),
        dtype: model.precision.to_string(),
        seed: config.seed,
        part: config.part.map(|part| part.to_string()),
    }
}

fn write_labels(run: &Path, labels: Option<&[u8]>) -> Result<()> {
    labels.map_or(Ok(()), |labels| write_part(&run.join(LABELS), labels))
}

/// What both stages need.
struct Stages<'a> {
    model: &'a Model,
    source: &'a dyn Source,
    plan: &'a Plan,
    /// Of the source.
    rows: Range<usize>,
    config: &'a RecordConfig,
    masked: bool,
}

impl Stages<'_> {
    /// Runs the images that are missing, or all of them `anew`.
    fn fill(
        &self,
        (store, journal): (&mut StoreWriter, &mut Journal),
        anew: bool,
        edits: &mut Edits,
        progress: &dyn Progress,
    ) -> Result<()> {
        let count = self.rows.len();
        if journal.rows() > journal.images() && !self.config.skip_bad {
            let expected = "--skip-bad, as pictures were passed over when recording began";
            let got = format!("none, after {} of them", journal.rows() - journal.images());
            return Err(Error::mismatch(self.source.place(), expected, got));
        }
        let images = if anew { 0 } else { store.first_missing_row().min(journal.images()) };
        let start = journal.rows_of(images)?;
        store.start_at(images)?;
        journal.start_at(start)?;
        progress.advance(start, count);
        let missing = self.rows.start + start..self.rows.end;
        let (preprocessing, vision) = (&self.model.preprocessing, &self.model.config.vision);
        let preparation = Preparation { preprocessing, vision, masked: self.masked, skip_bad: self.config.skip_bad };
        std::thread::scope(|scope| {
            let batches = prepare_ahead(scope, self.source, missing, self.config.batch, preparation)?;
            let mut done = start;
            let mut tape = Tape::off();
            while done < count {
                check_cancelled(progress)?;
                let batch = batches.recv().map_err(|source| Error::malformed("threads for pictures", source))??;
                done += batch.met.len();
                self.run_batch(batch, (store, journal), edits, &mut tape)?;
                progress.advance(done, count);
                progress.may_keep(&mut || keep(store, journal))?;
            }
            check_cancelled(progress)
        })
    }

    fn run_batch(
        &self,
        Batch { met, pictures, pixels }: Batch,
        (store, journal): (&mut StoreWriter, &mut Journal),
        edits: &mut Edits,
        tape: &mut Tape<f32>,
    ) -> Result<()> {
        met.iter().try_for_each(|row| journal.push(row))?;
        if pictures.is_empty() {
            return Ok(());
        }
        // A shard is never there without its images.
        if store.writes_within(pictures.len()) {
            journal.sync()?;
        }
        let (mut names, mut covers) = (Vec::new(), Vec::new());
        for picture in pictures {
            names.push(picture.row.filename);
            covers.extend(picture.cover);
        }
        let recorder = Recorder::new(&self.model.config, &self.plan.sites, store, &names, &covers);
        let mut recorder = recorder.with_grids(&pixels.grids).with_bases(&self.config.bases);
        let maps = || Ok(maps_of_images(&self.model.config, names.len(), &pixels.grids));
        edits.run(&self.model.config, &maps, &mut recorder, &mut |hook| {
            self.model.towers.observe_images(tape, &pixels, hook)
        })?;
        store.place()
    }

    /// Writes what stands beside the activations.
    fn complete(&self, run: &Path, journal: &mut Journal, labels: Option<&[u8]>) -> Result<RunManifest> {
        let path = run.join(IMAGES);
        // An earlier recording may have come as far as this.
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).map_err(Error::io(&path))?;
        }
        fault::point(&path)?;
        let mut table = ImageTable::create(&path)?;
        let mut passed = Vec::new();
        journal.read(|met| match met {
            Met::Image(row) => table.push(row),
            Met::Skipped(row) => {
                passed.push(row);
                Ok(())
            }
        })?;
        if journal.images() == 0 {
            let (place, expected) = match self.config.part {
                Some(part) => (
                    format!("{}, part {part}", self.source.place()),
                    "a picture that can be read in every part (with fewer parts there may be one)",
                ),
                None => (self.source.place(), "a picture that can be read"),
            };
            return Err(Error::mismatch(place, expected, format!("{} that can not", passed.len())));
        }
        let hash = table.finish()?.to_hex().to_string();
        let skipped = skipped::write(run, &passed)?;
        let part = self.config.part;
        // The labels of a part are those of all parts: which rows are missing is known when these are put together.
        let labels_hash = match labels {
            Some(labels) if part.is_none() => Some(skipped::write_labels(run, labels, &passed)?),
            labels => labels.map(|labels| blake3::hash(labels).to_hex().to_string()),
        };
        let plan = self.plan.clone();
        let manifest = RunManifest {
            schema: run::SCHEMA,
            kind: run::KIND.to_owned(),
            snellen: plan.snellen,
            model: plan.model,
            images: Some(ImagesRecord {
                count: journal.images(),
                hash,
                labels_hash,
                scenes: self.source.scenes(),
                passed_over: self.source.passed_over().to_vec(),
                skipped,
            }),
            preprocessing: plan.preprocessing,
            texts: None,
            sites: plan.sites,
            bases: plan.bases,
            engine: plan.engine,
            dtype: plan.dtype,
            seed: plan.seed,
            part: part.map(|part| part_record(part, &self.rows, self.source.len(), self.plan)).transpose()?,
        };
        manifest.write(run)?;
        Ok(manifest)
    }
}

/// What `run.json` says of a `part`, which has `rows` of `count`.
pub(super) fn part_record(part: Part, rows: &Range<usize>, count: usize, plan: &Plan) -> Result<PartRecord> {
    Ok(PartRecord { index: part.index(), of: part.of(), first_row: rows.start, rows: count, plan_hash: plan.hash()? })
}

pub(super) fn check_cancelled(progress: &dyn Progress) -> Result<()> {
    if progress.is_cancelled() {
        return Err(Error::Interrupted { kept: String::new() });
    }
    Ok(())
}
