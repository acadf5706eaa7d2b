//! Parts of a run become the run: the same bytes as if it had been recorded in one go.

use super::images::{ImageTable, read_images};
use super::part::Part;
use super::picture::read_bytes;
use super::plan::difference;
use super::run::{FILE, PartRecord, RunManifest};
use super::skipped::{self, Skipped};
use super::texts::table::{TextTable, read_texts};
use super::{ACTIVATIONS, ActivationStore, IMAGES, LABELS, Layout, Progress, Selected, StoreWriter, TEXTS};
use crate::output::StagedDir;
use crate::scene::labels_csv::MAX_BYTES;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A part, and what its `run.json` says.
struct Piece {
    folder: PathBuf,
    run: RunManifest,
    part: Part,
    record: PartRecord,
    store: ActivationStore,
}

/// Puts `parts`, run folders of parts in any order, together into the new run folder `out`; memory holds a shard of one array.
///
/// # Errors
/// [`Error::Exists`] if `out` is there already; when another process is writing it; [`Error::Interrupted`] if `progress` says so, and nothing is left. Refuses folders
/// that are no parts, a part that is missing or there twice, parts that were not recorded by one plan, and a part whose images,
/// labels or arrays are not what its `run.json` says.
pub fn merge(parts: &[PathBuf], out: &Path, progress: &dyn Progress) -> Result<RunManifest> {
    let staged = StagedDir::begin(out)?;
    let pieces = ordered(parts)?;
    let Some(first) = pieces.first() else { return Err(Error::mismatch("parts", "at least one", "none")) };
    pieces.iter().try_for_each(|piece| piece.check_against(first))?;
    let rows: usize = pieces.iter().map(|piece| piece.run.rows()).sum();
    let whole = |layout: &Layout| {
        let mut layout = layout.clone();
        layout.shape[0] = rows;
        layout
    };
    let layouts: Vec<Layout> = first.store.arrays().iter().map(whole).collect();

    let folder = staged.path();
    let mut run = first.run.clone();
    if let Some(images) = &mut run.images {
        (images.count, images.hash) = (rows, merge_images(&pieces, folder)?);
        let mut passed = Vec::new();
        pieces.iter().try_for_each(|piece| piece.add_skipped(&mut passed))?;
        images.labels_hash = first.copy_labels(images.labels_hash.as_ref(), folder, &passed)?;
        images.skipped = skipped::write(folder, &passed)?;
    }
    if let Some(texts) = &mut run.texts {
        (texts.count, texts.hash) = (rows, merge_texts(&pieces, folder)?);
        texts.labels_hash = first.copy_labels(texts.labels_hash.as_ref(), folder, &[])?;
    }
    let mut store = StoreWriter::create(&folder.join(ACTIVATIONS), layouts.clone())?;
    let (mut done, total) = (0, layouts.len() * rows);
    progress.advance(done, total);
    for layout in &layouts {
        for piece in &pieces {
            piece.copy_array(layout, &mut store, &mut |rows| {
                done += rows;
                progress.advance(done, total);
                if progress.is_cancelled() {
                    return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
                }
                Ok(())
            })?;
        }
    }
    store.finish()?;
    run.part = None;
    run.write(folder)?;
    staged.publish()?;
    Ok(run)
}

/// The image tables of all parts as one; its hash.
fn merge_images(pieces: &[Piece], folder: &Path) -> Result<String> {
    let mut table = ImageTable::create(&folder.join(IMAGES))?;
    for piece in pieces {
        let path = piece.folder.join(IMAGES);
        let said = piece.run.images.as_ref().map(|images| (images.count, images.hash.as_str()));
        checked(&path, said, read_images(&path, |row| table.push(row))?)?;
    }
    Ok(table.finish()?.to_hex().to_string())
}

/// The text tables of all parts as one; its hash.
fn merge_texts(pieces: &[Piece], folder: &Path) -> Result<String> {
    let mut table = TextTable::create(&folder.join(TEXTS))?;
    for piece in pieces {
        let path = piece.folder.join(TEXTS);
        let said = piece.run.texts.as_ref().map(|texts| (texts.count, texts.hash.as_str()));
        checked(&path, said, read_texts(&path, |row| table.push(row))?)?;
    }
    Ok(table.finish()?.to_hex().to_string())
}

/// Whether the table at `path` has the rows and the hash that `run.json` says.
fn checked(path: &Path, said: Option<(usize, &str)>, (rows, hash): (usize, blake3::Hash)) -> Result<()> {
    let (count, expected) = said.unwrap_or_default();
    if (rows, hash.to_hex().as_str()) != (count, expected) {
        let expected = format!("{count} rows of hash {expected}, as run.json says");
        return Err(Error::mismatch(path.display(), expected, format!("{rows} of {hash}")));
    }
    Ok(())
}

/// The parts in their order: each once, none missing.
fn ordered(parts: &[PathBuf]) -> Result<Vec<Piece>> {
    let mut pieces = parts.iter().map(|folder| Piece::open(folder)).collect::<Result<Vec<_>>>()?;
    pieces.sort_by_key(|piece| piece.part);
    for (k, piece) in pieces.iter().enumerate() {
        let of = pieces[0].part.of();
        let place = piece.folder.join(FILE);
        if piece.part.of() != of {
            return Err(Error::mismatch(
                place.display(),
                format!("a part of {of}, as {}", pieces[0].folder.display()),
                piece.part,
            ));
        }
        if piece.part.index() <= k {
            let before = pieces[k - 1].folder.display();
            return Err(Error::mismatch(
                place.display(),
                "every part once",
                format!("{} again, as {before}", piece.part),
            ));
        }
        if piece.part.index() > k + 1 {
            return Err(missing(k + 1, of));
        }
    }
    match pieces.first() {
        Some(first) if pieces.len() < first.part.of() => Err(missing(pieces.len() + 1, first.part.of())),
        _ => Ok(pieces),
    }
}

fn missing(index: usize, of: usize) -> Error {
    Error::mismatch("parts", format!("all {of}"), format!("no part {index}/{of}"))
}

impl Piece {
    fn open(folder: &Path) -> Result<Self> {
        let run = RunManifest::read(folder)?;
        let path = folder.join(FILE);
        let none = || Error::mismatch(format!("{}: `part`", path.display()), "a part of a run", "a whole run");
        let record = run.part.clone().ok_or_else(none)?;
        let part = Part::new(record.index, record.of);
        let part = part.map_err(|source| Error::malformed(format!("{}: `part`", path.display()), source))?;
        let rows = part.rows(record.rows)?;
        let skipped = run.images.as_ref().and_then(|images| images.skipped.as_ref()).map_or(0, |skipped| skipped.count);
        let met = skipped.saturating_add(run.rows());
        if rows.start != record.first_row || rows.len() != met {
            let expected = format!("rows {} to {} of {}", rows.start, rows.end, record.rows);
            let got = format!("{met} from {} on", record.first_row);
            return Err(Error::mismatch(format!("{}: `part`", path.display()), expected, got));
        }
        let store = ActivationStore::open(&folder.join(ACTIVATIONS))?;
        Ok(Self { folder: folder.to_owned(), run, part, record, store })
    }

    /// Whether both are parts of one run, and this one has the arrays that its `run.json` speaks of.
    fn check_against(&self, first: &Self) -> Result<()> {
        let place = self.folder.join(FILE).display().to_string();
        let of_all = |piece: &Self| {
            let mut run = piece.run.clone();
            if let Some(images) = &mut run.images {
                (images.count, images.hash, images.skipped) = (0, String::new(), None);
                images.passed_over.clear();
            }
            if let Some(texts) = &mut run.texts {
                (texts.count, texts.hash) = (0, String::new());
                texts.passed_over.clear();
            }
            if let Some(part) = &mut run.part {
                (part.index, part.first_row) = (0, 0);
            }
            serde_json::to_value(run).map_err(|source| Error::malformed(&place, source))
        };
        if let Some((key, expected, got)) = difference(&of_all(first)?, &of_all(self)?, "") {
            let expected = format!("{expected}, as {}", first.folder.display());
            return Err(Error::mismatch(format!("{place}: `{key}`"), expected, got));
        }
        let arrays: Vec<_> = self.store.arrays().iter().map(|array| &array.id).collect();
        let said: Vec<_> = self.run.sites.iter().flat_map(Selected::arrays).collect();
        let activations = self.folder.join(ACTIVATIONS);
        if !said.iter().eq(arrays.iter().copied()) {
            let got = format!("{} arrays", arrays.len());
            return Err(Error::mismatch(activations.display(), "the arrays that run.json speaks of", got));
        }
        for (array, other) in self.store.arrays().iter().zip(first.store.arrays()) {
            let expected: Vec<usize> =
                std::iter::once(self.run.rows()).chain(other.shape[1..].iter().copied()).collect();
            if array.shape != expected || array.dimensions != other.dimensions {
                let place = format!("{}: `{}`", activations.display(), array.path());
                return Err(Error::mismatch(place, format!("shape {expected:?}"), format!("{:?}", array.shape)));
            }
        }
        Ok(())
    }

    /// Adds the pictures that this part passed over.
    fn add_skipped(&self, to: &mut Vec<Skipped>) -> Result<()> {
        let path = self.folder.join(skipped::FILE);
        let said = self.run.images.as_ref().and_then(|images| images.skipped.as_ref());
        let Some(said) = said else { return Ok(()) };
        let (rows, hash) = Skipped::read(&path)?;
        let own =
            self.record.first_row..self.record.first_row.saturating_add(said.count).saturating_add(self.run.rows());
        if hash != said.hash || rows.len() != said.count || !rows.iter().all(|row| own.contains(&row.row)) {
            let expected = format!("{} pictures of hash {}, as run.json says", said.count, said.hash);
            return Err(Error::mismatch(path.display(), expected, format!("{} of {hash}", rows.len())));
        }
        to.extend(rows);
        Ok(())
    }

    /// Copies the labels, which are those of all parts, without the rows of pictures that were `passed` over; their hash, where
    /// `hash` says that there are any.
    fn copy_labels(&self, hash: Option<&String>, to: &Path, passed: &[Skipped]) -> Result<Option<String>> {
        let Some(expected) = hash else { return Ok(None) };
        let path = self.folder.join(LABELS);
        let bytes = read_bytes(&path, MAX_BYTES)?;
        let hash = blake3::hash(&bytes).to_hex().to_string();
        if hash != *expected {
            return Err(Error::mismatch(path.display(), format!("hash {expected}, as run.json says"), hash));
        }
        skipped::write_labels(to, &bytes, passed).map(Some)
    }

    /// Appends this part's rows of an array, a shard at a time; `done` is told how many rows were.
    fn copy_array(
        &self,
        layout: &Layout,
        store: &mut StoreWriter,
        done: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<()> {
        let mut own = layout.clone();
        own.shape[0] = self.run.rows();
        let shard = own.rows_per_chunk_and_shard().1;
        for start in (0..own.shape[0]).step_by(shard) {
            let rows = start..own.shape[0].min(start + shard);
            let (_, values) = self.store.read_rows(&layout.id, rows.clone())?;
            store.append(&layout.id, &values)?;
            done(rows.len())?;
        }
        Ok(())
    }
}
