//! `spiece.model`: a SentencePiece model, of which the pieces and the character map are used.
//!
//! A model that asks for anything else than SigLIP's do is refused, so that none gets other ids than SentencePiece gives it:
//! other algorithms than Unigram, pieces that users defined, bytes, and other treatment of white space.

use super::protobuf::{Value, fields};
use crate::{Error, Result};
use std::collections::HashSet;

/// As many as a model's vocabulary may have.
const MOST_PIECES: usize = 1 << 20;

/// In bytes. Training makes none of more than 16 characters unless asked to.
const LONGEST_PIECE: usize = 256;

/// What is used of the file.
pub(super) struct Spiece {
    /// By id.
    pub(super) pieces: Vec<Piece>,
    /// The compiled map of characters, empty where the model has none.
    pub(super) charsmap: Vec<u8>,
}

/// A piece of text with an id.
pub(super) struct Piece {
    pub(super) text: String,
    /// Logarithm of its probability.
    pub(super) score: f32,
    pub(super) kind: PieceKind,
}

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// It is found in texts.
    Normal,
    /// It stands for what no piece is found for.
    Unknown,
    /// A token that is not found in texts: one that marks an end, or one that is not used.
    Other,
}

impl Spiece {
    /// From the contents of the file; `place` is its name for messages.
    pub(super) fn read(bytes: &[u8], place: &str) -> Result<Self> {
        let mut model = Self { pieces: Vec::new(), charsmap: Vec::new() };
        let malformed = |e| Error::malformed(place, e);
        for field in fields(bytes) {
            match field.map_err(malformed)? {
                (1, Value::Bytes(piece)) => {
                    let place = format!("{place}: piece {}", model.pieces.len());
                    if model.pieces.len() == MOST_PIECES {
                        return Err(Error::mismatch(place, format!("at most {MOST_PIECES} pieces"), "more"));
                    }
                    model.pieces.push(Piece::read(piece, &place)?);
                }
                (2, Value::Bytes(trainer)) => {
                    let place = format!("{place}: `trainer_spec`");
                    let wanted =
                        [(3, "model_type", 1), (24, "treat_whitespace_as_suffix", 0), (35, "byte_fallback", 0)];
                    neutral(trainer, &place, &wanted)?;
                }
                (3, Value::Bytes(normalizer)) => {
                    let place = format!("{place}: `normalizer_spec`");
                    let wanted =
                        [(3, "add_dummy_prefix", 1), (4, "remove_extra_whitespaces", 1), (5, "escape_whitespaces", 1)];
                    neutral(normalizer, &place, &wanted)?;
                    for field in fields(normalizer) {
                        if let (2, Value::Bytes(map)) = field.map_err(malformed)? {
                            map.clone_into(&mut model.charsmap);
                        }
                    }
                }
                (number @ 1..=3, _) => {
                    return Err(Error::mismatch(place, format!("a message in field {number}"), "something else"));
                }
                _ => {}
            }
        }
        model.check(place)?;
        Ok(model)
    }

    /// Of the pieces together: none twice, one unknown, some normal.
    fn check(&self, place: &str) -> Result<()> {
        let mut seen = HashSet::with_capacity(self.pieces.len());
        if let Some(twice) = self.pieces.iter().find(|piece| !seen.insert(piece.text.as_str())) {
            return Err(Error::mismatch(place, "pieces that differ", format!("{:?} twice", twice.text)));
        }
        let count = |kind| self.pieces.iter().filter(|piece| piece.kind == kind).count();
        match (count(PieceKind::Unknown), count(PieceKind::Normal)) {
            (1, 1..) => Ok(()),
            (unknown, normal) => {
                let got = format!("{unknown} and {normal}");
                Err(Error::mismatch(place, "one piece for what is unknown, and normal pieces", got))
            }
        }
    }
}

impl Piece {
    fn read(bytes: &[u8], place: &str) -> Result<Self> {
        let (mut text, mut score, mut kind) = (&[][..], 0.0_f32, 1);
        for field in fields(bytes) {
            match field.map_err(|e| Error::malformed(place, e))? {
                (1, Value::Bytes(bytes)) => text = bytes,
                (2, Value::Four(bytes)) => score = f32::from_le_bytes(bytes),
                (3, Value::Varint(number)) => kind = number,
                (number @ 1..=3, _) => {
                    let expected = format!("text, a 32-bit score and a type; field {number} is of another kind");
                    return Err(Error::mismatch(place, expected, "something else"));
                }
                _ => {}
            }
        }
        if !(1..=LONGEST_PIECE).contains(&text.len()) {
            let expected = format!("a text of 1 to {LONGEST_PIECE} bytes");
            return Err(Error::mismatch(place, expected, format!("{} bytes", text.len())));
        }
        let text = std::str::from_utf8(text).map_err(|e| Error::malformed(place, e))?.to_owned();
        if !score.is_finite() {
            return Err(Error::mismatch(place, "a finite score", score));
        }
        let kind = match kind {
            1 => PieceKind::Normal,
            2 => PieceKind::Unknown,
            3 | 5 => PieceKind::Other,
            other => {
                let expected = "a piece that is normal (1), unknown (2), control (3) or unused (5)";
                return Err(Error::mismatch(format!("{place}, {text:?}"), expected, format!("type {other}")));
            }
        };
        Ok(Self { text, score, kind })
    }
}

/// Refuses a message in which a field that matters has another value than the one `wanted` of it.
fn neutral(message: &[u8], place: &str, wanted: &[(u64, &str, u64)]) -> Result<()> {
    for field in fields(message) {
        let (number, value) = field.map_err(|e| Error::malformed(place, e))?;
        if let Some((_, name, wanted)) = wanted.iter().find(|(n, _, _)| *n == number)
            && value != Value::Varint(*wanted)
        {
            return Err(Error::mismatch(format!("{place}: `{name}`"), wanted, format!("{value:?}")));
        }
    }
    Ok(())
}
