//! Which arrays a run holds: sites by name or pattern, each with the policies that apply to it.

use super::{ArrayId, BasisId, TokenPolicy};
use crate::model::{ModelConfig, Site, TokenAxis, Tower};
use crate::{Error, Result};
use globset::Glob;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A site, as it is or in a basis, and the policies that it is recorded under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selected {
    /// The site.
    #[serde(with = "name")]
    pub site: Site,
    /// What its activations are turned into; `None` where they are recorded as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<BasisId>,
    /// In the order of [`TokenPolicy::ALL`].
    #[serde(with = "names")]
    pub policies: Vec<TokenPolicy>,
}

impl Selected {
    /// Its arrays.
    pub fn arrays(&self) -> impl Iterator<Item = ArrayId> {
        self.policies.iter().map(|&policy| self.array(policy))
    }

    /// Its array under one policy.
    pub fn array(&self, policy: TokenPolicy) -> ArrayId {
        ArrayId { site: self.site, basis: self.basis.clone(), policy }
    }
}

/// The sites of `tower` that `patterns` name, in the order of the forward, with those of `policies` that apply.
///
/// A pattern is a site's name or has wildcards (`blocks.*.mlp.hook_post`, `blocks.{0,3}.*`; `*` matches dots too). A site named
/// in full must take every policy; one that a wildcard met is recorded under those that it can take, and left out if there
/// are none. Sites without tokens, such as `image_embeds` and `text.text_embeds`, are always recorded as [`TokenPolicy::Pooled`].
///
/// # Errors
/// When there is no policy, a pattern matches no site (near names are suggested) or only sites of the other tower, and when
/// a policy does not apply.
pub fn select(
    config: &ModelConfig,
    tower: Tower,
    patterns: &[String],
    policies: &[TokenPolicy],
) -> Result<Vec<Selected>> {
    if policies.is_empty() {
        return Err(Error::mismatch("token policies", "at least one", "none"));
    }
    if patterns.is_empty() {
        return Err(Error::mismatch("sites", "at least one name or pattern", "none"));
    }
    let sites = Site::all(config, tower);
    let mut selected: BTreeMap<Site, BTreeSet<TokenPolicy>> = BTreeMap::new();
    for pattern in patterns {
        let taken = match sites.iter().find(|site| site.to_string() == *pattern) {
            Some(&site) => vec![(site, exact(config, site, policies)?)],
            None => matching(config, (tower, &sites), pattern, policies)?,
        };
        for (site, policies) in taken {
            selected.entry(site).or_default().extend(policies);
        }
    }
    let of = |(site, policies): (Site, BTreeSet<_>)| Selected {
        site,
        basis: None,
        policies: policies.into_iter().collect(),
    };
    Ok(selected.into_iter().map(of).collect())
}

fn exact(config: &ModelConfig, site: Site, policies: &[TokenPolicy]) -> Result<Vec<TokenPolicy>> {
    let tokens = site.tokens(config);
    match policies.iter().find(|policy| !policy.applies_to(tokens)) {
        Some(policy) => Err(Error::mismatch(format!("site `{site}`"), can_take(site, tokens), format!("`{policy}`"))),
        None => Ok(applicable(tokens, policies)),
    }
}

fn matching(
    config: &ModelConfig,
    (tower, sites): (Tower, &[Site]),
    pattern: &str,
    policies: &[TokenPolicy],
) -> Result<Vec<(Site, Vec<TokenPolicy>)>> {
    let glob = Glob::new(pattern).map_err(|source| Error::malformed(format!("sites: `{pattern}`"), source))?;
    let glob = glob.compile_matcher();
    let matched: Vec<Site> = sites.iter().copied().filter(|site| glob.is_match(site.to_string())).collect();
    let Some(&first) = matched.first() else {
        let others = |other| Site::all(config, other).iter().any(|site| glob.is_match(site.to_string()));
        let (expected, got) = if tower == Tower::Vision && (others(Tower::Text) || pattern.starts_with("text.")) {
            ("sites of the vision tower, which is all that images run through".to_owned(), "the text tower's")
        } else if tower == Tower::Text && others(Tower::Vision) {
            ("sites of the text tower (text.*), which is all that texts run through".to_owned(), "the vision tower's")
        } else {
            (format!("the name of a site or a pattern that matches some, such as {}", near(sites, pattern)), "no match")
        };
        return Err(Error::mismatch(format!("sites: `{pattern}`"), expected, got));
    };
    let taken: Vec<_> = matched
        .into_iter()
        .map(|site| (site, applicable(site.tokens(config), policies)))
        .filter(|(_, policies)| !policies.is_empty())
        .collect();
    if taken.is_empty() {
        let got = policies.iter().map(|policy| format!("`{policy}`")).collect::<Vec<_>>().join(", ");
        return Err(Error::mismatch(format!("sites: `{pattern}`"), can_take(first, first.tokens(config)), got));
    }
    Ok(taken)
}

fn applicable(tokens: TokenAxis, policies: &[TokenPolicy]) -> Vec<TokenPolicy> {
    if tokens == TokenAxis::One {
        return vec![TokenPolicy::Pooled];
    }
    policies.iter().copied().filter(|policy| policy.applies_to(tokens)).collect()
}

fn can_take(site: Site, tokens: TokenAxis) -> String {
    let can = TokenPolicy::ALL.iter().filter(|policy| policy.applies_to(tokens)).map(|policy| format!("`{policy}`"));
    format!("token policies that apply to `{site}` ({})", can.collect::<Vec<_>>().join(", "))
}

/// The three names that take the fewest edits.
fn near(sites: &[Site], pattern: &str) -> String {
    let pattern: String = pattern.chars().take(100).collect();
    let mut names: Vec<(usize, String)> =
        sites.iter().map(|site| (edits(&site.to_string(), &pattern), format!("`{site}`"))).collect();
    names.sort_by_key(|(edits, _)| *edits);
    names.into_iter().take(3).map(|(_, name)| name).collect::<Vec<_>>().join(", ")
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A value as its name.
mod name {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Values as their names.
mod names {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub fn serialize<T: Display, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(ToString::to_string))
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let names = Vec::<String>::deserialize(deserializer)?;
        names.iter().map(|name| name.parse().map_err(D::Error::custom)).collect()
    }
}
