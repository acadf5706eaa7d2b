//! Token groups by what they show: where an edit is made, said of any image or text of any model.
//!
//! `all`, `class`, `patches`, `registers` are as the tower has them. `object:K` are the patches in which object K takes a share of the
//! pixels and no other takes a larger one, `background` those in which none takes any: every patch of an image is in just one of these.
//! Of texts `start` is what stands before the first word, `end` the token that the embedding is read at, `object:K` the words that say
//! what object K is, without its article. Padding is in no group.

use super::token_map::TokenMap;
use crate::model::{ModelConfig, Site, TokenAxis, Tower};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Some of the tokens of an image or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Tokens {
    /// `all`: every token but padding; of sites without tokens, their one row.
    All,
    /// `class`: the class token of an image.
    Class,
    /// `patches`: the patches of an image.
    Patches,
    /// `background`: those in which no object is.
    Background,
    /// `registers`: tokens of an image that are neither class token nor patches.
    Registers,
    /// `start`: of a text, the tokens before its first word.
    Start,
    /// `end`: of a text, the token that its embedding is read at.
    End,
    /// `object:K`: the patches, or the words, of object K of the scene, counted from 0.
    Object(usize),
}

impl Tokens {
    /// What the tokens of the image or text of `map` are divided into, in the order in which maps show them: class token, registers,
    /// objects and background; start, objects and end. Words that say no object (`a`, `and`) are in none.
    pub fn groups(config: &ModelConfig, map: &TokenMap) -> Vec<Self> {
        let shown = (0..map.objects()).map(Self::Object);
        match map {
            TokenMap::Text { start, .. } => {
                (!start.is_empty()).then_some(Self::Start).into_iter().chain(shown).chain([Self::End]).collect()
            }
            TokenMap::Image { .. } => {
                let (class, registers) = first(config);
                let mut groups: Vec<Self> = class.then_some(Self::Class).into_iter().collect();
                groups.extend((registers > 0).then_some(Self::Registers));
                groups.extend(shown);
                groups.push(if map.objects() > 0 { Self::Background } else { Self::Patches });
                groups
            }
        }
    }

    /// Where along the tokens of `site` this group of the image or text of `map` is, in ascending order; at attention sites along the
    /// queries, while units are the keys. A site without tokens has one row, which is `all`.
    ///
    /// # Errors
    /// When the site has no such tokens, the scene no such object, or the group is empty there.
    pub fn positions(self, config: &ModelConfig, site: Site, map: &TokenMap) -> Result<Vec<usize>> {
        let refuse =
            |(expected, got): (&str, String)| Error::mismatch(format!("site `{site}`, tokens `{self}`"), expected, got);
        if !map.is_of(site.tower) {
            return Err(refuse(("what a row of its own tower shows", "one of the other tower's".to_owned())));
        }
        let axis = match site.tokens(config) {
            // A head that pools has one query.
            TokenAxis::Attention if site.layer().is_none() => TokenAxis::One,
            TokenAxis::Attention if site.tower == Tower::Text => TokenAxis::Text,
            TokenAxis::Attention => {
                let (class, registers) = first(config);
                TokenAxis::Tokens { class, registers }
            }
            axis => axis,
        };
        let found = match (axis, map) {
            (TokenAxis::Tokens { class, registers }, TokenMap::Image { patches, objects }) => {
                self.of_image(usize::from(class), registers, *patches, objects.as_deref())
            }
            (TokenAxis::Text, TokenMap::Text { own, start, end, objects }) => match (self, objects) {
                (Self::All, _) => Ok(own.clone().collect()),
                (Self::Start, _) => Ok(start.clone().collect()),
                (Self::End, _) => Ok(vec![*end]),
                (Self::Object(k), Some(objects)) => Ok(objects.get(k).cloned().unwrap_or_default()),
                (Self::Object(_), None) => Err(("a caption of a scene, whose words are known", "another text")),
                _ => Err(("a group of a text's tokens: all, start, end or object:K", "one of an image's")),
            },
            _ if self == Self::All => Ok(vec![0]),
            _ => Err(("`all`: it has one row for each image or text", "a group of tokens")),
        };
        let positions = found.map_err(|(expected, got)| refuse((expected, got.to_owned())))?;
        if positions.is_empty() {
            let objects = map.objects();
            let got = match self {
                Self::Object(k) if k >= objects => format!("{objects} objects"),
                Self::Object(_) if site.tower == Tower::Vision => "an object that takes most of no patch".to_owned(),
                Self::Object(_) => "an object that the caption doesn't name".to_owned(),
                _ => "none".to_owned(),
            };
            return Err(refuse(("at least one such token", got)));
        }
        Ok(positions)
    }

    /// The same among tokens of an image, `class` and `registers` of them before its patches.
    fn of_image(
        self,
        class: usize,
        registers: usize,
        patches: usize,
        objects: Option<&[Vec<usize>]>,
    ) -> Result<Vec<usize>, (&'static str, &'static str)> {
        let first = class + registers;
        let unknown = ("an image of which masks say where objects are", "none");
        match self {
            Self::All => Ok((0..first + patches).collect()),
            Self::Class => Ok((0..class).collect()),
            Self::Registers => Ok((class..first).collect()),
            Self::Patches => Ok((first..first + patches).collect()),
            Self::Object(k) => {
                let own = objects.ok_or(unknown)?.get(k).map(Vec::as_slice).unwrap_or_default();
                Ok(own.iter().map(|patch| first + patch).collect())
            }
            Self::Background => {
                let objects = objects.ok_or(unknown)?;
                let free = |patch: &usize| !objects.iter().any(|object| object.contains(patch));
                Ok((0..patches).filter(free).map(|patch| first + patch).collect())
            }
            Self::Start | Self::End => Err(("a group of an image's tokens", "one of a text's")),
        }
    }
}

/// Whether images have a class token, and how many registers.
fn first(config: &ModelConfig) -> (bool, usize) {
    let class = config.vision.class_token;
    (class, config.vision.prefix() - usize::from(class))
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Class => f.write_str("class"),
            Self::Patches => f.write_str("patches"),
            Self::Background => f.write_str("background"),
            Self::Registers => f.write_str("registers"),
            Self::Start => f.write_str("start"),
            Self::End => f.write_str("end"),
            Self::Object(k) => write!(f, "object:{k}"),
        }
    }
}

impl FromStr for Tokens {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = [Self::All, Self::Class, Self::Patches, Self::Background, Self::Registers, Self::Start, Self::End];
        let object = || {
            let number: usize = text.strip_prefix("object:")?.parse().ok()?;
            Some(Self::Object(number)).filter(|tokens| tokens.to_string() == text)
        };
        plain.into_iter().find(|tokens| tokens.to_string() == text).or_else(object).ok_or_else(|| {
            let expected = "all, class, patches, background, registers, start, end or object:K, K from 0";
            Error::mismatch("tokens", expected, format!("`{text}`"))
        })
    }
}

impl From<Tokens> for String {
    fn from(tokens: Tokens) -> Self {
        tokens.to_string()
    }
}

impl TryFrom<String> for Tokens {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}
