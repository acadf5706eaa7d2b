//! Bases: what activations may be turned into before tokens are reduced, such as the latents of a dictionary.
//!
//! The largest latent of an image's tokens is not the latent of the largest activations, so a [`Basis`] is asked for every token, inside
//! the forward. Which basis it was stands in the array's id, in the plan and in `run.json`, by name and hash.

use super::select::{Selected, select};
use super::{ArrayId, Layout, RecordConfig, TokenPolicy};
use crate::model::{ModelConfig, Site, TokenAxis, Tower};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name of a basis, in bytes.
pub const MAX_NAME: usize = 64;

/// Id of a basis: its name and the first 64 bits of its hash, displayed as `<name>-<16 hexadecimal digits>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BasisId {
    name: String,
    hash: u64,
}

impl BasisId {
    /// Of a basis called `name`, of this hash.
    ///
    /// # Errors
    /// When the name is empty, longer than [`MAX_NAME`], begins with anything but an ASCII letter or digit, or has anything in it but
    /// these, `-`, `_` and `.`.
    pub fn new(name: &str, hash: blake3::Hash) -> Result<Self> {
        let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
        Self::of(name, u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn of(name: &str, hash: u64) -> Result<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins && name.len() <= MAX_NAME && name.chars().all(fits) {
            return Ok(Self { name: name.to_owned(), hash });
        }
        let expected = format!("1 to {MAX_NAME} of a-z, A-Z, 0-9, `-`, `_` and `.`, a letter or digit first");
        Err(Error::mismatch("name of a basis", expected, format!("`{}`", name.escape_debug())))
    }
}

impl fmt::Display for BasisId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.name, self.hash)
    }
}

impl FromStr for BasisId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let hex = |digits: &str| digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let parts = text.rsplit_once('-').filter(|(_, digits)| hex(digits));
        let parts = parts.and_then(|(name, digits)| Some((name, u64::from_str_radix(digits, 16).ok()?)));
        let unlike =
            || Error::mismatch("basis", "<name>-<16 hexadecimal digits>", format!("`{}`", text.escape_debug()));
        let (name, hash) = parts.ok_or_else(unlike)?;
        Self::of(name, hash)
    }
}

impl TryFrom<String> for BasisId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<BasisId> for String {
    fn from(id: BasisId) -> Self {
        id.to_string()
    }
}

/// A basis: makes latents of the activations of a token.
pub trait Basis: fmt::Debug + Send + Sync {
    /// The name, such as that of the dictionary's kind. See [`BasisId::new`].
    fn name(&self) -> &str;

    /// The BLAKE3 of all that the latents depend on.
    fn hash(&self) -> blake3::Hash;

    /// Latents of a token that has `width` activations.
    ///
    /// # Errors
    /// When it was not made for that width.
    fn latents(&self, width: usize) -> Result<usize>;

    /// Writes the latents of `rows`, `[token, unit]`, into `latents`, `[token, latent]`, which holds zeros. A token's latents are the same
    /// to the last bit whatever tokens are beside it, at any number of threads.
    ///
    /// # Errors
    /// Whatever keeps it from that.
    fn encode(&self, rows: &[f32], latents: &mut [f32]) -> Result<()>;

    /// The id, made of name and hash.
    ///
    /// # Errors
    /// As [`BasisId::new`].
    fn id(&self) -> Result<BasisId> {
        BasisId::new(self.name(), self.hash())
    }
}

/// A basis and what is recorded in it.
#[derive(Clone, Debug)]
pub struct BasisSites {
    /// The basis.
    pub basis: Arc<dyn Basis>,
    /// Names and patterns of sites, as [`select()`] reads them.
    pub sites: Vec<String>,
    /// How tokens become rows, once they are latents.
    pub policies: Vec<TokenPolicy>,
}

impl PartialEq for BasisSites {
    fn eq(&self, other: &Self) -> bool {
        let of = |this: &Self| (this.basis.name().to_owned(), this.basis.hash());
        of(self) == of(other) && (&self.sites, &self.policies) == (&other.sites, &other.policies)
    }
}

/// What `run.json` says of a basis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasisRecord {
    /// The name.
    pub name: String,
    /// BLAKE3, in hexadecimal, of all that its latents depend on.
    pub hash: String,
}

impl BasisRecord {
    /// Of all that are asked for, each once, in the order of names.
    pub(super) fn all(bases: &[BasisSites]) -> Vec<Self> {
        let of = |of: &BasisSites| (of.basis.name().to_owned(), of.basis.hash().to_hex().to_string());
        let all: BTreeSet<_> = bases.iter().map(of).collect();
        all.into_iter().map(|(name, hash)| Self { name, hash }).collect()
    }
}

/// The basis called `id` among `bases`.
pub(super) fn find<'a>(bases: &'a [BasisSites], id: &BasisId) -> Result<&'a dyn Basis> {
    for of in bases {
        if of.basis.id()? == *id {
            return Ok(&*of.basis);
        }
    }
    Err(Error::mismatch("bases of the recording", format!("`{id}`"), "none of that id"))
}

/// All that `config` asks for of `tower`: sites as they are, and in bases.
///
/// # Errors
/// As [`select()`], of either; and when a basis is asked of nothing but sites without units.
pub(super) fn selected(model: &ModelConfig, tower: Tower, config: &RecordConfig) -> Result<Vec<Selected>> {
    let plain = if config.sites.is_empty() && !config.bases.is_empty() {
        Vec::new()
    } else {
        select(model, tower, &config.sites, &config.policies)?
    };
    let mut all: BTreeMap<(Site, Option<BasisId>), BTreeSet<TokenPolicy>> = BTreeMap::new();
    for of in plain {
        all.entry((of.site, None)).or_default().extend(of.policies);
    }
    for BasisSites { basis, sites, policies } in &config.bases {
        let id = basis.id()?;
        let asked = select(model, tower, sites, policies)?;
        let have = |of: &&Selected| of.site.tokens(model) != TokenAxis::Attention;
        let found: Vec<&Selected> = asked.iter().filter(have).collect();
        let named = asked.iter().filter(|of| !have(of)).find(|of| sites.contains(&of.site.to_string()));
        if let Some(other) = named.or_else(|| asked.first().filter(|_| found.is_empty())) {
            let expected = "sites of which a token has units";
            return Err(Error::mismatch(format!("basis `{id}`"), expected, format!("`{}`", other.site)));
        }
        for of in found {
            all.entry((of.site, Some(id.clone()))).or_default().extend(&of.policies);
        }
    }
    let of = |((site, basis), policies): (_, BTreeSet<_>)| Selected {
        site,
        basis,
        policies: policies.into_iter().collect(),
    };
    Ok(all.into_iter().map(of).collect())
}

/// The arrays of `selected`, of `[rows, tokens]` as [`Layout::of`] takes them.
///
/// # Errors
/// As [`Layout::of`], and when a basis was not made for a site.
pub(super) fn layouts(
    model: &ModelConfig,
    selected: &[Selected],
    bases: &[BasisSites],
    size: [usize; 2],
) -> Result<Vec<Layout>> {
    let layout = |id: ArrayId| {
        let layout = Layout::of(model, id.site, id.policy, size)?;
        let Some(basis) = id.basis else { return Ok(layout) };
        let width = layout.shape.last().copied().unwrap_or_default();
        let latents = find(bases, &basis)?.latents(width)?;
        layout.in_basis(basis, latents)
    };
    selected.iter().flat_map(Selected::arrays).map(layout).collect()
}
