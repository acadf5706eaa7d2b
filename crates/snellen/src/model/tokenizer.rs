//! From texts to token ids, by `tokenizer.json`.

use super::TextConfig;
use super::config::TextPooling;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The tokenizer of a model.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    vocabulary: usize,
    positions: usize,
    pooling: TextPooling,
}

/// Token ids of several texts, padded to one length, and where each text ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    ids: Vec<u32>,
    length: usize,
    ends: Vec<usize>,
}

impl Tokens {
    /// Row-major ids, `[text, token]`.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Tokens of each text, padding included.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The token of each text that its embedding is read at.
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }
}

impl Tokenizer {
    /// From the contents of a `tokenizer.json`; `path` is its name for messages.
    pub fn from_json(bytes: &[u8], path: &Path, config: &TextConfig) -> Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| Error::malformed(path.display(), e))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| Error::malformed(path.display(), e))?;
        Ok(Self {
            inner,
            path: path.to_owned(),
            vocabulary: config.vocabulary,
            positions: config.positions,
            pooling: config.pooling,
        })
    }

    /// Token ids of `texts`, special tokens included, padded to the longest with the id that ends it. Padding cannot be seen from
    /// before it (attention is causal), so embeddings do not depend on it. A text longer than the model's positions is an error: it
    /// would be judged by a part of it.
    pub fn encode(&self, texts: &[impl AsRef<str>]) -> Result<Tokens> {
        let mut rows = Vec::with_capacity(texts.len());
        for text in texts {
            let text = text.as_ref();
            let place = || format!("{}: the text {text:?}", self.path.display());
            let encoding = self.inner.encode_fast(text, true).map_err(|e| Error::malformed(place(), e))?;
            let ids = encoding.get_ids().to_vec();
            if let Some(id) = ids.iter().find(|id| **id as usize >= self.vocabulary) {
                let expected = format!("ids below the model's vocab_size ({})", self.vocabulary);
                return Err(Error::mismatch(place(), expected, id));
            }
            if ids.len() > self.positions {
                return Err(Error::mismatch(place(), format!("at most {} tokens", self.positions), ids.len()));
            }
            rows.push(ids);
        }
        let length = rows.iter().map(Vec::len).max().unwrap_or(0);
        for row in &mut rows {
            let end = row.last().copied().unwrap_or_default();
            row.resize(length, end);
        }
        self.tokens(&rows)
    }

    /// From ids that were made elsewhere: rows of one length.
    pub fn tokens(&self, rows: &[Vec<u32>]) -> Result<Tokens> {
        let length = rows.first().map_or(0, Vec::len);
        let ends = rows
            .iter()
            .map(|row| {
                let end = match self.pooling {
                    TextPooling::First(id) => row.iter().position(|x| *x == id),
                    TextPooling::Last => row.len().checked_sub(1),
                    TextPooling::LargestId => row.iter().max().and_then(|m| row.iter().position(|x| x == m)),
                };
                let place = || self.path.display().to_string();
                end.ok_or_else(|| {
                    Error::mismatch(
                        place(),
                        format!("an end-of-text token ({:?})", self.pooling),
                        format!("ids {row:?}"),
                    )
                })
            })
            .collect::<Result<_>>()?;
        if let Some(row) = rows.iter().find(|row| row.len() != length) {
            return Err(Error::mismatch(self.path.display(), format!("{length} ids in every row"), row.len()));
        }
        Ok(Tokens { ids: rows.concat(), length, ends })
    }
}
