//! From texts to a run folder: the stages of [`record_texts()`].

use super::Texts;
use super::lengths::Lengths;
use super::recorder::TextRecorder;
use super::table::{TextEntry, TextTable};
use crate::engine::{Level, Tape};
use crate::intervene::TokenMap;
use crate::model::{Model, Tower};
use crate::output::{Claim, fault, write_part};
use crate::record::basis::{self, BasisRecord};
use crate::record::edited::Edits;
use crate::record::finished::of_plan;
use crate::record::partial::Partial;
use crate::record::plan::{Plan, TextList};
use crate::record::recording::{check_cancelled, part_record};
use crate::record::run::{self, ModelRecord, TextsRecord};
use crate::record::{LABELS, Progress, RecordConfig, RunManifest, Selected, StoreWriter, TEXTS, Unfinished};
use crate::{Error, Result};
use std::fs;
use std::ops::Range;
use std::path::Path;

/// Runs `texts` through the text tower of `model` and writes the new run folder `out`, as [`record()`](crate::record::record()) does of
/// images; `truncate` cuts texts that are longer than the tower takes. [`RecordConfig::skip_bad`] says nothing here.
///
/// # Errors
/// As [`record()`](crate::record::record()) of everything but images; when the model has no text tower, or a text is refused, by file
/// and row.
pub fn record_texts(
    model: &Model,
    (texts, truncate): (&Texts, bool),
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
        return Err(Error::mismatch("batch", "at least 1 text", 0));
    }
    model.config.text()?;
    let selected = basis::selected(&model.config, Tower::Text, config)?;
    let lengths = Lengths::of(model, texts, truncate)?;
    let rows = config.part.map_or(Ok(0..texts.rows.len()), |part| part.rows(texts.rows.len()))?;
    let layouts = basis::layouts(&model.config, &selected, &config.bases, [rows.len(), lengths.tokens])?;
    let mut edits = Edits::of(&model.config, Tower::Text, &config.edits, &selected)?;
    let plan = plan(model, (texts, truncate), &lengths, config, (selected, &edits))?;

    let Some(partial) = Partial::begin(out, &plan, config.unfinished)? else { return of_plan(out, &plan) };
    // All rows are in the plan: the journal has none, and is locked while this runs.
    let opened = partial.open(layouts).and_then(|opened| Ok((opened, edits.keep_in(partial.edits())?)));
    let ((journal, mut store), anew) = match opened {
        Ok((opened, stay)) => (opened, !stay),
        Err(error) => return Err(partial.abandon(error, 0, rows.len())),
    };
    let count = rows.len();
    let stages = Stages { model, texts, truncate, lengths: &lengths, plan: &plan, rows, config };
    let filled = stages.fill(&mut store, anew, &mut edits, progress);
    if let (Ok(()), Err(error)) = (&filled, edits.check()) {
        drop(journal);
        return Err(partial.refuse(error));
    }
    let finished = filled.and_then(|()| stages.complete(&partial.run()));
    if finished.is_err() && config.unfinished != Unfinished::Discard {
        // What ended it may be a full disk, which leaves what was kept before.
        let _ = store.checkpoint();
    }
    let kept = store.first_missing_row();
    match finished.and_then(|run| store.finish().map(|()| run)) {
        Ok(run) => partial.publish().map(|()| run),
        Err(error) => {
            drop(journal);
            Err(partial.abandon(error, kept, count))
        }
    }
}

fn plan(
    model: &Model,
    (texts, truncate): (&Texts, bool),
    lengths: &Lengths,
    config: &RecordConfig,
    (sites, edits): (Vec<Selected>, &Edits),
) -> Result<Plan> {
    let mut hasher = blake3::Hasher::new();
    (0..texts.rows.len()).for_each(|row| entry(texts, lengths, row).hash(&mut hasher));
    Ok(Plan {
        schema: Plan::SCHEMA,
        snellen: env!("CARGO_PKG_VERSION").to_owned(),
        model: ModelRecord::of(model, edits.records()),
        images: None,
        preprocessing: None,
        texts: Some(TextList {
            count: texts.rows.len(),
            hash: hasher.finalize().to_hex().to_string(),
            ids_hash: lengths.ids_hash.clone(),
            tokenizer_hash: model.tokenizer()?.hash().to_owned(),
            tokens: lengths.tokens,
            truncate,
            labels_hash: texts.labels.as_ref().map(|labels| blake3::hash(labels).to_hex().to_string()),
            scenes: texts.scenes.clone(),
        }),
        sites,
        bases: BasisRecord::all(&config.bases),
        engine: format!("cpu {}", Level::current()),
        dtype: model.precision.to_string(),
        seed: config.seed,
        part: config.part.map(|part| part.to_string()),
    })
}

/// Row `row` of all texts, as the table has it.
fn entry(texts: &Texts, lengths: &Lengths, row: usize) -> TextEntry {
    let (text, length) = (&texts.rows[row], &lengths.rows[row]);
    TextEntry {
        filename: text.filename.clone(),
        text: text.text.clone(),
        tokens: length.own.len() as u32,
        start: length.own.start as u32,
        end: length.end as u32,
    }
}

/// What both stages need.
struct Stages<'a> {
    model: &'a Model,
    texts: &'a Texts,
    truncate: bool,
    lengths: &'a Lengths,
    plan: &'a Plan,
    /// Of all texts.
    rows: Range<usize>,
    config: &'a RecordConfig,
}

impl Stages<'_> {
    /// Runs the texts that are missing, or all of them `anew`.
    fn fill(&self, store: &mut StoreWriter, anew: bool, edits: &mut Edits, progress: &dyn Progress) -> Result<()> {
        let (count, tokenizer) = (self.rows.len(), self.model.tokenizer()?);
        let mut done = if anew { 0 } else { store.first_missing_row() };
        store.start_at(done)?;
        progress.advance(done, count);
        let mut tape = Tape::off();
        while done < count {
            check_cancelled(progress)?;
            let rows = self.rows.start + done..self.rows.end.min(self.rows.start + done + self.config.batch);
            done += rows.len();
            let batch: Vec<&str> = self.texts.rows[rows.clone()].iter().map(|row| row.text.as_str()).collect();
            let tokens = if self.truncate { tokenizer.encode_truncated(&batch) } else { tokenizer.encode(&batch) }?;
            let place = |row| self.texts.place(row);
            let mut recorder = TextRecorder {
                config: &self.model.config,
                selected: &self.plan.sites,
                bases: &self.config.bases,
                store,
                lengths: self.lengths,
                rows,
                place: &place,
            };
            let maps = || TokenMap::of_tokens(&tokens, tokenizer);
            edits.run(&self.model.config, &maps, &mut recorder, &mut |hook| {
                self.model.towers.observe_texts(&mut tape, &tokens, hook)
            })?;
            store.place()?;
            progress.advance(done, count);
            progress.may_keep(&mut || store.checkpoint())?;
        }
        check_cancelled(progress)
    }

    /// Writes what stands beside the activations.
    fn complete(&self, run: &Path) -> Result<RunManifest> {
        let path = run.join(TEXTS);
        // An earlier recording may have come as far as this.
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).map_err(Error::io(&path))?;
        }
        fault::point(&path)?;
        let mut table = TextTable::create(&path)?;
        self.rows.clone().try_for_each(|row| table.push(entry(self.texts, self.lengths, row)))?;
        let hash = table.finish()?.to_hex().to_string();
        // The labels of a part are those of all parts, as of images.
        if let Some(labels) = &self.texts.labels {
            write_part(&run.join(LABELS), labels)?;
        }
        let (plan, part) = (self.plan.clone(), self.config.part);
        let texts = plan.texts.map(|list| TextsRecord {
            count: self.rows.len(),
            hash,
            ids_hash: list.ids_hash,
            tokenizer_hash: list.tokenizer_hash,
            tokens: list.tokens,
            truncated: self.truncate.then(|| self.lengths.cut()),
            labels_hash: list.labels_hash,
            scenes: list.scenes,
            passed_over: self.texts.passed_over.clone(),
        });
        let manifest = RunManifest {
            schema: run::SCHEMA,
            kind: run::TEXTS_KIND.to_owned(),
            snellen: plan.snellen,
            model: plan.model,
            images: None,
            preprocessing: None,
            texts,
            sites: plan.sites,
            bases: plan.bases,
            engine: plan.engine,
            dtype: plan.dtype,
            seed: plan.seed,
            part: part.map(|part| part_record(part, &self.rows, self.texts.rows.len(), self.plan)).transpose()?,
        };
        manifest.write(run)?;
        Ok(manifest)
    }
}
