//! Activations to disk: `activations.zarr`, filled row by row. What it looks like is in [`layout`](super::layout).
//!
//! A shard is written beside its place, made durable and renamed, together with those of other arrays that were full at the same time, so
//! one that stands under its name is whole. What an
//! interrupted recording left is found by that, and by what the last checkpoint kept of rows that wait for their shard;
//! [`StoreWriter::resume`] goes on behind it.

use super::layout::{Layout, root_attributes};
use super::pending::Pending;
use super::reader::ActivationStore;
use crate::output::{Written, place_all, write_again, write_beside};
use crate::record::ArrayId;
use crate::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zarrs::array::{Array, ArrayToBytesCodecTraits, CodecOptions, IntoArrayBytes};
use zarrs::filesystem::FilesystemStore;
use zarrs::group::GroupBuilder;

/// A store under construction. Keeps the shards that are being filled, in memory or, beyond
/// [`PENDING_BYTES`](super::pending::PENDING_BYTES), in a folder beside its own.
pub struct StoreWriter {
    folder: PathBuf,
    arrays: BTreeMap<ArrayId, ArrayWriter>,
    pending: Pending,
    /// Shards that are not in their places yet.
    written: Vec<Written>,
}

struct ArrayWriter {
    layout: Layout,
    array: Array<FilesystemStore>,
    /// Its number among the arrays.
    number: usize,
    /// Shards that were written,
    shards: usize,
    /// and those of them that are in their places.
    placed: usize,
    /// Rows that were taken.
    rows: usize,
    /// Rows to come that an earlier writer has written already.
    known: usize,
}

impl StoreWriter {
    /// Begins the store of `layouts` in the new folder `folder`.
    pub fn create(folder: &Path, layouts: Vec<Layout>) -> Result<Self> {
        fs::create_dir(folder).map_err(Error::io(folder))?;
        Self::open(folder, layouts)
    }

    /// Goes on with the store of `layouts` in `folder`, which an earlier writer left unfinished; whatever is not a whole shard
    /// in its place, or kept by a checkpoint, is removed. Rows are to be appended from [`first_missing_row`](Self::first_missing_row) on, or from
    /// an earlier one, which [`start_at`](Self::start_at) says.
    pub fn resume(folder: &Path, layouts: Vec<Layout>) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let mut arrays = begin_arrays(folder, layouts)?;
        let reader = ActivationStore::open(folder)?;
        let mut first = vec![0; arrays.len()];
        for array in arrays.values_mut() {
            array.shards = array.whole_shards(folder, &reader)?;
            array.placed = array.shards;
            first[array.number] = array.written();
        }
        let pending = Pending::resume(&folder.with_extension("pending"), &first)?;
        let mut writer = Self { folder: folder.to_owned(), arrays, pending, written: Vec::new() };
        let first = writer.first_missing_row();
        writer.start_at(first)?;
        Ok(writer)
    }

    fn open(folder: &Path, layouts: Vec<Layout>) -> Result<Self> {
        let pending = Pending::begin(&folder.with_extension("pending"), layouts.len())?;
        let arrays = begin_arrays(folder, layouts)?;
        Ok(Self { folder: folder.to_owned(), arrays, pending, written: Vec::new() })
    }

    /// The first row that a writer that goes on does not find in all arrays: in whole shards, or kept by a checkpoint.
    pub fn first_missing_row(&self) -> usize {
        self.arrays.values().map(|array| array.found(&self.pending)).min().unwrap_or(0)
    }

    /// Makes durable the rows that wait for their shard to be full, so that [`first_missing_row`](Self::first_missing_row) is the
    /// one to come.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn checkpoint(&mut self) -> Result<()> {
        self.place()?;
        self.pending.checkpoint()
    }

    /// Makes durable the shards that were full, of all arrays at once, and puts them in their places. Asked after every batch: until then,
    /// and should nobody ask until the store [ends](Self::finish), they are lost with the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn place(&mut self) -> Result<()> {
        if !self.written.is_empty() {
            place_all(&self.folder, std::mem::take(&mut self.written))?;
            self.arrays.values_mut().for_each(|array| array.placed = array.shards);
        }
        self.pending.tidy()
    }

    /// Whether some array writes a shard when the next `rows` rows are appended.
    pub fn writes_within(&self, rows: usize) -> bool {
        self.arrays.values().any(|array| {
            let end = (array.rows + rows).min(array.layout.shape[0]);
            let shard = array.layout.rows_per_chunk_and_shard().1;
            end / shard > array.rows / shard || end == array.layout.shape[0]
        })
    }

    /// Says that the next row to be appended is `row`, at most [`first_missing_row`](Self::first_missing_row), of a writer that
    /// goes on; arrays that are ahead pass over what they have.
    ///
    /// # Errors
    /// When the system refuses to write a shard of which no row is missing.
    pub fn start_at(&mut self, row: usize) -> Result<()> {
        for array in self.arrays.values_mut() {
            array.rows = row;
            array.known = array.found(&self.pending).saturating_sub(row);
            array.write_rest(&self.folder, &mut self.pending, &mut self.written)?;
        }
        self.place()
    }

    /// Adds rows to the array `id`; full shards are written, beside their [places](Self::place).
    ///
    /// # Errors
    /// When there is no such array, `values` are no whole rows or more than it has, or the system refuses.
    pub fn append(&mut self, id: &ArrayId, values: &[f32]) -> Result<()> {
        let place = || format!("{}: `{id}`", self.folder.display());
        let Some(writer) = self.arrays.get_mut(id) else {
            return Err(Error::mismatch(place(), "an array of this store", "no such array"));
        };
        let (row, images) = (writer.layout.row(), writer.layout.shape[0]);
        let rows = values.len() / row;
        if !values.len().is_multiple_of(row) || writer.rows + rows > images {
            let got = format!("{} values after {} rows", values.len(), writer.rows);
            return Err(Error::mismatch(place(), format!("{images} rows of {row} values in all"), got));
        }
        writer.rows += rows;
        let known = writer.known.min(rows);
        writer.known -= known;
        let mut values = &values[known * row..];
        let shard = writer.layout.rows_per_chunk_and_shard().1 * row;
        while !values.is_empty() {
            let there = self.pending.values(writer.number);
            let (now, later) = values.split_at(values.len().min(shard - there));
            values = later;
            if now.len() == shard {
                self.written.push(writer.write(&self.folder, now)?);
            } else if there + now.len() == shard {
                let mut whole = self.pending.all(writer.number, now.len())?;
                whole.extend_from_slice(now);
                self.written.push(writer.write(&self.folder, &whole)?);
                self.pending.forget(writer.number);
            } else {
                self.pending.extend(writer.number, writer.written(), now)?;
            }
        }
        writer.write_rest(&self.folder, &mut self.pending, &mut self.written)
    }

    /// Says that there are no more than `images` rows, all of which were appended: fewer than the layouts foresaw, or as many.
    ///
    /// # Errors
    /// When an array has not got as many rows, or the system refuses.
    pub fn shorten(&mut self, images: usize) -> Result<()> {
        for writer in self.arrays.values_mut().filter(|writer| images < writer.layout.shape[0]) {
            if writer.rows != images {
                let place = format!("{}: `{}`", self.folder.display(), writer.layout.path());
                return Err(Error::mismatch(place, format!("{images} rows"), writer.rows));
            }
            let last = writer.shorten(&self.folder, &self.pending)?;
            self.written.extend(last);
        }
        self.place()
    }

    /// Ends the store.
    ///
    /// # Errors
    /// When an array has not got all of its rows, or the system refuses.
    pub fn finish(mut self) -> Result<()> {
        for writer in self.arrays.values() {
            let images = writer.layout.shape[0];
            if writer.rows != images {
                let place = format!("{}: `{}`", self.folder.display(), writer.layout.path());
                return Err(Error::mismatch(place, format!("{images} rows"), writer.rows));
            }
        }
        self.place()?;
        self.pending.remove()
    }
}

impl ArrayWriter {
    /// Rows in whole shards.
    fn written(&self) -> usize {
        self.in_shards(self.shards)
    }

    fn in_shards(&self, shards: usize) -> usize {
        (shards * self.layout.rows_per_chunk_and_shard().1).min(self.layout.shape[0])
    }

    /// Rows that a writer that goes on finds.
    fn found(&self, pending: &Pending) -> usize {
        let kept = if self.placed == self.shards { pending.kept(self.number) } else { 0 };
        self.in_shards(self.placed) + kept / self.layout.row().max(1)
    }

    /// Writes the last shard, where all rows are there and it is not full.
    fn write_rest(&mut self, folder: &Path, pending: &mut Pending, written: &mut Vec<Written>) -> Result<()> {
        if self.rows != self.layout.shape[0] || pending.values(self.number) == 0 {
            return Ok(());
        }
        let shard = self.layout.rows_per_chunk_and_shard().1 * self.layout.row();
        let mut rest = pending.all(self.number, shard - pending.values(self.number))?;
        rest.resize(shard, f32::NAN);
        written.push(self.write(folder, &rest)?);
        pending.forget(self.number);
        Ok(())
    }

    fn path(&self, folder: &Path, shard: usize) -> PathBuf {
        let mut at = vec![0; self.layout.shape.len()];
        at[0] = shard as u64;
        folder.join(self.array.chunk_key(&at).as_str())
    }

    /// Writes the next shard; `values` are all of its rows, what it lacks filled with NaN.
    fn write(&mut self, folder: &Path, values: &[f32]) -> Result<Written> {
        let path = self.path(folder, self.shards);
        let (data_type, fill) = (self.array.data_type(), self.array.fill_value());
        let at = vec![0; self.layout.shape.len()];
        let shape = self.array.chunk_shape(&at).map_err(|source| Error::malformed(path.display(), source))?;
        let values = values.into_array_bytes(data_type);
        let values = values.map_err(|source| Error::malformed(path.display(), source))?;
        let encoded = self.array.codecs().encode(values, &shape, data_type, fill, &CodecOptions::default());
        let encoded = encoded.map_err(|source| Error::malformed(path.display(), source))?;
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(Error::io(parent))?;
        let written = write_beside(&path, &encoded)?;
        self.shards += 1;
        Ok(written)
    }

    /// Makes of the array one of the rows that it has, fewer than were foreseen. Shards that are full are as they would be had
    /// that been known: only where there is none, all rows wait, is a shard smaller. Rows that wait stay, should the recording go on.
    fn shorten(&mut self, folder: &Path, pending: &Pending) -> Result<Option<Written>> {
        self.layout.shape[0] = self.rows;
        let store = FilesystemStore::new(folder).map_err(|source| Error::malformed(folder.display(), source))?;
        self.array = self.layout.array(Arc::new(store))?;
        write_metadata(&folder.join(self.layout.path()), &Layout::metadata(&self.array))?;
        if pending.values(self.number) == 0 {
            return Ok(None);
        }
        let shard = self.layout.rows_per_chunk_and_shard().1 * self.layout.row();
        let mut rest = pending.all(self.number, shard.saturating_sub(pending.values(self.number)))?;
        rest.resize(shard, f32::NAN);
        self.write(folder, &rest).map(Some)
    }

    /// How many shards from the first on are there and whole; removes what follows them. Since shards appear by rename, only
    /// the last one is decoded.
    fn whole_shards(&self, folder: &Path, reader: &ActivationStore) -> Result<usize> {
        let (images, shard) = (self.layout.shape[0], self.layout.rows_per_chunk_and_shard().1);
        let all = images.div_ceil(shard);
        let mut whole = (0..all).take_while(|k| self.path(folder, *k).is_file()).count();
        while whole > 0 {
            let last = (whole - 1) * shard..images.min(whole * shard);
            if reader.read_rows(&self.layout.id, last).is_ok() {
                break;
            }
            whole -= 1;
        }
        for k in whole..all {
            let path = self.path(folder, k);
            if path.symlink_metadata().is_ok() {
                fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        Ok(whole)
    }
}

/// The metadata of `layouts` in `folder`, and a writer for each, which has nothing yet.
fn begin_arrays(folder: &Path, layouts: Vec<Layout>) -> Result<BTreeMap<ArrayId, ArrayWriter>> {
    let store = FilesystemStore::new(folder).map_err(|source| Error::malformed(folder.display(), source))?;
    let store = Arc::new(store);
    write_group(folder, &store, root_attributes())?;
    let mut arrays = BTreeMap::new();
    for (number, layout) in layouts.into_iter().enumerate() {
        let mut attributes = Map::from_iter([("site".to_owned(), layout.id.site.to_string().into())]);
        write_group(&folder.join(layout.id.site.to_string()), &store, attributes.clone())?;
        if let Some(basis) = &layout.id.basis {
            attributes.insert("basis".to_owned(), basis.to_string().into());
            write_group(&folder.join(layout.id.units()), &store, attributes)?;
        }
        let array = layout.array(store.clone())?;
        write_metadata(&folder.join(layout.path()), &Layout::metadata(&array))?;
        arrays
            .insert(layout.id.clone(), ArrayWriter { layout, array, number, shards: 0, placed: 0, rows: 0, known: 0 });
    }
    Ok(arrays)
}

fn write_group(folder: &Path, store: &Arc<FilesystemStore>, attributes: Map<String, Value>) -> Result<()> {
    let group = GroupBuilder::new().attributes(attributes).build(store.clone(), "/");
    let group = group.map_err(|source| Error::malformed(folder.display(), source))?;
    write_metadata(folder, group.metadata())
}

fn write_metadata(folder: &Path, metadata: &impl Serialize) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let path = folder.join("zarr.json");
    let json = serde_json::to_vec_pretty(metadata).map_err(|source| Error::malformed(path.display(), source))?;
    write_again(&path, &json)
}
