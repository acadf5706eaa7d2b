//! Activations from disk: what [`StoreWriter`](super::StoreWriter) wrote, and nothing else.
//!
//! Metadata must be exactly what this version writes for the array's shape, so that no file can ask for other codecs, chunks or
//! more memory than its shape implies.

use super::guard::check_shard;
use super::layout::{Layout, MAX_ROW_BYTES, SCHEMA, root_attributes};
use crate::model::{BlockPoint, Point, Site};
use crate::record::picture::read_bytes;
use crate::record::{ArrayId, BasisId, TokenPolicy};
use crate::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zarrs::array::{Array, ArrayToBytesCodecTraits, CodecOptions};
use zarrs::filesystem::FilesystemStore;

/// The most values that one call reads: 8 GiB.
pub const MAX_VALUES: usize = 1 << 31;

/// The most arrays of a store.
pub const MAX_ARRAYS: usize = 1 << 16;

/// The largest `zarr.json` that is read, in bytes.
const MAX_METADATA: u64 = 1 << 16;

/// An `activations.zarr`, opened for reading.
#[derive(Clone, Debug)]
pub struct ActivationStore {
    folder: PathBuf,
    layouts: Vec<Layout>,
}

/// What of an array's metadata varies.
#[derive(Deserialize)]
struct Varying {
    shape: Vec<usize>,
    dimension_names: Vec<String>,
}

impl ActivationStore {
    /// Opens the group at `folder` and reads the metadata of all its arrays.
    ///
    /// # Errors
    /// When it is not a store of this schema, holds folders that are no site, basis or token policy, or an array's metadata is not what
    /// this version writes.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("zarr.json");
        let root = read_json(&path)?;
        if root.get("attributes") != Some(&Value::Object(root_attributes())) {
            let expected = format!("the attributes of snellen activations, schema {SCHEMA}");
            return Err(Error::mismatch(path.display(), expected, root.get("attributes").unwrap_or(&Value::Null)));
        }
        let mut layouts = Vec::new();
        for (name, path) in folders(folder)? {
            let site: Site = name.parse().map_err(|source| Error::malformed(path.display(), source))?;
            for (name, path) in folders(&path)? {
                let arrays = match name.parse::<BasisId>() {
                    Ok(basis) => folders(&path)?.into_iter().map(|found| (Some(basis.clone()), found)).collect(),
                    Err(_) => vec![(None, (name, path))],
                };
                for (basis, (name, path)) in arrays {
                    let policy: TokenPolicy =
                        name.parse().map_err(|source| Error::malformed(path.display(), source))?;
                    layouts.push(read_layout(folder, ArrayId { site, basis, policy })?);
                    if layouts.len() > MAX_ARRAYS {
                        return Err(Error::mismatch(folder.display(), format!("at most {MAX_ARRAYS} arrays"), "more"));
                    }
                }
            }
        }
        layouts.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Self { folder: folder.to_owned(), layouts })
    }

    /// The arrays, in the order of their ids: of the forward, and of [`TokenPolicy::ALL`].
    pub fn arrays(&self) -> &[Layout] {
        &self.layouts
    }

    /// The array `id`: its shape, and its values row by row.
    ///
    /// # Errors
    /// When there is none, it has more than [`MAX_VALUES`], or its files are damaged.
    pub fn read(&self, id: &ArrayId) -> Result<(Vec<usize>, Vec<f32>)> {
        let images = self.layout(id)?.shape[0];
        self.read_rows(id, 0..images)
    }

    /// As [`read`](Self::read), but the images of `rows` only.
    ///
    /// # Errors
    /// As [`read`](Self::read), and when `rows` are not in the array.
    pub fn read_rows(&self, id: &ArrayId, rows: Range<usize>) -> Result<(Vec<usize>, Vec<f32>)> {
        let layout = self.layout(id)?;
        let mut values = Vec::new();
        self.reserve(layout, &mut values, &rows, layout.row())?;
        self.each_part(layout, rows.clone(), |part| values.extend_from_slice(part))?;
        let shape = std::iter::once(rows.len()).chain(layout.shape[1..].iter().copied()).collect();
        Ok((shape, values))
    }

    /// Of all images the values of `units` only, in that order, `[image, unit]`; an image's values are numbered through where
    /// they have several axes. One shard beside the result is in memory.
    ///
    /// # Errors
    /// As [`read`](Self::read), where the values asked for are counted; and when the array has no such unit.
    pub fn read_units(&self, id: &ArrayId, units: &[usize]) -> Result<Vec<f32>> {
        let layout = self.layout(id)?;
        let row = layout.row();
        if let Some(unit) = units.iter().find(|&&unit| unit >= row) {
            return Err(Error::mismatch(self.place(layout), format!("units below {row}"), unit));
        }
        let (mut values, images) = (Vec::new(), 0..layout.shape[0]);
        self.reserve(layout, &mut values, &images, units.len())?;
        self.each_part(layout, images, |part| {
            part.chunks_exact(row).for_each(|row| values.extend(units.iter().map(|&unit| row[unit])));
        })?;
        Ok(values)
    }

    fn place(&self, layout: &Layout) -> String {
        format!("{}: `{}`", self.folder.display(), layout.path())
    }

    /// Room for `each` values of each of `rows`, which have to be in the array.
    fn reserve(&self, layout: &Layout, values: &mut Vec<f32>, rows: &Range<usize>, each: usize) -> Result<()> {
        let (place, images) = (|| self.place(layout), layout.shape[0]);
        if rows.start > rows.end || rows.end > images {
            return Err(Error::mismatch(place(), format!("rows within 0..{images}"), format!("{rows:?}")));
        }
        if rows.len().checked_mul(each).is_none_or(|values| values > MAX_VALUES) {
            let got = format!("{} rows of {each}", rows.len());
            return Err(Error::mismatch(place(), format!("at most {MAX_VALUES} values to be read at once"), got));
        }
        values.try_reserve_exact(rows.len() * each).map_err(|source| Error::malformed(place(), source))
    }

    /// Shows `rows`, shard after shard, in whole rows.
    fn each_part(&self, layout: &Layout, rows: Range<usize>, mut see: impl FnMut(&[f32])) -> Result<()> {
        let (place, row) = (|| self.place(layout), layout.row());
        let store = FilesystemStore::new(&self.folder).map_err(|source| Error::malformed(place(), source))?;
        let array = layout.array(Arc::new(store))?;
        let shard_rows = layout.rows_per_chunk_and_shard().1;
        // A score of what attention doesn't see is minus infinity.
        let point = layout.id.site.point;
        let scores = matches!(point, Point::Block(_, BlockPoint::AttnScores) | Point::Head(BlockPoint::AttnScores));
        let sound = |x: &f32| x.is_finite() || scores && *x == f32::NEG_INFINITY;
        for shard in rows.start / shard_rows..rows.end.div_ceil(shard_rows) {
            let first = shard * shard_rows;
            let decoded = self.read_shard(layout, &array, shard)?;
            let (from, to) = (rows.start.max(first) - first, rows.end.min(first + shard_rows) - first);
            let wanted = &decoded[from * row..to * row];
            if let Some(at) = wanted.iter().position(|x| !sound(x)) {
                let got = format!("{} in row {}, value {}", wanted[at], first + from + at / row, at % row);
                return Err(Error::mismatch(place(), "finite values", got));
            }
            see(wanted);
        }
        Ok(())
    }

    fn layout(&self, id: &ArrayId) -> Result<&Layout> {
        let found = self.layouts.iter().find(|layout| layout.id == *id);
        found.ok_or_else(|| {
            let have: Vec<_> = self.layouts.iter().take(8).map(|layout| format!("`{}`", layout.path())).collect();
            let more = if self.layouts.len() > have.len() { ", ..." } else { "" };
            let expected = format!("one of its {} arrays ({}{more})", self.layouts.len(), have.join(", "));
            Error::mismatch(self.folder.display(), expected, format!("`{id}`"))
        })
    }

    fn read_shard(&self, layout: &Layout, array: &Array<FilesystemStore>, shard: usize) -> Result<Vec<f32>> {
        let mut at = vec![0; layout.shape.len()];
        at[0] = shard as u64;
        let path = self.folder.join(array.chunk_key(&at).as_str());
        let (chunk_rows, shard_rows) = layout.rows_per_chunk_and_shard();
        let row_bytes = layout.row() * size_of::<f32>();
        // What does not compress grows by less than a hundredth; an index has 16 bytes for each chunk.
        let bytes = read_bytes(&path, 2 * (shard_rows * row_bytes) as u64 + (1 << 16))?;
        let present = (layout.shape[0] - shard * shard_rows).min(shard_rows).div_ceil(chunk_rows);
        check_shard(&bytes, shard_rows / chunk_rows, present, chunk_rows * row_bytes)
            .map_err(|got| Error::mismatch(path.display(), "a shard as its array's metadata says", got))?;
        let malformed = |source| Error::malformed(path.display(), source);
        let shape = array.chunk_shape(&at).map_err(|source| Error::malformed(path.display(), source))?;
        let (data_type, fill, options) = (array.data_type(), array.fill_value(), CodecOptions::default());
        let decoded = array.codecs().decode(Cow::Owned(bytes), &shape, data_type, fill, &options).map_err(malformed)?;
        let decoded = decoded.into_fixed().map_err(|source| Error::malformed(path.display(), source))?;
        Ok(decoded.chunks_exact(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}

fn read_layout(folder: &Path, id: ArrayId) -> Result<Layout> {
    let path = folder.join(id.to_string()).join("zarr.json");
    let json = read_json(&path)?;
    let varying = Varying::deserialize(&json).map_err(|source| Error::malformed(path.display(), source))?;
    let Varying { shape, dimension_names } = varying;
    let row = shape.iter().skip(1).try_fold(size_of::<f32>(), |bytes, extent| bytes.checked_mul(*extent));
    if !(2..=4).contains(&shape.len()) || row.is_none_or(|bytes| !(1..=MAX_ROW_BYTES).contains(&bytes)) || shape[0] == 0
    {
        let expected = format!("two to four axes, none of them empty, at most {MAX_ROW_BYTES} bytes per image");
        return Err(Error::mismatch(format!("{}: `shape`", path.display()), expected, format!("{shape:?}")));
    }
    let layout = Layout { id, shape, dimensions: dimension_names };
    let store = FilesystemStore::new(folder).map_err(|source| Error::malformed(path.display(), source))?;
    let array = layout.array(Arc::new(store)).map_err(|source| Error::malformed(path.display(), source))?;
    let written = serde_json::to_value(Layout::metadata(&array));
    let written = written.map_err(|source| Error::malformed(path.display(), source))?;
    if written == json {
        return Ok(layout);
    }
    let differs = |key: &&String| written.get(key.as_str()) != json.get(key.as_str());
    let keys = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let key = keys(&written).into_iter().chain(keys(&json)).find(|key| differs(&key)).unwrap_or_default();
    let of = |value: &Value| {
        value.get(&key).map_or("nothing".to_owned(), |value| value.to_string().chars().take(300).collect())
    };
    Err(Error::mismatch(format!("{}: `{key}`", path.display()), of(&written), of(&json)))
}

/// The folders in `folder`, with their names.
fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.is_dir() {
            found.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path));
        }
        if found.len() > MAX_ARRAYS {
            return Err(Error::mismatch(folder.display(), format!("at most {MAX_ARRAYS} folders"), "more"));
        }
    }
    found.sort();
    Ok(found)
}

fn read_json(path: &Path) -> Result<Value> {
    let bytes = read_bytes(path, MAX_METADATA)?;
    serde_json::from_slice(&bytes).map_err(|source| Error::malformed(path.display(), source))
}
