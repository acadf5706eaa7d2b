//! From texts to token ids: the ids that `transformers`, or OpenCLIP, gives the model.
//!
//! Which tokenizer a model has is read from its files (`choose`) and never guessed. Most are complete in their `tokenizer.json`,
//! which the `tokenizers` library reads; CLIP's may be `vocab.json` and `merges.txt` (`bpe`). SigLIP's is not: `transformers` reads `spiece.model` for it, and so does `siglip`, by
//! SentencePiece's rules (`spiece`, `charsmap`, `unigram`). What OpenCLIP does to a text before its tokenizer sees it is in
//! `clean`, less two steps: ftfy's repairs and HTML entities. Texts with mojibake, curly quotes, ligatures, full-width letters or
//! `&amp;` therefore get other ids than in OpenCLIP.

mod bert;
mod bpe;
mod charsmap;
mod choose;
mod clean;
mod described;
mod padding;
mod protobuf;
mod siglip;
mod spiece;
mod unigram;
mod xlm_roberta;

use super::TextConfig;
use super::config::{Cleaning, TextPooling};
use crate::panics::{catch, decoded};
use crate::{Error, Result};
use padding::Padding;
use siglip::Siglip;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tokenizers::{PostProcessor, TruncationDirection};

pub(super) use choose::missing;

/// The tokenizer of a model.
pub struct Tokenizer {
    reader: Reader,
    cleaning: Option<Cleaning>,
    padding: Padding,
    /// The id that becomes 0.
    stripped: Option<u32>,
    path: PathBuf,
    text: TextConfig,
    /// BLAKE3, in hexadecimal.
    hash: String,
}

/// What makes ids of a cleaned text.
enum Reader {
    /// A `tokenizer.json`.
    Json(Box<tokenizers::Tokenizer>),
    /// SigLIP's `spiece.model`.
    Siglip(Box<Siglip>),
}

/// Token ids of several texts, padded to one length, and where each text ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    ids: Vec<u32>,
    length: usize,
    ends: Vec<usize>,
    /// `None` where all are seen.
    mask: Option<Vec<bool>>,
    own: Vec<Range<usize>>,
}

impl Tokens {
    /// From ids that were made elsewhere, for a text tower of this shape; `place` is where they are from, for messages.
    ///
    /// # Errors
    /// When rows are of different lengths, longer than the model's positions, beyond its vocabulary, or without an end.
    pub fn new(rows: &[Vec<u32>], text: &TextConfig, place: &str) -> Result<Self> {
        Self::masked(rows, None, text, place)
    }

    /// The same where attention sees only some of the ids: those that are true in `mask`, whose rows are those of `rows`.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when the mask is of another shape, or attention is causal, where a mask is not followed.
    pub fn masked(rows: &[Vec<u32>], mask: Option<&[Vec<bool>]>, text: &TextConfig, place: &str) -> Result<Self> {
        let length = rows.first().map_or(0, Vec::len);
        if length > text.positions {
            return Err(Error::mismatch(place, format!("at most {} tokens", text.positions), length));
        }
        let mut ends = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != length {
                return Err(Error::mismatch(place, format!("{length} ids in every row"), row.len()));
            }
            check(row, text, || place.to_owned())?;
            let end = match text.pooling {
                TextPooling::First(id) => row.iter().position(|x| *x == id),
                TextPooling::Last => row.len().checked_sub(1),
                TextPooling::LargestId => row.iter().max().and_then(|m| row.iter().position(|x| x == m)),
            };
            let none = || {
                let expected = format!("an end-of-text token ({:?})", text.pooling);
                Error::mismatch(place, expected, format!("ids {row:?}"))
            };
            ends.push(end.ok_or_else(none)?);
        }
        if mask.is_some_and(|mask| mask.len() != rows.len() || mask.iter().any(|row| row.len() != length)) {
            return Err(Error::mismatch(place, format!("a mask of {} rows of {length}", rows.len()), "another"));
        }
        let mask = mask.map(<[Vec<bool>]>::concat).filter(|mask| mask.contains(&false));
        if mask.is_some() && text.causal {
            return Err(Error::mismatch(place, "no attention mask, since attention is causal", "one"));
        }
        let own = vec![0..length; rows.len()];
        Ok(Self { ids: rows.concat(), length, ends, mask, own })
    }

    /// Row-major ids, `[text, token]`.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Tokens of each text, padding included.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Which ids attention sees, `[text, token]`; `None` where all.
    pub fn mask(&self) -> Option<&[bool]> {
        self.mask.as_deref()
    }

    /// The token of each text that its embedding is read at.
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// The texts `rows`, in this order, each as often as it comes.
    ///
    /// # Panics
    /// If there is no such text.
    #[must_use]
    pub fn rows(&self, rows: &[usize]) -> Self {
        let n = self.length;
        let mask = |mask: &Vec<bool>| rows.iter().flat_map(|row| &mask[row * n..][..n]).copied().collect();
        Self {
            ids: rows.iter().flat_map(|row| &self.ids[row * n..][..n]).copied().collect(),
            length: n,
            ends: rows.iter().map(|row| self.ends[*row]).collect(),
            mask: self.mask.as_ref().map(mask),
            own: rows.iter().map(|row| self.own[*row].clone()).collect(),
        }
    }

    /// Where in its row the tokens of each text stand, special ones among them; what is around them is padding. Whole rows, where the
    /// ids were made elsewhere.
    pub fn own(&self) -> &[Range<usize>] {
        &self.own
    }
}

impl Tokenizer {
    /// From the contents of a `tokenizer.json`; `path` is its name for messages. A model that sees padding needs the `padding` of
    /// the same file.
    pub fn from_json(bytes: &[u8], path: &Path, config: &TextConfig) -> Result<Self> {
        let inner = parse(bytes, path)?;
        let padding = Padding::of_json(&inner, &path.display().to_string(), config)?;
        Ok(Self::new(Reader::json(inner, path)?, padding, None, (path, bytes), config))
    }

    fn new(
        reader: Reader,
        padding: Padding,
        cleaning: Option<Cleaning>,
        (path, bytes): (&Path, &[u8]),
        config: &TextConfig,
    ) -> Self {
        let hash = blake3::hash(bytes).to_hex().to_string();
        Self { reader, cleaning, padding, stripped: None, path: path.to_owned(), text: config.clone(), hash }
    }

    /// BLAKE3, in hexadecimal, of the file that ids are made by: `tokenizer.json` or `spiece.model`; of `vocab.json` and `merges.txt`,
    /// of the `tokenizer.json` that is made of them.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// How many tokens `text` has, special ones among them, however many the model takes.
    ///
    /// # Errors
    /// When it holds what the tokenizer knows no token for.
    pub fn count(&self, text: &str) -> Result<usize> {
        self.ids(text, None, &|| self.place(text)).map(|ids| ids.len())
    }

    /// For each token of `text` which bytes of it it stands for, none for special ones; `None` where that isn't known: where the text is
    /// cleaned, which changes it, and of SigLIP's own reader.
    pub(crate) fn spans(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let Reader::Json(inner) = &self.reader else { return None };
        if self.cleaning.is_some_and(|cleaning| clean::clean(text, cleaning) != text) {
            return None;
        }
        let encoding = catch(|| inner.encode(text, true)).ok()?.ok()?;
        Some(encoding.get_offsets().iter().map(|(from, to)| *from..*to).collect())
    }

    fn place(&self, text: &str) -> String {
        format!("{}: the text {}", self.path.display(), quoted(text))
    }

    /// Its ids, at most `most` where that is given.
    fn ids(&self, text: &str, most: Option<usize>, place: &dyn Fn() -> String) -> Result<Vec<u32>> {
        let cleaned = self.cleaning.map(|cleaning| clean::clean(text, cleaning));
        self.reader.ids(cleaned.as_deref().unwrap_or(text), most, place)
    }

    /// Token ids of `texts`, special tokens included. Where padding can be seen in an embedding, all texts are padded to the
    /// model's positions with the padding token, on the side and with the mask of the library; where attention is causal it cannot,
    /// and texts are padded to the longest. A text longer than the model's positions is an error: it would be judged by a part of
    /// it.
    pub fn encode(&self, texts: &[impl AsRef<str>]) -> Result<Tokens> {
        self.rows(texts, None)
    }

    /// As [`encode`](Self::encode), but a text longer than the model's positions is cut, as `transformers` cuts it with
    /// `truncation=True`: the tokens at its end are dropped, and the special tokens that end a text remain.
    pub fn encode_truncated(&self, texts: &[impl AsRef<str>]) -> Result<Tokens> {
        self.rows(texts, Some(self.text.positions))
    }

    fn rows(&self, texts: &[impl AsRef<str>], most: Option<usize>) -> Result<Tokens> {
        let mut rows = Vec::with_capacity(texts.len());
        for text in texts {
            let text = text.as_ref();
            let place = || self.place(text);
            let ids = self.ids(text, most, &place)?;
            check(&ids, &self.text, place)?;
            if ids.len() > self.text.positions {
                return Err(Error::mismatch(place(), format!("at most {} tokens", self.text.positions), ids.len()));
            }
            rows.push(ids);
        }
        let counts: Vec<usize> = rows.iter().map(Vec::len).collect();
        let mask = self.padding.apply(&mut rows, self.text.positions);
        if let Some(stripped) = self.stripped {
            rows.iter_mut().flatten().filter(|id| **id == stripped).for_each(|id| *id = 0);
        }
        let tokens = Tokens::masked(&rows, mask.as_deref(), &self.text, &self.path.display().to_string())?;
        let own = counts.into_iter().map(|count| self.padding.span(count, tokens.length)).collect();
        Ok(Tokens { own, ..tokens })
    }
}

/// Refuses ids that the model has no embedding for.
fn check(ids: &[u32], text: &TextConfig, place: impl Fn() -> String) -> Result<()> {
    match ids.iter().find(|id| **id as usize >= text.vocabulary) {
        Some(id) => {
            let expected = format!("ids below the model's vocab_size ({})", text.vocabulary);
            Err(Error::mismatch(place(), expected, id))
        }
        None => Ok(()),
    }
}

impl Reader {
    /// Padding and truncation are ours.
    fn json(mut inner: tokenizers::Tokenizer, path: &Path) -> Result<Self> {
        decoded(panicking(path.display()), || {
            inner.with_padding(None);
            inner.with_truncation(None).map_err(|e| Error::malformed(path.display(), e))?;
            Ok(Self::Json(Box::new(inner)))
        })
    }

    /// Ids of `text`, special tokens included; at most `most` where that is given.
    fn ids(&self, text: &str, most: Option<usize>, place: &dyn Fn() -> String) -> Result<Vec<u32>> {
        let inner = match self {
            Self::Siglip(inner) => return inner.ids(text, most),
            Self::Json(inner) => inner,
        };
        let ids = || json_ids(inner, text, most, place);
        // The place is made only where it is needed.
        catch(ids).unwrap_or_else(|said| Err(Error::malformed(panicking(place()), said)))
    }
}

fn json_ids(
    inner: &tokenizers::Tokenizer,
    text: &str,
    most: Option<usize>,
    place: &dyn Fn() -> String,
) -> Result<Vec<u32>> {
    let malformed = |e| {
        let unknown = text.split_whitespace().find(|word| inner.encode_fast(*word, false).is_err());
        match unknown {
            Some(word) => Error::mismatch(place(), "words of its vocabulary", quoted(word)),
            None => Error::malformed(place(), e),
        }
    };
    let Some(most) = most else {
        return Ok(inner.encode_fast(text, true).map_err(malformed)?.get_ids().to_vec());
    };
    let special = inner.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
    let mut encoding = inner.encode_fast(text, false).map_err(malformed)?;
    encoding.truncate(most.saturating_sub(special), 0, TruncationDirection::Right);
    Ok(inner.post_process(encoding, None, true).map_err(malformed)?.get_ids().to_vec())
}

fn parse(bytes: &[u8], path: &Path) -> Result<tokenizers::Tokenizer> {
    let read = || tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| Error::malformed(path.display(), e));
    decoded(panicking(path.display()), read)
}

/// The place of a file that the crate has no error for.
fn panicking(place: impl std::fmt::Display) -> String {
    format!("{place}: the `tokenizers` crate panics")
}

/// A text in a message: its beginning, if it is long.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
