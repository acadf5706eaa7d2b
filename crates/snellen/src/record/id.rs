//! What an array of a run is called: one name for the store, the plan, `run.json`, tables and reports.

use super::{BasisId, TokenPolicy};
use crate::model::Site;
use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Id of an array: whose activations, in which basis, and how tokens became rows. Ordered as the forward meets sites, a site as it is
/// before what a basis makes of it.
///
/// Displayed as `<site>/<policy>`, or `<site>/<basis>/<policy>`: its path in the store, and the `site` of tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArrayId {
    /// The site.
    pub site: Site,
    /// What its activations were turned into before tokens were reduced; `None` where they are as they are.
    pub basis: Option<BasisId>,
    /// How its tokens became rows.
    pub policy: TokenPolicy,
}

impl ArrayId {
    /// The array of a site's own units.
    pub fn new(site: Site, policy: TokenPolicy) -> Self {
        Self { site, basis: None, policy }
    }

    /// `<site>`, or `<site>/<basis>`: what arrays have in common that differ in their token policy.
    pub fn units(&self) -> String {
        match &self.basis {
            None => self.site.to_string(),
            Some(basis) => format!("{}/{basis}", self.site),
        }
    }
}

impl fmt::Display for ArrayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.units(), self.policy)
    }
}

impl FromStr for ArrayId {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        let (site, basis, policy) = match parts[..] {
            [site, policy] => (site, None, policy),
            [site, basis, policy] => (site, Some(basis.parse()?), policy),
            _ => {
                return Err(Error::mismatch(
                    "array",
                    "<site>/<policy> or <site>/<basis>/<policy>",
                    format!("`{name}`"),
                ));
            }
        };
        Ok(Self { site: site.parse()?, basis, policy: policy.parse()? })
    }
}
