//! Reading an object of a JSON file with errors that name the key.

use super::{Biases, LARGEST, LeftAlone, TowerConfig, shown};
use crate::engine::Activation;
use crate::{Error, Result};
use serde_json::{Map, Value};

/// An object of the JSON, with its place for messages.
#[derive(Clone)]
pub(super) struct Section {
    map: Map<String, Value>,
    pub(super) place: String,
}

impl Section {
    pub(super) fn of(json: &Value, place: impl Into<String>) -> Result<Self> {
        match json {
            Value::Object(map) => Ok(Self { map: map.clone(), place: place.into() }),
            other => Err(Error::mismatch(place.into(), "an object", kind(other))),
        }
    }

    /// Adds what the file leaves out or says to be null, and notes it under `name`.
    pub(super) fn complete(&mut self, defaults: &Value, name: &str, assumed: &mut Vec<String>) {
        for (key, value) in defaults.as_object().into_iter().flatten() {
            if self.find(key).is_none() {
                let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
                assumed.push(format!("{prefix}{key} = {value}"));
                self.map.insert(key.clone(), value.clone());
            }
        }
    }

    pub(super) fn key(&self, key: &str) -> String {
        format!("{}: `{key}`", self.place)
    }

    /// Puts the values of `other` in the place of its own.
    pub(super) fn overwrite(&mut self, other: Self) {
        self.map.extend(other.map.into_iter().filter(|(_, value)| !value.is_null()));
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// The value of `key` unless it is missing or null.
    pub(super) fn find(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn get(&self, key: &str) -> Result<&Value> {
        self.map.get(key).ok_or_else(|| Error::mismatch(&self.place, format!("the key `{key}`"), "no such key"))
    }

    pub(super) fn section(&self, key: &str) -> Result<Self> {
        Self::of(self.get(key)?, format!("{}: {key}", self.place))
    }

    pub(super) fn text(&self, key: &str) -> Result<&str> {
        let value = self.get(key)?;
        value.as_str().ok_or_else(|| Error::mismatch(self.key(key), "a string", kind(value)))
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool> {
        let value = self.get(key)?;
        value.as_bool().ok_or_else(|| Error::mismatch(self.key(key), "true or false", value))
    }

    /// A size in pixels, units or layers.
    pub(super) fn size(&self, key: &str) -> Result<usize> {
        self.at_least(key, 1)
    }

    pub(super) fn at_least(&self, key: &str, least: u64) -> Result<usize> {
        let value = self.get(key)?;
        match value.as_u64() {
            Some(n) if (least..=LARGEST).contains(&n) => Ok(n as usize),
            _ => Err(Error::mismatch(self.key(key), format!("a whole number from {least} to {LARGEST}"), value)),
        }
    }

    /// Refuses a file whose maths stands in code beside it, which is not run: `model_type` then says nothing of it.
    pub(super) fn no_code(&self) -> Result<()> {
        let of_model = |key: &&String| key.starts_with("AutoModel") || *key == "AutoConfig";
        let code = self.find("auto_map").and_then(Value::as_object);
        match code.and_then(|map| map.keys().find(of_model)) {
            Some(key) => {
                let expected = "no code of the model's own, which is not run (take the key away if the weights are for the \
                                library's class)";
                Err(Error::mismatch(self.key("auto_map"), expected, format!("{key:?}")))
            }
            None => Ok(()),
        }
    }

    /// Sides of image and patch, the second no larger than the first.
    pub(super) fn sides(&self) -> Result<(usize, usize)> {
        let (image, patch) = (self.side("image_size")?, self.side("patch_size")?);
        if patch > image {
            return Err(Error::mismatch(self.key("patch_size"), format!("at most image_size ({image})"), patch));
        }
        Ok((image, patch))
    }

    /// A size that may be written as `[n, n]`.
    pub(super) fn side(&self, key: &str) -> Result<usize> {
        match self.get(key)?.as_array().map(Vec::as_slice) {
            Some([a, b]) if a == b => {
                let one = Map::from_iter([(key.to_owned(), a.clone())]);
                Self { map: one, place: self.place.clone() }.size(key)
            }
            Some(_) => Err(Error::mismatch(self.key(key), "one size, or two equal ones", self.get(key)?)),
            None => self.size(key),
        }
    }

    pub(super) fn number(&self, key: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64> {
        let value = self.get(key)?;
        value.as_f64().filter(|x| range.contains(x)).ok_or_else(|| {
            Error::mismatch(self.key(key), format!("a number from {} to {}", range.start(), range.end()), value)
        })
    }

    /// The activation that `transformers` gives this name.
    pub(super) fn activation(&self, key: &str) -> Result<Activation> {
        match self.text(key)? {
            "gelu" | "gelu_python" => Ok(Activation::Gelu),
            "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_new" | "gelu_fast" | "gelu_accurate" => {
                Ok(Activation::GeluTanh)
            }
            "quick_gelu" => Ok(Activation::QuickGelu),
            "silu" | "swish" => Ok(Activation::Silu),
            other => {
                let expected = "`gelu`, `gelu_pytorch_tanh`, `gelu_new`, `quick_gelu` or `silu`";
                Err(Error::mismatch(self.key(key), expected, format!("`{other}`")))
            }
        }
    }

    /// `width` and `heads` of a tower, the latter a divisor of the former.
    pub(super) fn heads(&self, key: &str, width: usize) -> Result<usize> {
        let heads = self.size(key)?;
        if !width.is_multiple_of(heads) {
            return Err(Error::mismatch(self.key(key), format!("a divisor of hidden_size ({width})"), heads));
        }
        Ok(heads)
    }

    /// A tower as CLIP's and SigLIP's sections describe it.
    pub(super) fn tower(&self) -> Result<TowerConfig> {
        let width = self.size("hidden_size")?;
        Ok(TowerConfig {
            width,
            layers: self.size("num_hidden_layers")?,
            heads: self.heads("num_attention_heads", width)?,
            mlp: self.size("intermediate_size")?,
            activation: self.activation("hidden_act")?,
            eps: self.number("layer_norm_eps", 0.0..=1.0)?,
            biases: Biases::ALL,
            gated: false,
            layer_scale: false,
            attention_norm: false,
            mlp_norm: false,
        })
    }

    /// Refuses keys that might change the maths: all but those `used`, `inert`, and `neutral` ones with their neutral value. What is
    /// null is not there.
    pub(super) fn only(&self, used: &[&str], inert: &[&str], neutral: &[(&str, Value)]) -> Result<()> {
        match self.others(used, inert, neutral)?.first() {
            Some(key) => {
                Err(Error::mismatch(&self.place, "only keys whose effect is known", format!("`{}`", shown(key))))
            }
            None => Ok(()),
        }
    }

    /// The same where the class that reads the section takes no notice of keys that it does not know: these are noted under `name`.
    pub(super) fn notice(
        &self,
        name: &str,
        (used, inert, neutral): (&[&str], &[&str], &[(&str, Value)]),
        left_alone: &mut LeftAlone,
    ) -> Result<()> {
        let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
        let others = self.others(used, inert, neutral)?;
        LeftAlone::list(&mut left_alone.keys, others.into_iter().map(|key| shown(&format!("{prefix}{key}"))));
        Ok(())
    }

    /// The keys that are neither `used` nor `inert` nor `neutral`.
    fn others(&self, used: &[&str], inert: &[&str], neutral: &[(&str, Value)]) -> Result<Vec<&str>> {
        let mut others = Vec::new();
        for (key, value) in self.map.iter().filter(|(_, value)| !value.is_null()) {
            if let Some((_, neutral)) = neutral.iter().find(|(name, _)| name == key) {
                if value != neutral {
                    return Err(Error::mismatch(self.key(key), neutral, value));
                }
            } else if !used.contains(&key.as_str()) && !inert.contains(&key.as_str()) {
                others.push(key.as_str());
            }
        }
        Ok(others)
    }
}

/// The JSON kind of a value, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
