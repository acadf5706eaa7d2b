//! What stands behind a text in the model's positions.
//!
//! Where a model sees it, another padding is another embedding. So the token is looked up in the files, in the order in which
//! `transformers` does, and its absence is an error. OpenCLIP's own tokenizer pads with 0, whatever its configuration says.

use super::choose::Described;
use crate::model::ModelConfig;
use crate::model::config::TextConfig;
use crate::{Error, Result};
use serde_json::Value;
use tokenizers::PaddingDirection;

/// How rows become of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// Nothing before it sees it: to the longest row, with the id that ends each.
    Unseen,
    /// To the model's positions, with this id.
    Seen(u32),
}

impl Padding {
    /// As a `tokenizer.json` by itself says.
    pub(super) fn of_json(inner: &tokenizers::Tokenizer, place: &str, text: &TextConfig) -> Result<Self> {
        if !text.sees_padding() {
            return Ok(Self::Unseen);
        }
        let place = format!("{place}: `padding`");
        let name = json_token(inner, &place)?;
        let missing = || Error::mismatch(&place, "the token that texts are padded with", "none");
        Self::seen(&name.ok_or_else(missing)?, &place, &|token| inner.token_to_id(token), text)
    }

    /// As the model's files say: `pad_token` of `tokenizer_config.json`, else of `special_tokens_map.json`, else `json`, which
    /// has a `padding`.
    pub(super) fn of_files(
        described: &Described,
        config: &ModelConfig,
        text: &TextConfig,
        json: Option<(&tokenizers::Tokenizer, &str)>,
        id: &dyn Fn(&str) -> Option<u32>,
    ) -> Result<Self> {
        if let Some(side) = described.config.get("padding_side").filter(|side| *side != "right") {
            return Err(Error::mismatch(described.key("padding_side"), "\"right\"", side));
        }
        if !text.sees_padding() {
            return Ok(Self::Unseen);
        }
        if config.open_clip_tokenizer.as_ref().is_some_and(|tokenizer| tokenizer.library.is_none()) {
            return Ok(Self::Seen(0));
        }
        let files = [(&described.config, &described.place), (&described.special, &described.special_place)];
        for (values, place) in files {
            if let Some(value) = values.get("pad_token").filter(|value| !value.is_null()) {
                let place = format!("{place}: `pad_token`");
                let name = content(value).ok_or_else(|| {
                    Error::mismatch(&place, "a token, as a string or an object with `content`", value)
                })?;
                return Self::seen(name, &place, id, text);
            }
        }
        if let Some((inner, place)) = json {
            let place = format!("{place}: `padding`");
            if let Some(name) = json_token(inner, &place)? {
                return Self::seen(&name, &place, id, text);
            }
        }
        let got = "no such key, and none in special_tokens_map.json or in tokenizer.json's `padding`";
        Err(Error::mismatch(described.key("pad_token"), "the token that texts are padded with", got))
    }

    fn seen(name: &str, place: &str, id: &dyn Fn(&str) -> Option<u32>, text: &TextConfig) -> Result<Self> {
        let unknown = || Error::mismatch(place, "a token of the vocabulary", format!("\"{name}\""));
        let id = id(name).ok_or_else(unknown)?;
        if id as usize >= text.vocabulary {
            let expected = format!("a token with an id below the model's vocab_size ({})", text.vocabulary);
            return Err(Error::mismatch(place, expected, format!("\"{name}\", {id}")));
        }
        Ok(Self::Seen(id))
    }
}

/// The token of a `tokenizer.json`'s `padding`, which has to be on the right.
fn json_token(inner: &tokenizers::Tokenizer, place: &str) -> Result<Option<String>> {
    let Some(padding) = inner.get_padding() else { return Ok(None) };
    if matches!(padding.direction, PaddingDirection::Left) {
        return Err(Error::mismatch(place, "the direction `Right`", "`Left`"));
    }
    Ok(Some(padding.pad_token.clone()))
}

/// A token as `tokenizer_config.json` has it: a string, or an object.
pub(super) fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}
