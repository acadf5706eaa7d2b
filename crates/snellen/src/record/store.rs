//! Activations to disk: `activations.zarr`, filled row by row. What it looks like is in [`layout`](super::layout).
//!
//! Files are left to the system to write out (waiting for each would take longer than a small model's forward): after a power
//! cut a shard may be damaged, which its checksums tell the reader.

use super::TokenPolicy;
use super::layout::{Layout, root_attributes};
use crate::model::Site;
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

/// A store under construction. Keeps one shard of each array in memory.
pub struct StoreWriter {
    folder: PathBuf,
    arrays: BTreeMap<(Site, TokenPolicy), ArrayWriter>,
}

struct ArrayWriter {
    layout: Layout,
    array: Array<FilesystemStore>,
    /// Rows of the shard that is being filled.
    pending: Vec<f32>,
    shards: u64,
    rows: usize,
}

impl StoreWriter {
    /// Begins the store of `layouts` in the new folder `folder`.
    pub fn create(folder: &Path, layouts: Vec<Layout>) -> Result<Self> {
        fs::create_dir(folder).map_err(Error::io(folder))?;
        let store = FilesystemStore::new(folder).map_err(|source| Error::malformed(folder.display(), source))?;
        let store = Arc::new(store);
        write_group(folder, &store, root_attributes())?;
        let mut arrays = BTreeMap::new();
        for layout in layouts {
            let site = layout.site.to_string();
            let attributes = Map::from_iter([("site".to_owned(), site.clone().into())]);
            write_group(&folder.join(site), &store, attributes)?;
            let array = layout.array(store.clone())?;
            write_metadata(&folder.join(layout.path()), &Layout::metadata(&array))?;
            let key = (layout.site, layout.policy);
            arrays.insert(key, ArrayWriter { layout, array, pending: Vec::new(), shards: 0, rows: 0 });
        }
        Ok(Self { folder: folder.to_owned(), arrays })
    }

    /// Adds rows to the array of `site` and `policy`; full shards are written.
    ///
    /// # Errors
    /// When there is no such array, `values` are no whole rows or more than it has, or the system refuses.
    pub fn append(&mut self, site: Site, policy: TokenPolicy, mut values: &[f32]) -> Result<()> {
        let place = || format!("{}: `{site}/{policy}`", self.folder.display());
        let Some(writer) = self.arrays.get_mut(&(site, policy)) else {
            return Err(Error::mismatch(place(), "an array of this store", "no such array"));
        };
        let (row, images) = (writer.layout.row(), writer.layout.shape[0]);
        let rows = values.len() / row;
        if !values.len().is_multiple_of(row) || writer.rows + rows > images {
            let got = format!("{} values after {} rows", values.len(), writer.rows);
            return Err(Error::mismatch(place(), format!("{images} rows of {row} values in all"), got));
        }
        writer.rows += rows;
        let shard = writer.layout.rows_per_chunk_and_shard().1 * row;
        while !values.is_empty() {
            let (now, later) = values.split_at(values.len().min(shard - writer.pending.len()));
            writer.pending.extend_from_slice(now);
            values = later;
            if writer.pending.len() == shard {
                writer.flush(&self.folder, shard)?;
            }
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When an array has not got all of its rows, or the system refuses.
    pub fn finish(mut self) -> Result<()> {
        for writer in self.arrays.values_mut() {
            let (row, images) = (writer.layout.row(), writer.layout.shape[0]);
            if writer.rows != images {
                let place = format!("{}: `{}`", self.folder.display(), writer.layout.path());
                return Err(Error::mismatch(place, format!("{images} rows"), writer.rows));
            }
            if !writer.pending.is_empty() {
                writer.flush(&self.folder, writer.layout.rows_per_chunk_and_shard().1 * row)?;
            }
        }
        Ok(())
    }
}

impl ArrayWriter {
    /// Writes the pending shard of `values` values, what it lacks filled with NaN.
    fn flush(&mut self, folder: &Path, values: usize) -> Result<()> {
        self.pending.resize(values, f32::NAN);
        let mut at = vec![0; self.layout.shape.len()];
        at[0] = self.shards;
        let path = folder.join(self.array.chunk_key(&at).as_str());
        let malformed = |source| Error::malformed(path.display(), source);
        let (data_type, fill) = (self.array.data_type(), self.array.fill_value());
        let shape = self.array.chunk_shape(&at).map_err(|source| Error::malformed(path.display(), source))?;
        let values = self.pending.as_slice().into_array_bytes(data_type);
        let values = values.map_err(|source| Error::malformed(path.display(), source))?;
        let encoded = self.array.codecs().encode(values, &shape, data_type, fill, &CodecOptions::default());
        let encoded = encoded.map_err(malformed)?;
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(Error::io(parent))?;
        fs::write(&path, &encoded).map_err(Error::io(&path))?;
        self.pending.clear();
        self.shards += 1;
        Ok(())
    }
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
    fs::write(&path, json).map_err(Error::io(&path))
}
