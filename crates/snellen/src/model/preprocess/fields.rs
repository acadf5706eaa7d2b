//! Values of a configuration file, checked one by one. `null` stands for a key that is not there, as it does in Python.

use super::Filter;
use super::resize::LARGEST;
use crate::{Error, Result};
use serde_json::{Map, Value};

/// The keys of one object of a file.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    place: String,
}

impl<'a> Fields<'a> {
    /// `json`, which has to be an object.
    pub(super) fn new(json: &'a Value, place: &str) -> Result<Self> {
        let map = json.as_object().ok_or_else(|| Error::mismatch(place, "an object", json))?;
        Ok(Self { map, place: place.to_owned() })
    }

    /// Where `key` stands.
    pub(super) fn at(&self, key: &str) -> String {
        format!("{}: `{key}`", self.place)
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// `value`, or the error that there is no `key`.
    pub(super) fn need<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| Error::mismatch(&self.place, format!("the key `{key}`"), "no such key"))
    }

    /// Refuses keys for which `known` does not hold.
    pub(super) fn only(&self, known: impl Fn(&str) -> bool) -> Result<()> {
        match self.map.iter().find(|(key, value)| !value.is_null() && !known(key)) {
            Some((key, value)) => Err(Error::mismatch(self.at(key), "only keys whose effect is known", value)),
            None => Ok(()),
        }
    }

    /// True or false.
    pub(super) fn flag(&self, key: &str, default: Option<bool>) -> Result<bool> {
        match self.get(key) {
            Some(value) => value.as_bool().ok_or_else(|| Error::mismatch(self.at(key), "true or false", value)),
            None => self.need(key, default),
        }
    }

    /// The same of a step of an image processor of `transformers`, which leaves out what is `null`.
    pub(super) fn step(&self, key: &str, default: Option<bool>) -> Result<bool> {
        if self.map.get(key).is_some_and(Value::is_null) { Ok(false) } else { self.flag(key, default) }
    }

    /// Refuses `null` at `keys`, which a step that is taken needs: the class's default holds only where there is no such key.
    pub(super) fn not_null(&self, keys: &[&str]) -> Result<()> {
        match keys.iter().find(|key| self.map.get(**key).is_some_and(Value::is_null)) {
            Some(key) => Err(Error::mismatch(self.at(key), "a value, or no such key", "null")),
            None => Ok(()),
        }
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        let text = |value: &'a Value| value.as_str().ok_or_else(|| Error::mismatch(self.at(key), "a text", value));
        self.get(key).map(text).transpose()
    }

    /// A number above 0 that f32 holds.
    pub(super) fn factor(&self, key: &str, default: Option<f64>) -> Result<f64> {
        match self.get(key) {
            Some(value) => {
                let fits = |x: &f64| (*x * 255.0).abs() <= f32::MAX as f64 && *x as f32 > 0.0;
                value.as_f64().filter(fits).ok_or_else(|| Error::mismatch(self.at(key), "a number above 0", value))
            }
            None => self.need(key, default),
        }
    }

    /// Three numbers that f32 holds, or one for all; above 0 if they are to divide.
    pub(super) fn triple(&self, key: &str, divide: bool, default: Option<[f64; 3]>) -> Result<[f64; 3]> {
        let Some(value) = self.get(key) else { return self.need(key, default) };
        let list: Option<[f64; 3]> = match value {
            Value::Array(list) => {
                let list: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
                list.and_then(|list| list.try_into().ok())
            }
            _ => value.as_f64().map(|x| [x; 3]),
        };
        let fits = |x: &f64| (*x as f32).is_finite() && (!divide || (*x as f32) > 0.0);
        let expected = if divide { "three numbers above 0" } else { "three numbers" };
        list.filter(|list| list.iter().all(fits)).ok_or_else(|| Error::mismatch(self.at(key), expected, value))
    }

    /// A filter by Pillow's number.
    pub(super) fn filter(&self, key: &str, default: Option<Filter>) -> Result<Filter> {
        let Some(value) = self.get(key) else { return self.need(key, default) };
        Ok(match value.as_u64() {
            Some(0) => Filter::Nearest,
            Some(1) => Filter::Lanczos,
            Some(2) => Filter::Bilinear,
            Some(3) => Filter::Bicubic,
            Some(4) => Filter::Box,
            Some(5) => Filter::Hamming,
            _ => return Err(Error::mismatch(self.at(key), "0 to 5, a filter of Pillow", value)),
        })
    }

    /// `value`, a number of pixels at `key`.
    pub(super) fn length(&self, key: &str, value: &Value) -> Result<usize> {
        match value.as_u64() {
            Some(length @ 1..=LARGEST) => Ok(length as usize),
            _ => Err(Error::mismatch(self.at(key), format!("1 to {LARGEST} pixels"), value)),
        }
    }
}
