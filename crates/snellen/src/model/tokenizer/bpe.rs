//! CLIP's byte-pair encoding from `vocab.json` and `merges.txt`, as `CLIPTokenizer` of `transformers` 5.23 builds it.
//!
//! The class knows the rest: texts are composed (NFC), runs of white space become a space, letters become small; words are cut by one
//! pattern; begin and end stand around a text. Which special tokens are found inside a text, and whether before or after letters
//! became small, follows from the small files: a token that `tokenizer_config.json` has as a string is looked for in the text as it
//! is, one that it has as an object as the object says, and the last of two for one token holds.

use super::described::{Described, content};
use crate::model::files::{self, Files};
use crate::{Error, Result};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

pub(super) const VOCABULARY: &str = "vocab.json";
pub(super) const MERGES: &str = "merges.txt";

/// More special tokens than this are an error.
const MOST_SPECIAL: usize = 1024;
/// As many as a vocabulary may have.
const MOST_TOKENS: usize = 1 << 20;

/// How words are cut.
const WORDS: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
/// Tokens of the class, in the order in which it adds them, with what each is called where the files don't say.
const NAMED: [(&str, Option<&str>); 7] = [
    ("bos_token", Some("<|startoftext|>")),
    ("eos_token", Some("<|endoftext|>")),
    ("unk_token", Some("<|endoftext|>")),
    ("sep_token", None),
    ("pad_token", Some("<|endoftext|>")),
    ("cls_token", None),
    ("mask_token", None),
];

/// What is between a special token and the texts that it is found in.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "they are the flags of `AddedToken`")]
struct Added {
    content: String,
    /// Whether a string stood for it, which the class takes for another token than an object.
    plain: bool,
    normalized: bool,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
}

/// The `tokenizer.json` that the two files stand for, with the name of the first; `None` where there is no `vocab.json`.
///
/// # Errors
/// When `merges.txt` is missing beside it, or one of them is malformed.
pub(super) fn tokenizer_json(files: &dyn Files, described: &Described) -> Result<Option<(PathBuf, Vec<u8>)>> {
    let Some((path, bytes)) = files::read(files, VOCABULARY)? else { return Ok(None) };
    let place = path.display().to_string();
    let vocabulary = match files::json(&path, &bytes)? {
        Value::Object(map) if map.values().all(Value::is_u64) && map.len() <= MOST_TOKENS => map,
        _ => {
            return Err(Error::mismatch(
                place,
                format!("an object of at most {MOST_TOKENS} tokens and their ids"),
                "another",
            ));
        }
    };
    let (merges_path, merges) = files::read(files, MERGES)?.ok_or_else(|| files.missing(MERGES))?;
    let merges = merges_of(&merges, &merges_path.display().to_string())?;
    let added = added(described)?;
    let mut next = vocabulary.values().filter_map(Value::as_u64).max().map_or(0, |id| id.saturating_add(1));
    let mut with_ids: Vec<(u64, Added)> = Vec::new();
    for token in added {
        let known = vocabulary.get(&token.content).and_then(Value::as_u64);
        let known =
            known.or_else(|| with_ids.iter().find(|(_, other)| other.content == token.content).map(|(id, _)| *id));
        let id = known.unwrap_or_else(|| {
            next = next.saturating_add(1);
            next - 1
        });
        with_ids.retain(|(other, _)| *other != id);
        with_ids.push((id, token));
    }
    with_ids.sort_by_key(|(id, _)| *id);
    let id = |name: &str| {
        let own = with_ids.iter().find(|(_, token)| token.content == name).map(|(id, _)| *id);
        own.or_else(|| vocabulary.get(name).and_then(Value::as_u64))
    };
    let [begin, end, unknown] = ["bos_token", "eos_token", "unk_token"].map(|key| named(described, key));
    let (begin, end, unknown) = (begin?, end?, unknown?);
    let lost = |name: &str| Error::mismatch(&place, format!("the token {name:?}"), "none");
    let (begin_id, end_id) = (id(&begin).ok_or_else(|| lost(&begin))?, id(&end).ok_or_else(|| lost(&end))?);
    let added: Vec<Value> = with_ids.iter().map(|(id, token)| token.json(*id)).collect();
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]},
        "post_processor": {"type": "RobertaProcessing", "sep": [end, end_id], "cls": [begin, begin_id],
            "trim_offsets": false, "add_prefix_space": false},
        "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": merges},
    });
    let bytes = serde_json::to_vec(&json).map_err(|e| Error::malformed(&place, e))?;
    Ok(Some((path, bytes)))
}

/// The pairs of `merges.txt`, first things first.
fn merges_of(bytes: &[u8], place: &str) -> Result<Vec<[String; 2]>> {
    let text = std::str::from_utf8(bytes).map_err(|e| Error::malformed(place, e))?;
    let mut merges = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.starts_with("#version") {
            continue;
        }
        let Some((left, right)) =
            line.split_once(' ').filter(|(l, r)| !l.is_empty() && !r.is_empty() && !r.contains(' '))
        else {
            return Err(Error::mismatch(
                format!("{place}:{}", number + 1),
                "two tokens with a space between",
                "another line",
            ));
        };
        if merges.len() == MOST_TOKENS {
            return Err(Error::mismatch(place, format!("at most {MOST_TOKENS} pairs"), "more"));
        }
        merges.push([left.to_owned(), right.to_owned()]);
    }
    Ok(merges)
}

/// The content of a token of the class.
fn named(described: &Described, key: &str) -> Result<String> {
    let value = value(described, key);
    let default = NAMED.iter().find(|(name, _)| *name == key).and_then(|(_, default)| *default).unwrap_or_default();
    let Some(value) = value else { return Ok(default.to_owned()) };
    let token = content(value).filter(|token| !token.is_empty());
    let wrong = || Error::mismatch(described.key(key), "a token, as a string or an object with `content`", value);
    Ok(token.ok_or_else(wrong)?.to_owned())
}

/// What the files have for a token: `special_tokens_map.json` goes before where `tokenizer_config.json` has no
/// `added_tokens_decoder`.
fn value<'a>(described: &'a Described, key: &str) -> Option<&'a Value> {
    let map = if decoder(described).is_some() { None } else { described.special.get(key) };
    map.or_else(|| described.config.get(key)).filter(|value| !value.is_null())
}

fn decoder(described: &Described) -> Option<&Map<String, Value>> {
    described.config.get("added_tokens_decoder").and_then(Value::as_object)
}

/// The special tokens, in the order in which the class adds them.
fn added(described: &Described) -> Result<Vec<Added>> {
    let mut tokens: Vec<Added> = Vec::new();
    let place = described.key("added_tokens_decoder");
    if let Some(decoder) = decoder(described) {
        let mut by_id: Vec<(u64, &Value)> = Vec::new();
        for (id, value) in decoder {
            let id = id.parse().map_err(|_| Error::mismatch(&place, "tokens by id", format!("{id:?}")))?;
            by_id.push((id, value));
        }
        by_id.sort_by_key(|(id, _)| *id);
        for (_, value) in by_id {
            tokens.push(Added::of(value).ok_or_else(|| Error::mismatch(&place, "tokens with `content`", value))?);
        }
    }
    let first = tokens.len();
    let mut add = |token: Added| {
        let known = tokens[..first].iter().any(|other| other.content == token.content);
        let same = tokens[first..].iter().any(|other| other.content == token.content && other.plain == token.plain);
        if !known && !same {
            tokens.push(token);
        }
    };
    for (key, default) in NAMED {
        match (value(described, key), default) {
            (Some(value), _) => {
                let expected = "a token, as a string or an object with `content`";
                add(Added::of(value).ok_or_else(|| Error::mismatch(described.key(key), expected, value))?);
            }
            (None, Some(name)) => add(Added::plain(name)),
            (None, None) => {}
        }
    }
    for key in ["extra_special_tokens", "additional_special_tokens"] {
        for token in described.config.get(key).and_then(Value::as_array).into_iter().flatten() {
            let wrong = || Error::mismatch(described.key(key), "a list of tokens", token);
            add(Added::of(token).ok_or_else(wrong)?);
        }
    }
    if tokens.len() > MOST_SPECIAL {
        return Err(Error::mismatch(place, format!("at most {MOST_SPECIAL} special tokens"), tokens.len()));
    }
    Ok(tokens)
}

impl Added {
    fn plain(content: &str) -> Self {
        let content = content.to_owned();
        Self { content, plain: true, normalized: false, single_word: false, lstrip: false, rstrip: false }
    }

    /// From a string or an object.
    fn of(value: &Value) -> Option<Self> {
        if let Some(content) = value.as_str().filter(|content| !content.is_empty()) {
            return Some(Self::plain(content));
        }
        let content = content(value).filter(|content| !content.is_empty())?.to_owned();
        let is = |key: &str| value.get(key).and_then(Value::as_bool);
        let flag = |key: &str| is(key).unwrap_or(false);
        Some(Self {
            content,
            plain: false,
            normalized: is("normalized").unwrap_or(!flag("special")),
            single_word: flag("single_word"),
            lstrip: flag("lstrip"),
            rstrip: flag("rstrip"),
        })
    }

    fn json(&self, id: u64) -> Value {
        json!({
            "id": id, "content": self.content, "single_word": self.single_word, "lstrip": self.lstrip,
            "rstrip": self.rstrip, "normalized": self.normalized, "special": true,
        })
    }
}
