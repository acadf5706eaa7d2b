//! What an array of `activations.zarr` looks like: its path, shape, chunks, codecs and attributes.
//!
//! An array is `[image, ...]` or `[text, ...]`, cut along images or texts only, of which the same is true. A chunk, the unit of compression and checksum (zstd level 3, then
//! crc32c), holds a power of two of images, as many as fit [`CHUNK_BYTES`] but at least one and at most [`MAX_CHUNK_ROWS`]. A
//! shard, the unit of a file and of the writer's memory, holds up to [`SHARD_CHUNKS`] chunks within [`SHARD_BYTES`], but no more
//! than the array has. The fill value is NaN, so that what is missing is never taken for a silent unit.

use crate::model::{ModelConfig, Point, Site, TokenAxis, Tower};
use crate::record::{ArrayId, BasisId, TokenPolicy};
use crate::{Error, Result};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use zarrs::array::codec::{Crc32cCodec, ShardingCodecOptions, SubchunkWriteOrder, ZstdCodec};
use zarrs::array::{Array, ArrayBuilder, ArrayMetadata, ArrayMetadataOptions, CodecSpecificOptions, data_type};
use zarrs::filesystem::FilesystemStore;

/// What a chunk aims at, in bytes before compression.
pub const CHUNK_BYTES: usize = 1 << 18;
/// The most images in a chunk.
pub const MAX_CHUNK_ROWS: usize = 256;
/// The most chunks in a shard.
pub const SHARD_CHUNKS: usize = 16;
/// The most bytes in a shard of several chunks, before compression.
pub const SHARD_BYTES: usize = 1 << 24;
/// The most bytes in one image's row of an array, and so in any shard.
pub const MAX_ROW_BYTES: usize = 1 << 30;
/// The `schema` attribute of the group.
pub const SCHEMA: u32 = 1;

/// Bytes of an f32.
const VALUE: usize = size_of::<f32>();

/// One array, as its metadata says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// What is stored.
    pub id: ArrayId,
    /// `[image, ...]`.
    pub shape: Vec<usize>,
    /// The name of every axis: `image` or `text`, then `unit`; `token` or `patch`, and `unit`; or `head`, `query` and `key`.
    pub dimensions: Vec<String>,
}

impl Layout {
    /// The array of `images` rows that `site` has under `policy`.
    ///
    /// # Errors
    /// When one row is larger than [`MAX_ROW_BYTES`].
    pub fn new(config: &ModelConfig, site: Site, policy: TokenPolicy, images: usize) -> Result<Self> {
        Self::of(config, site, policy, [images, 0])
    }

    /// The array of `rows` rows that `site` has under `policy`; of texts with `tokens` tokens each under [`TokenPolicy::All`].
    ///
    /// # Errors
    /// As [`Layout::new`].
    pub fn of(config: &ModelConfig, site: Site, policy: TokenPolicy, [rows, tokens]: [usize; 2]) -> Result<Self> {
        let whole = site.shape(config, rows, tokens);
        let axis = site.tokens(config);
        let names: &[&str] = match (policy, axis) {
            (TokenPolicy::All, TokenAxis::Attention) => &["head", "query", "key"],
            (TokenPolicy::All, TokenAxis::Tokens { .. }) if site.point == Point::Embed => &["patch", "unit"],
            (TokenPolicy::All, TokenAxis::Tokens { .. } | TokenAxis::Text) => &["token", "unit"],
            _ => &["unit"],
        };
        let shape = match names.len() {
            3 => whole,
            2 => vec![rows, whole[1], whole[2..].iter().product()],
            _ => vec![rows, whole[if axis == TokenAxis::One { 1 } else { 2 }..].iter().product()],
        };
        let row = if site.tower == Tower::Text { "text" } else { "image" };
        let dimensions = std::iter::once(row).chain(names.iter().copied()).map(str::to_owned).collect();
        Self { id: ArrayId::new(site, policy), shape, dimensions }.checked()
    }

    /// The array of `latents` latents that `basis` makes of the units of this one.
    ///
    /// # Errors
    /// As [`Layout::new`], and when there is no latent.
    pub fn in_basis(mut self, basis: BasisId, latents: usize) -> Result<Self> {
        self.id.basis = Some(basis);
        if latents == 0 {
            return Err(Error::mismatch(self.path(), "at least one latent", 0));
        }
        if let Some(units) = self.shape.last_mut() {
            *units = latents;
        }
        self.checked()
    }

    fn checked(self) -> Result<Self> {
        let bytes = self.shape[1..].iter().try_fold(VALUE, |bytes, extent| bytes.checked_mul(*extent));
        if bytes.is_none_or(|bytes| bytes > MAX_ROW_BYTES) {
            let expected = format!("at most {MAX_ROW_BYTES} bytes per {}", self.dimensions[0]);
            return Err(Error::mismatch(self.path(), expected, format!("rows of shape {:?}", &self.shape[1..])));
        }
        Ok(self)
    }

    /// Path in the group: the id as it is displayed.
    pub fn path(&self) -> String {
        self.id.to_string()
    }

    /// Values per image.
    pub fn row(&self) -> usize {
        self.shape[1..].iter().product()
    }

    /// Images per chunk and per shard.
    pub fn rows_per_chunk_and_shard(&self) -> (usize, usize) {
        let row_bytes = (VALUE * self.row()).max(1);
        let chunk = (CHUNK_BYTES / row_bytes).clamp(1, MAX_CHUNK_ROWS);
        let chunk = 1 << chunk.ilog2();
        let chunks = (SHARD_BYTES / (chunk * row_bytes)).clamp(1, SHARD_CHUNKS);
        (chunk, chunk * chunks.min(self.shape[0].div_ceil(chunk)).max(1))
    }

    /// The array in `store`; nothing is written or read yet.
    pub(super) fn array(&self, store: Arc<FilesystemStore>) -> Result<Array<FilesystemStore>> {
        let (chunk, shard) = self.rows_per_chunk_and_shard();
        let cut = |rows: usize| -> Vec<u64> {
            std::iter::once(&rows).chain(&self.shape[1..]).map(|extent| *extent as u64).collect()
        };
        let ArrayId { site, basis, policy } = &self.id;
        let named = [("site", site.to_string()), ("policy", policy.to_string())].into_iter();
        let attributes = named.chain(basis.iter().map(|basis| ("basis", basis.to_string())));
        // Chunks in order: by default whichever is compressed first comes first.
        let sharding = ShardingCodecOptions::default().with_subchunk_write_order(SubchunkWriteOrder::C);
        ArrayBuilder::new(cut(self.shape[0]), cut(shard), data_type::float32(), f32::NAN)
            .subchunk_shape(cut(chunk))
            .bytes_to_bytes_codecs(vec![Arc::new(ZstdCodec::new(3, false)), Arc::new(Crc32cCodec::new())])
            .dimension_names(Some(self.dimensions.clone()))
            .attributes(attributes.map(|(key, value)| (key.to_owned(), Value::from(value))).collect())
            .codec_specific_options(CodecSpecificOptions::default().with_option(sharding))
            .build(store, &format!("/{}", self.path()))
            .map_err(|source| Error::malformed(self.path(), source))
    }

    /// The contents of the array's `zarr.json`, without the version of its writer.
    pub(super) fn metadata(array: &Array<FilesystemStore>) -> ArrayMetadata {
        array.metadata_opt(&ArrayMetadataOptions::default().with_include_zarrs_metadata(false))
    }
}

/// What the root group says of itself.
pub(super) fn root_attributes() -> Map<String, Value> {
    Map::from_iter([("format".to_owned(), json!("snellen activations")), ("schema".to_owned(), json!(SCHEMA))])
}
