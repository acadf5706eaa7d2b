//! `SiglipTokenizer`, which reads `spiece.model` only.
//!
//! `transformers` lays its own rules around SentencePiece's, in this order: "▁" (U+2581) in the text becomes a space, and one is
//! put in front; the text is split at special tokens, which become their ids; every other part is lower-cased, loses its ASCII
//! punctuation, and its white space becomes single spaces; SentencePiece cuts each part behind the literal text `<unk>`, whose
//! pieces are dropped, so that a part's beginning gets no space of its own; a "▁" alone before a special token at the beginning is
//! dropped; and `</s>` ends the whole unless it does already.
//!
//! Lower-casing follows the Unicode version of this program's standard library, `transformers`' that of its Python.

use super::charsmap::{Charsmap, SPACE};
use super::clean;
use super::described::{Described, content};
use super::spiece::{PieceKind, Spiece};
use super::unigram::Unigram;
use crate::{Error, Result};
use serde_json::Value;
use std::collections::HashMap;

/// More special tokens than this are an error: each is looked for at every character.
const MOST_SPECIAL: usize = 64;

/// The tokenizer of SigLIP.
pub(super) struct Siglip {
    ids: HashMap<String, u32>,
    unigram: Unigram,
    charsmap: Charsmap,
    special: Vec<(String, u32)>,
    /// The text `<unk>`, and how many pieces it has.
    prefix: (String, usize),
    space: u32,
    end: u32,
    unknown: u32,
}

/// What `tokenizer_config.json` says of special tokens.
pub(super) struct Special {
    end: String,
    unknown: String,
    /// All of them, with their key for messages, and an id where the file has one.
    all: Vec<(String, String, Option<u32>)>,
}

impl Special {
    /// Refuses what would change ids in a way that is not followed.
    pub(super) fn read(described: &Described) -> Result<Self> {
        for (key, wanted) in [("do_lower_case", Value::Bool(true)), ("sp_model_kwargs", Value::Object(<_>::default()))]
        {
            if let Some(other) = described.config.get(key).filter(|value| **value != wanted && !value.is_null()) {
                return Err(Error::mismatch(described.key(key), wanted, other));
            }
        }
        let [end, unknown] = [described.token("eos_token", "</s>")?, described.token("unk_token", "<unk>")?];
        let mut all = vec![
            (end.clone(), described.key("eos_token"), None),
            (unknown.clone(), described.key("unk_token"), None),
            (described.token("pad_token", "</s>")?, described.key("pad_token"), None),
        ];
        let place = described.key("added_tokens_decoder");
        let added = described.config.get("added_tokens_decoder").and_then(Value::as_object);
        for (id, token) in added.into_iter().flatten() {
            let wrong =
                || Error::mismatch(&place, "special tokens by id, not `normalized` and not `single_word`", token);
            let is = |key: &str| token.get(key).and_then(Value::as_bool).unwrap_or(false);
            if is("normalized") || is("single_word") {
                return Err(wrong());
            }
            let (text, id) = content(token).zip(id.parse().ok()).ok_or_else(wrong)?;
            all.push((text.to_owned(), place.clone(), Some(id)));
        }
        for key in ["additional_special_tokens", "extra_special_tokens"] {
            for token in described.config.get(key).and_then(Value::as_array).into_iter().flatten() {
                let wrong = || Error::mismatch(described.key(key), "a list of tokens", token);
                all.push((content(token).ok_or_else(wrong)?.to_owned(), described.key(key), None));
            }
        }
        if all.len() > MOST_SPECIAL {
            return Err(Error::mismatch(place, format!("at most {MOST_SPECIAL} special tokens"), all.len()));
        }
        Ok(Self { end, unknown, all })
    }
}

impl Siglip {
    /// From the contents of a `spiece.model`; `place` is its name for messages.
    pub(super) fn new(bytes: &[u8], place: &str, special: &Special) -> Result<Self> {
        let model = Spiece::read(bytes, place)?;
        let unigram = Unigram::new(&model.pieces);
        let charsmap = Charsmap::read(&model.charsmap, place)?;
        let find = |kind| model.pieces.iter().position(|piece| piece.kind == kind);
        let unknown = find(PieceKind::Unknown).unwrap_or_default() as u32;
        let ids: HashMap<_, _> = model.pieces.into_iter().map(|piece| piece.text).zip(0..).collect();
        let missing = |piece: &str| Error::mismatch(place, format!("the piece {piece:?}"), "none");
        let mut tokens: Vec<(String, u32)> = Vec::new();
        for (text, key, id) in &special.all {
            let own = ids.get(text).copied();
            if own.is_none() || text.is_empty() || id.is_some_and(|id| Some(id) != own) {
                let got = id.map_or_else(|| format!("{text:?}"), |id| format!("{text:?}, {id}"));
                return Err(Error::mismatch(key, format!("pieces of {place}, with their ids"), got));
            }
            tokens.extend(own.map(|id| (text.clone(), id)));
        }
        // Of two that fit, the longer one.
        tokens.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
        tokens.dedup();
        let space = SPACE.to_string();
        let prefix = unigram.cut(&charsmap.normalize(&special.unknown)?).len();
        Ok(Self {
            space: *ids.get(&space).ok_or_else(|| missing(&space))?,
            end: *ids.get(&special.end).ok_or_else(|| missing(&special.end))?,
            unknown,
            prefix: (special.unknown.clone(), prefix),
            special: tokens,
            unigram,
            charsmap,
            ids,
        })
    }

    /// The id of a piece.
    pub(super) fn id(&self, piece: &str) -> Option<u32> {
        self.ids.get(piece).copied()
    }

    /// Ids of `text`, the end included; at most `most` where that is given.
    pub(super) fn ids(&self, text: &str, most: Option<usize>) -> Result<Vec<u32>> {
        let text: String =
            std::iter::once(SPACE).chain(text.chars().map(|c| if c == SPACE { ' ' } else { c })).collect();
        let mut ids = Vec::new();
        let mut second_special = false;
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let found = rest.char_indices().find_map(|(at, _)| {
                let token = self.special.iter().find(|(token, _)| rest[at..].starts_with(token.as_str()))?;
                Some((at, token))
            });
            let (part, token) = found.map_or((rest, None), |(at, token)| (&rest[..at], Some(token)));
            ids.extend(self.part(part)?);
            rest = &rest[part.len()..];
            if let Some((token, id)) = token {
                second_special |= ids.len() == 1;
                ids.push(*id);
                rest = &rest[token.len()..];
            }
        }
        if second_special && ids[0] == self.space {
            ids.remove(0);
        }
        if let Some(most) = most {
            ids.truncate(most.saturating_sub(1));
        }
        if ids.last() != Some(&self.end) {
            ids.push(self.end);
        }
        Ok(ids)
    }

    /// Ids of a text without special tokens.
    fn part(&self, text: &str) -> Result<impl Iterator<Item = u32>> {
        let (unknown, length) = &self.prefix;
        let normal = self.charsmap.normalize(&format!("{unknown}{}", clean::siglip(text)))?;
        let pieces = self.unigram.cut(&normal);
        let skipped = if pieces.len() >= *length { *length } else { 0 };
        Ok(pieces.into_iter().skip(skipped).map(|piece| piece.unwrap_or(self.unknown)))
    }
}
