//! The likeliest way to cut a text into pieces (Unigram, arXiv 1804.10959), as SentencePiece finds it.
//!
//! Sums are in f32 from the beginning of the text, and the first of equals is kept: which of two equally likely ways is found
//! depends on rounding, and is to be the same.

use super::spiece::{Piece, PieceKind};

/// How much less likely than the least likely piece an unknown character is, in nats.
const UNKNOWN_PENALTY: f32 = 10.0;

/// Pieces in an order in which prefixes are found.
pub(super) struct Unigram {
    /// Text, score and id of the normal pieces, sorted by text.
    pieces: Vec<(String, f32, u32)>,
    unknown: f32,
}

/// The likeliest way to a place in the text.
#[derive(Clone, Copy)]
struct Way {
    score: f32,
    start: usize,
    piece: Option<u32>,
}

impl Unigram {
    pub(super) fn new(pieces: &[Piece]) -> Self {
        let normal = pieces.iter().enumerate().filter(|(_, piece)| piece.kind == PieceKind::Normal);
        let mut pieces: Vec<_> = normal.map(|(id, piece)| (piece.text.clone(), piece.score, id as u32)).collect();
        pieces.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let least = pieces.iter().map(|(_, score, _)| *score).fold(f32::INFINITY, f32::min);
        Self { pieces, unknown: least - UNKNOWN_PENALTY }
    }

    /// Ids of the likeliest pieces of `text`; neighbouring characters without a piece are one `None`.
    pub(super) fn cut(&self, text: &str) -> Vec<Option<u32>> {
        let mut ways: Vec<Option<Way>> = vec![None; text.len() + 1];
        ways[0] = Some(Way { score: 0.0, start: 0, piece: None });
        for (start, first) in text.char_indices() {
            let Some(base) = ways[start] else { continue };
            let mut reach = |length: usize, score: f32, piece: Option<u32>| {
                let score = base.score + score;
                let way = &mut ways[start + length];
                if way.is_none_or(|best| score > best.score) {
                    *way = Some(Way { score, start, piece });
                }
            };
            let mut single = false;
            self.prefixes(&text.as_bytes()[start..], |length, score, id| {
                reach(length, score, Some(id));
                single |= length == first.len_utf8();
            });
            if !single {
                reach(first.len_utf8(), self.unknown, None);
            }
        }
        let mut found = Vec::new();
        let mut end = text.len();
        while end > 0 {
            let Some(way) = ways[end] else { break };
            if way.piece.is_some() || found.last() != Some(&None) {
                found.push(way.piece);
            }
            end = way.start;
        }
        found.reverse();
        found
    }

    /// The pieces that `bytes` begin with, the shortest first: length, score and id.
    fn prefixes(&self, bytes: &[u8], mut found: impl FnMut(usize, f32, u32)) {
        let mut range = &self.pieces[..];
        for (depth, byte) in bytes.iter().enumerate() {
            let at = |piece: &(String, f32, u32)| piece.0.as_bytes().get(depth).copied();
            let low = range.partition_point(|piece| at(piece) < Some(*byte));
            let high = low + range[low..].partition_point(|piece| at(piece) == Some(*byte));
            range = &range[low..high];
            match range.first() {
                None => return,
                Some((text, score, id)) if text.len() == depth + 1 => found(text.len(), *score, *id),
                Some(_) => {}
            }
        }
    }
}
