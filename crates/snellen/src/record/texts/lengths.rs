//! All texts as token ids before the first forward: how long they are, where they stand, and that the tower takes them.

use super::Texts;
use crate::model::Model;
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;

/// The token ids of a text, but for the ids themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Length {
    /// Where its own tokens stand in the row that the tower is given, special ones among them.
    pub own: Range<usize>,
    /// The token that is pooled, in that row.
    pub end: usize,
    /// Whether it was longer than the tower takes.
    pub cut: bool,
}

/// What is known of all texts before any is run.
pub(super) struct Lengths {
    /// Row after row.
    pub rows: Vec<Length>,
    /// As [`TextsRecord::ids_hash`](crate::record::run::TextsRecord::ids_hash) says.
    pub ids_hash: String,
    /// Tokens of a text under the policy `all`.
    pub tokens: usize,
    /// Whether rows are as long as the tower takes, and padding is a token like any other.
    pub padded: bool,
}

impl Lengths {
    /// Of `texts` for `model`; one that is longer than it takes is cut with `truncate`, as `transformers` cuts it.
    ///
    /// # Errors
    /// When the model has no texts, a text has a token that it doesn't know, or is too long; by file and row.
    pub fn of(model: &Model, texts: &Texts, truncate: bool) -> Result<Self> {
        let (config, tokenizer) = (model.config.text()?, model.tokenizer()?);
        let of = |row: usize| {
            let text = texts.rows[row].text.as_str();
            let here = |source| Error::malformed(texts.place(row), source);
            let count = tokenizer.count(text).map_err(here)?;
            let cut = count > config.positions;
            if cut && !truncate {
                let expected = format!(
                    "at most {} tokens, which the model takes (--truncate cuts longer texts)",
                    config.positions
                );
                return Err(Error::mismatch(texts.place(row), expected, count));
            }
            let tokens =
                if cut { tokenizer.encode_truncated(&[text]) } else { tokenizer.encode(&[text]) }.map_err(here)?;
            let (own, end) = (tokens.own()[0].clone(), tokens.ends()[0]);
            let mut hasher = blake3::Hasher::new();
            hasher.update(&(own.len() as u64).to_le_bytes());
            tokens.ids()[own.clone()].iter().for_each(|id| {
                hasher.update(&id.to_le_bytes());
            });
            Ok((Length { own, end, cut }, hasher.finalize()))
        };
        // Collected in order, so that the first refused text is the one that is named.
        let found: Vec<Result<_>> = (0..texts.rows.len()).into_par_iter().map(of).collect();
        let mut hasher = blake3::Hasher::new();
        let mut rows = Vec::with_capacity(found.len());
        for found in found {
            let (length, hash) = found?;
            hasher.update(hash.as_bytes());
            rows.push(length);
        }
        let padded = config.sees_padding();
        let longest = rows.iter().map(|length| length.own.len()).max().unwrap_or(0);
        let tokens = if padded { config.positions } else { longest };
        Ok(Self { rows, ids_hash: hasher.finalize().to_hex().to_string(), tokens, padded })
    }

    /// How many texts were cut.
    pub fn cut(&self) -> usize {
        self.rows.iter().filter(|length| length.cut).count()
    }

    /// The tokens of text `row` whose activations mean something: its own, and padding where the tower sees it.
    pub fn kept(&self, row: usize) -> Range<usize> {
        if self.padded { 0..self.tokens } else { self.rows[row].own.clone() }
    }
}
