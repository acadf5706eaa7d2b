//! SentencePiece's normaliser: a map from character sequences to others (`precompiled_charsmap`), and white space.
//!
//! The map is a double array (Darts): a trie over bytes in 32-bit units. The root is unit 0; from a node, the child for a byte
//! is at the node's base XOR the byte. Values are offsets into a block of texts that end in NUL. Every walk is bounded, so that a
//! damaged map is an error and not a long computation.

use crate::{Error, Result};

/// In bytes. The map of `nmt_nfkc` has none of more than a few characters, and its longest text is 33 bytes.
const LONGEST: usize = 512;

/// The character that stands for a space in pieces.
pub(super) const SPACE: char = '\u{2581}';

/// A map of characters.
pub(super) struct Charsmap {
    units: Vec<u32>,
    texts: Vec<u8>,
    place: String,
}

impl Charsmap {
    /// From the blob of the model, which may be empty: then nothing is mapped. `place` is the file's name for messages.
    pub(super) fn read(blob: &[u8], place: &str) -> Result<Self> {
        let place = format!("{place}: `precompiled_charsmap`");
        let Some((size, rest)) = blob.split_first_chunk() else {
            return match blob {
                [] => Ok(Self { units: Vec::new(), texts: Vec::new(), place }),
                _ => Err(Error::mismatch(place, "4 bytes of length", blob.len())),
            };
        };
        let size = u32::from_le_bytes(*size) as usize;
        let Some((trie, texts)) = rest.split_at_checked(size).filter(|(trie, _)| trie.len() % 4 == 0) else {
            let expected = format!("a trie of 4-byte units in {} bytes", rest.len());
            return Err(Error::mismatch(place, expected, format!("one of {size} bytes")));
        };
        let units = trie.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Ok(Self { units, texts: texts.to_owned(), place })
    }

    /// `text` with what the map knows replaced, the longest prefix first, spaces as [`SPACE`] and never two of those that are
    /// mapped in a row, none at the end, one in front.
    pub(super) fn normalize(&self, text: &str) -> Result<String> {
        let mut rest = text.as_bytes();
        let mut out = Vec::with_capacity(text.len());
        let mut behind_space = false;
        while !rest.is_empty() {
            let (mut target, length) = self.prefix(rest)?;
            rest = &rest[length..];
            while behind_space && let Some(shorter) = target.strip_prefix(b" ") {
                target = shorter;
            }
            if let Some(last) = target.last() {
                behind_space = *last == b' ';
                out.extend_from_slice(target);
            }
        }
        let out = String::from_utf8(out).map_err(|e| Error::malformed(&self.place, e))?;
        let escaped: String = out.chars().map(|c| if c == ' ' { SPACE } else { c }).collect();
        Ok(format!("{SPACE}{}", escaped.trim_end_matches(SPACE)))
    }

    /// What the longest known prefix of `bytes`, which are not empty, becomes, and its length; else the first character.
    fn prefix<'a>(&'a self, bytes: &'a [u8]) -> Result<(&'a [u8], usize)> {
        let mut best = None;
        let mut base = self.units.first().map_or(0, |unit| offset(*unit));
        for (i, byte) in bytes.iter().enumerate() {
            let at = base ^ *byte as usize;
            let Some(unit) = self.units.get(at).filter(|unit| *unit & 0x8000_00ff == u32::from(*byte)) else { break };
            if i == LONGEST {
                return Err(Error::mismatch(
                    &self.place,
                    format!("sequences of at most {LONGEST} bytes"),
                    "a longer one",
                ));
            }
            base = at ^ offset(*unit);
            if unit >> 8 & 1 == 1 {
                best = Some((base, i + 1));
            }
        }
        let Some((leaf, length)) = best else {
            let first = match bytes[0] {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            let first = first.min(bytes.len());
            return Ok((&bytes[..first], first));
        };
        let text = self.units.get(leaf).and_then(|unit| self.texts.get((unit & 0x7fff_ffff) as usize..));
        let text = text.and_then(|text| {
            let end = text.iter().take(LONGEST).position(|byte| *byte == 0)?;
            Some(&text[..end])
        });
        let missing =
            || Error::mismatch(&self.place, format!("texts of at most {LONGEST} bytes that end in 0"), "none");
        Ok((text.ok_or_else(missing)?, length))
    }
}

/// How far from a node its children's base is.
fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize
}
