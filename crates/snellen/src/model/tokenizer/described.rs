//! What the small files of a model say of its tokenizer.

use crate::model::files::{self, Files};
use crate::{Error, Result};
use serde_json::{Map, Value};

/// What the small files say of the tokenizer; empty where there is none.
pub(super) struct Described {
    pub(super) config: Map<String, Value>,
    pub(super) place: String,
    pub(super) special: Map<String, Value>,
    pub(super) special_place: String,
}

impl Described {
    pub(super) fn read(files: &dyn Files) -> Result<Self> {
        let object = |name: &str| match files::read(files, name)? {
            Some((path, bytes)) => match files::json(&path, &bytes)? {
                Value::Object(map) => Ok((map, path.display().to_string())),
                _ => Err(Error::mismatch(path.display(), "an object", "something else")),
            },
            None => Ok((Map::new(), files.place(name))),
        };
        let (config, place) = object("tokenizer_config.json")?;
        let (special, special_place) = object("special_tokens_map.json")?;
        Ok(Self { config, place, special, special_place })
    }

    pub(super) fn key(&self, key: &str) -> String {
        format!("{}: `{key}`", self.place)
    }

    /// The content of the token `key`, `default` where there is none.
    pub(super) fn token(&self, key: &str, default: &str) -> Result<String> {
        match self.config.get(key).filter(|value| !value.is_null()) {
            None => Ok(default.to_owned()),
            Some(value) => {
                let expected = "a token, as a string or an object with `content`";
                let token = content(value).filter(|token| !token.is_empty());
                Ok(token.ok_or_else(|| Error::mismatch(self.key(key), expected, value))?.to_owned())
            }
        }
    }
}

/// A token as `tokenizer_config.json` has it: a string, or an object.
pub(super) fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}
