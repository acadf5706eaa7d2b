//! Activations kept as they are, to be looked at after the forward.

use crate::Result;
use crate::model::{ActivationMut, Hook, Site};
use std::collections::BTreeMap;

/// Copies what it sees at some sites, like `run_with_cache` of TransformerLens.
pub struct Copies<'a> {
    sites: &'a [Site],
    /// Shape and values by site.
    pub kept: BTreeMap<Site, (Vec<usize>, Vec<f32>)>,
}

impl<'a> Copies<'a> {
    /// Of these sites.
    pub fn of(sites: &'a [Site]) -> Self {
        Self { sites, kept: BTreeMap::new() }
    }
}

impl Hook for Copies<'_> {
    fn wants(&self, site: Site) -> bool {
        self.sites.contains(&site)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        self.kept.insert(site, (x.shape.to_vec(), x.data.to_vec()));
        Ok(())
    }
}
