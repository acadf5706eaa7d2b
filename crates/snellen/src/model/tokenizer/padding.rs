//! What stands around a text in the model's positions.
//!
//! Where a model sees it, another padding is another embedding. So token, side and mask are looked up in the files, in the order in
//! which `transformers` does, then in what their class has by itself (Gemma's and SigLIP 2's pad on the left, and all return a mask
//! of what is text, which a text tower without causal attention uses). The absence of a token is an error. OpenCLIP's own tokenizer
//! pads with 0, whatever its configuration says, and its text towers are given no mask.

use super::described::{Described, content};
use crate::model::ModelConfig;
use crate::model::config::{TextConfig, TextPooling};
use crate::{Error, Result};
use serde_json::Value;
use std::ops::Range;
use tokenizers::PaddingDirection;

/// How rows become of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Padding {
    /// Whether an embedding can see it: rows then take all of the model's positions, else as many as the longest.
    seen: bool,
    /// The padding token; `None` where the files name none and nothing sees it: the last id of each row is repeated.
    id: Option<u32>,
    /// Whether it stands before the text.
    left: bool,
    /// Whether attention passes over it.
    masked: bool,
}

/// What a class does where the files don't say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    /// Whether it pads on the left.
    pub(super) left: bool,
    /// The padding token of its own.
    pub(super) token: Option<&'static str>,
}

impl Padding {
    /// As a `tokenizer.json` by itself says.
    pub(super) fn of_json(inner: &tokenizers::Tokenizer, place: &str, text: &TextConfig) -> Result<Self> {
        let plain = Self { seen: text.sees_padding(), id: None, left: false, masked: false };
        if !plain.seen {
            return Ok(plain);
        }
        let place = format!("{place}: `padding`");
        let missing = || Error::mismatch(&place, "the token that texts are padded with", "none");
        let json = inner.get_padding().ok_or_else(missing)?;
        let left = plain.side(matches!(json.direction, PaddingDirection::Left), &place, text)?;
        Ok(Self { id: Some(id_of(&json.pad_token, &place, &|token| inner.token_to_id(token), text)?), left, ..plain })
    }

    /// As the model's files say: `pad_token` of `tokenizer_config.json`, else of `special_tokens_map.json`, else `json`, which
    /// has a `padding`.
    pub(super) fn of_files(
        described: &Described,
        config: &ModelConfig,
        text: &TextConfig,
        json: Option<(&tokenizers::Tokenizer, &str)>,
        class: Class,
        id: &dyn Fn(&str) -> Option<u32>,
    ) -> Result<Self> {
        let own = config.open_clip_tokenizer.as_ref().is_some_and(|tokenizer| tokenizer.library.is_none());
        let mut padding = Self { seen: text.sees_padding(), id: None, left: false, masked: false };
        let (left, place) = side(described, json, class)?;
        padding.left = padding.side(left && !own, &place, text)?;
        let given = described.config.get("model_input_names").and_then(Value::as_array);
        let mask = given.is_none_or(|names| names.iter().any(|name| name == "attention_mask"));
        padding.masked = mask && padding.seen && !text.causal && config.open_clip_tokenizer.is_none();
        padding.id = if own {
            Some(0)
        } else {
            match (token(described, json, class)?, padding.seen) {
                (Some((name, place)), true) => Some(id_of(&name, &place, id, text)?),
                (Some((name, _)), false) => id(&name).filter(|id| (*id as usize) < text.vocabulary),
                (None, false) => None,
                (None, true) => {
                    let got = "no such key, and none in special_tokens_map.json or in tokenizer.json's `padding`";
                    return Err(Error::mismatch(
                        described.key("pad_token"),
                        "the token that texts are padded with",
                        got,
                    ));
                }
            }
        };
        Ok(padding)
    }

    /// Refuses padding on the left where embeddings are not read at the last token: the token that they are read at may then be
    /// padding, and a text's embedding depends on the texts beside it.
    fn side(self, left: bool, place: &str, text: &TextConfig) -> Result<bool> {
        if left && !(self.seen && text.pooling == TextPooling::Last) {
            return Err(Error::mismatch(place, "\"right\", where a text is read at its end token", "\"left\""));
        }
        Ok(left)
    }

    /// Makes `rows` of one length, of at most `positions`, and says which ids are text where attention has to know.
    pub(super) fn apply(self, rows: &mut [Vec<u32>], positions: usize) -> Option<Vec<Vec<bool>>> {
        let length = if self.seen { positions } else { rows.iter().map(Vec::len).max().unwrap_or(0) };
        let mask = self.masked.then(|| rows.iter().map(|row| self.text(row.len(), length)).collect());
        for row in rows.iter_mut() {
            let id = self.id.or(row.last().copied()).unwrap_or_default();
            let ids = std::mem::take(row);
            let padding = std::iter::repeat_n(id, length.saturating_sub(ids.len()));
            *row = if self.left { padding.chain(ids).collect() } else { ids.into_iter().chain(padding).collect() };
        }
        mask
    }

    /// Which of `length` ids are the `ids` of a text.
    fn text(self, ids: usize, length: usize) -> Vec<bool> {
        let span = self.span(ids, length);
        (0..length).map(|at| span.contains(&at)).collect()
    }

    /// Where in a row of `length` ids the `ids` of a text stand.
    pub(super) fn span(self, ids: usize, length: usize) -> Range<usize> {
        if self.left { length - ids..length } else { 0..ids }
    }
}

/// Whether texts are padded on the left, and what says so.
fn side(described: &Described, json: Option<(&tokenizers::Tokenizer, &str)>, class: Class) -> Result<(bool, String)> {
    let key = described.key("padding_side");
    match described.config.get("padding_side").filter(|side| !side.is_null()) {
        Some(Value::String(side)) if side == "right" || side == "left" => return Ok((side == "left", key)),
        Some(other) => return Err(Error::mismatch(key, "\"right\" or \"left\"", other)),
        None => {}
    }
    if let Some((padding, place)) = json.and_then(|(inner, place)| Some((inner.get_padding()?, place))) {
        return Ok((matches!(padding.direction, PaddingDirection::Left), format!("{place}: `padding`")));
    }
    Ok((class.left, key))
}

/// The padding token, and what names it.
fn token(
    described: &Described,
    json: Option<(&tokenizers::Tokenizer, &str)>,
    class: Class,
) -> Result<Option<(String, String)>> {
    let files = [(&described.config, &described.place), (&described.special, &described.special_place)];
    for (values, place) in files {
        if let Some(value) = values.get("pad_token").filter(|value| !value.is_null()) {
            let place = format!("{place}: `pad_token`");
            let wrong = || Error::mismatch(&place, "a token, as a string or an object with `content`", value);
            return Ok(Some((content(value).ok_or_else(wrong)?.to_owned(), place)));
        }
    }
    if let Some((padding, place)) = json.and_then(|(inner, place)| Some((inner.get_padding()?, place))) {
        return Ok(Some((padding.pad_token.clone(), format!("{place}: `padding`"))));
    }
    Ok(class.token.map(|token| (token.to_owned(), described.key("pad_token"))))
}

fn id_of(name: &str, place: &str, id: &dyn Fn(&str) -> Option<u32>, text: &TextConfig) -> Result<u32> {
    let id = id(name).ok_or_else(|| Error::mismatch(place, "a token of the vocabulary", format!("{name:?}")))?;
    if id as usize >= text.vocabulary {
        let expected = format!("a token with an id below the model's vocab_size ({})", text.vocabulary);
        return Err(Error::mismatch(place, expected, format!("{name:?}, {id}")));
    }
    Ok(id)
}
