//! An edit as data: what is changed where, before a model has seen it.

use super::action::{Action, read_direction};
use super::change::{Change, Prepared};
use super::tokens::Tokens;
use super::units::{KnownUnits, Units};
use crate::model::{BlockPoint, ModelConfig, Point, Site};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One change of activations.
///
/// Displayed and read as `SITE [head=H] tokens=GROUP units=UNITS ACTION`, of which `tokens` and `units` may be left out where they are
/// `all`: `blocks.3.mlp.hook_post tokens=object:0 units=0,5,7-9 zero`. That is what stands in `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Edit {
    /// Where.
    pub site: Site,
    /// One head, at q, k, v, z, scores and pattern; `None` for all.
    pub head: Option<usize>,
    /// Which tokens.
    pub tokens: Tokens,
    /// Which units.
    pub units: Units,
    /// What becomes of them.
    pub action: Action,
}

impl Edit {
    /// How many units the site has, those of one head where one is named; `None` where texts say (keys of attention).
    ///
    /// # Errors
    /// When the model has no such site, the site no heads, or fewer.
    pub fn width(&self, config: &ModelConfig) -> Result<Option<usize>> {
        if !Site::all(config, self.site.tower).contains(&self.site) {
            return Err(Error::mismatch(format!("site `{}`", self.site), "a site of this model", "none of its sites"));
        }
        let shape = self.site.shape(config, 1, 1);
        let point = match self.site.point {
            Point::Block(_, point) | Point::Head(point) => Some(point),
            _ => None,
        };
        let attends = point.is_some_and(BlockPoint::is_attention);
        let heads = match point {
            Some(point) if point.is_by_head() => Some(shape[2]),
            Some(point) if point.is_attention() => Some(shape[1]),
            _ => None,
        };
        if let Some(head) = self.head {
            let place = format!("site `{}`, head {head}", self.site);
            match heads {
                Some(heads) if head < heads => {}
                Some(heads) => return Err(Error::mismatch(place, format!("a head below {heads}"), head)),
                None => return Err(Error::mismatch(place, "a site with heads: q, k, v, z, scores or pattern", "none")),
            }
        }
        let of_texts = attends && self.site.tower == crate::model::Tower::Text;
        let last = shape.last().copied().unwrap_or_default();
        let all = if attends || self.head.is_some() { last } else { last * heads.unwrap_or(1) };
        Ok((!of_texts).then_some(all))
    }

    /// What messages call the place.
    pub fn place(&self) -> String {
        let head = self.head.map(|head| format!(", head {head}")).unwrap_or_default();
        format!("site `{}`{head}", self.site)
    }

    /// Ready to be made in forwards of a model with this `config`, with what is `known` of the site's units; `means` are those of all
    /// units of the site (of the head) over the reference scenes, for [`Action::Mean`].
    ///
    /// # Errors
    /// When the model has no such site, head or unit, the set is empty, or a file cannot be read.
    pub fn prepare(&self, config: &ModelConfig, known: &dyn KnownUnits, means: Option<&[f32]>) -> Result<Prepared> {
        let width = self.width(config)?;
        let units = match (&self.units, width) {
            (Units::All, None) => None,
            (units, None) => Some(units.resolve(&self.place(), usize::MAX, known)?),
            (units, Some(width)) => Some(units.resolve(&self.place(), width, known)?),
        };
        let of = |values: &[f32]| match &units {
            Some(units) => units.iter().map(|unit| values[*unit]).collect(),
            None => values.to_vec(),
        };
        let fixed = || {
            let expected = "a site with as many units for every text";
            width.ok_or_else(|| Error::mismatch(self.place(), expected, "attention, whose units are the tokens"))
        };
        let change = match &self.action {
            Action::Zero => Change::Zero,
            Action::Rescale(factor) => Change::Rescale(*factor),
            Action::Resample(_) | Action::Patch => Change::Donated,
            Action::Mean => {
                let means = means.ok_or_else(|| {
                    let place = format!("{}, edit `{}`", self.place(), self.action);
                    Error::mismatch(place, "reference scenes whose mean is taken", "none")
                })?;
                if means.len() != fixed()? {
                    return Err(Error::mismatch(self.place(), format!("{} means", fixed()?), means.len()));
                }
                Change::Set(of(means))
            }
            Action::Add { scale, direction } => {
                let direction = of(&read_direction(direction, fixed()?)?);
                Change::Add(direction.iter().map(|x| scale * x).collect())
            }
            Action::ProjectOut { direction } => Change::project_out(&of(&read_direction(direction, fixed()?)?))
                .ok_or_else(|| Error::mismatch(self.place(), "a direction that these units take part in", "0"))?,
        };
        Ok(Prepared { site: self.site, head: self.head, tokens: self.tokens, units, change })
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.site)?;
        self.head.map_or(Ok(()), |head| write!(f, " head={head}"))?;
        write!(f, " tokens={} units={} {}", self.tokens, self.units, self.action)
    }
}

impl FromStr for Edit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = |got: &str| {
            let shown: String = got.chars().take(100).collect();
            Error::mismatch("edit", "SITE [head=H] [tokens=GROUP] [units=UNITS] ACTION", format!("`{shown}`"))
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [site, between @ .., action] = words.as_slice() else { return Err(malformed(text)) };
        let action = action.parse()?;
        let mut edit = Self { site: site.parse()?, head: None, tokens: Tokens::All, units: Units::All, action };
        let mut met = Vec::new();
        for word in between {
            let (key, value) = word.split_once('=').ok_or_else(|| malformed(word))?;
            if met.contains(&key) {
                return Err(Error::mismatch("edit", format!("`{key}` once"), "twice"));
            }
            met.push(key);
            match key {
                "head" => edit.head = Some(value.parse().map_err(|_| malformed(word))?),
                "tokens" => edit.tokens = value.parse()?,
                "units" => edit.units = value.parse()?,
                _ => return Err(malformed(word)),
            }
        }
        Ok(edit)
    }
}

impl From<Edit> for String {
    fn from(edit: Edit) -> Self {
        edit.to_string()
    }
}

impl TryFrom<String> for Edit {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}
