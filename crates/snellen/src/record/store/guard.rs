//! What a shard's file has to be before it is decoded.
//!
//! The decoder takes a shard's index and the sizes that compressed frames declare at their word, so a hostile file could make
//! it panic or exhaust memory. A file that passes here decodes within the memory that its array's shape implies.

/// Bytes of a chunk's checksum.
const CHECKSUM: usize = 4;
/// Bytes of an entry of a shard's index: offset and length.
const ENTRY: usize = 16;
/// First bytes of a zstd frame (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Whether `shard` ends with an index of `chunks` entries and a checksum, whose first `present` entries each name a part of it that
/// is one zstd frame of exactly `chunk_bytes` bytes and a checksum, and whose others name nothing.
///
/// # Errors
/// Says which part is not so.
pub(super) fn check_shard(shard: &[u8], chunks: usize, present: usize, chunk_bytes: usize) -> Result<(), String> {
    let index_bytes = chunks * ENTRY + CHECKSUM;
    let Some(end) = shard.len().checked_sub(index_bytes) else {
        return Err(format!("a file of {} bytes, less than its index", shard.len()));
    };
    let (data, index) = shard.split_at(end);
    for (k, entry) in index[..chunks * ENTRY].chunks_exact(ENTRY).enumerate() {
        let (offset, length) = (number(&entry[..8]), number(&entry[8..]));
        if offset == u64::MAX && length == u64::MAX {
            if k < present {
                return Err(format!("no chunk {k}"));
            }
            continue;
        }
        if k >= present {
            return Err(format!("a chunk {k} of images that there are none of"));
        }
        let range = offset.checked_add(length).filter(|end| *end <= data.len() as u64);
        let Some(end) = range else { return Err(format!("a chunk {k} that reaches beyond the file")) };
        let chunk = &data[offset as usize..end as usize];
        let frame = chunk.len().checked_sub(CHECKSUM).map(|end| &chunk[..end]);
        if frame.and_then(frame_content).is_none_or(|bytes| bytes != chunk_bytes as u64) {
            return Err(format!("a chunk {k} that is not one zstd frame of {chunk_bytes} bytes"));
        }
    }
    Ok(())
}

/// The size that the header of the single zstd frame in `bytes` declares; `None` for anything else.
fn frame_content(bytes: &[u8]) -> Option<u64> {
    let descriptor = *bytes.strip_prefix(&MAGIC)?.first()?;
    let single_segment = descriptor & 0x20 != 0;
    let has_checksum = descriptor & 0x04 != 0;
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size_bytes = match descriptor >> 6 {
        0 if single_segment => 1,
        0 => return None,
        flag => 1 << flag,
    };
    let at = MAGIC.len() + 1 + usize::from(!single_segment) + dictionary;
    let declared = number(bytes.get(at..at + size_bytes)?) + if size_bytes == 2 { 256 } else { 0 };
    let mut at = at + size_bytes;
    loop {
        let header = number(bytes.get(at..at + 3)?);
        let (last, kind, size) = (header & 1 == 1, header >> 1 & 3, header as usize >> 3);
        at += 3 + match kind {
            0 | 2 => size,
            1 => 1,
            _ => return None,
        };
        if last {
            break;
        }
    }
    (at + if has_checksum { 4 } else { 0 } == bytes.len()).then_some(declared)
}

/// Little-endian, at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
