//! A recording that is gone on with though it is finished: whether it is the one that was asked for.

use super::IMAGES;
use super::images::read_images;
use super::plan::{Plan, difference};
use super::run::{self, RunManifest};
use super::skipped::{self, Skipped};
use super::source::Source;
use crate::{Error, Result};
use serde_json::json;
use std::ops::Range;
use std::path::Path;

/// The finished run in `out`, of images.
///
/// # Errors
/// When it isn't one of `plan` with the images of `rows` of `source`; names what differs first.
pub(super) fn finished(out: &Path, plan: &Plan, source: &dyn Source, rows: Range<usize>) -> Result<RunManifest> {
    let run = of_plan(out, plan)?;
    let skipped = run.images.as_ref().and_then(|images| images.skipped.as_ref());
    let passed = match skipped {
        Some(_) => Skipped::read(&out.join(skipped::FILE))?.0,
        None => Vec::new(),
    };
    let other = |row: usize, name: &str| {
        let asked = if rows.contains(&row) { format!("`{}`", source.name(row)) } else { "none".to_owned() };
        Error::mismatch(format!("{}: row {row}", out.join(IMAGES).display()), format!("`{name}`"), asked)
    };
    let same = |row: usize, name: &str| rows.contains(&row) && source.name(row) == name;
    let mut passed = passed.iter().peekable();
    let mut next = rows.start;
    read_images(&out.join(IMAGES), |image| {
        while passed.next_if(|passed| passed.row == next && same(next, &passed.filename)).is_some() {
            next += 1;
        }
        if !same(next, &image.filename) {
            return Err(other(next, &image.filename));
        }
        next += 1;
        Ok(())
    })?;
    next += passed.count();
    if next == rows.end {
        return Ok(run);
    }
    let place = format!("{}: `images`", out.join(run::FILE).display());
    Err(Error::mismatch(place, format!("{} images", next - rows.start), rows.len()))
}

/// The finished run in `out`; of texts, the plan says all that there is of them.
///
/// # Errors
/// When it isn't one of `plan`; names what differs first.
pub(super) fn of_plan(out: &Path, plan: &Plan) -> Result<RunManifest> {
    let run = RunManifest::read(out)?;
    let place = |key: &str| format!("{}: `{key}`", out.join(run::FILE).display());
    let whole = plan.part.is_none() && run.part.is_none();
    let there = json!({
        "snellen": run.snellen, "model": run.model, "preprocessing": run.preprocessing,
        "images": run.images.as_ref().map(|images| json!({ "scenes": images.scenes })),
        "texts": run.texts.as_ref().map(|texts| json!({
            "hash": whole.then(|| texts.hash.clone()), "ids_hash": texts.ids_hash, "tokenizer_hash": texts.tokenizer_hash,
            "labels_hash": texts.labels_hash, "truncate": texts.truncated.is_some(),
        })),
        "sites": run.sites, "bases": run.bases, "engine": run.engine, "dtype": run.dtype, "seed": run.seed,
        "plan_hash": run.part.as_ref().map(|part| part.plan_hash.clone()),
    });
    let here = json!({
        "snellen": plan.snellen, "model": plan.model, "preprocessing": plan.preprocessing,
        "images": plan.images.as_ref().map(|images| json!({ "scenes": images.scenes })),
        "texts": plan.texts.as_ref().map(|texts| json!({
            "hash": whole.then(|| texts.hash.clone()), "ids_hash": texts.ids_hash, "tokenizer_hash": texts.tokenizer_hash,
            "labels_hash": texts.labels_hash, "truncate": texts.truncate,
        })),
        "sites": plan.sites, "bases": plan.bases, "engine": plan.engine, "dtype": plan.dtype, "seed": plan.seed,
        "plan_hash": run.part.as_ref().map(|_| plan.hash()).transpose()?,
    });
    if let Some((key, there, here)) = difference(&there, &here, "") {
        return Err(Error::mismatch(place(&key), there, here));
    }
    let of = |part: &run::PartRecord| format!("{}/{}", part.index, part.of);
    let (part, asked) = (run.part.as_ref().map(of), plan.part.clone());
    if part != asked {
        let said = |part: Option<String>| part.map_or("the whole run".to_owned(), |part| format!("part {part}"));
        return Err(Error::mismatch(place("part"), said(part), said(asked)));
    }
    Ok(run)
}
