//! Some sites of a forward, kept as they were.

use crate::Result;
use crate::model::{ActivationMut, Hook, Site};
use std::collections::BTreeMap;

/// A hook that copies what it sees at the sites that were asked for.
pub(super) struct Seen {
    values: BTreeMap<Site, (Vec<usize>, Vec<f32>)>,
}

impl Seen {
    /// Of `sites`.
    pub(super) fn at(sites: impl IntoIterator<Item = Site>) -> Self {
        Self { values: sites.into_iter().map(|site| (site, Default::default())).collect() }
    }

    /// Values of a row, `[..]`; none of a site that was not met.
    pub(super) fn row(&self, site: Site, row: usize) -> &[f32] {
        let Some((shape, values)) = self.values.get(&site) else { return &[] };
        let long: usize = shape.iter().skip(1).product();
        values.get(row * long..(row + 1) * long).unwrap_or_default()
    }

    /// The extents behind the rows.
    pub(super) fn shape(&self, site: Site) -> &[usize] {
        self.values.get(&site).and_then(|(shape, _)| shape.get(1..)).unwrap_or_default()
    }
}

impl Hook for Seen {
    fn wants(&self, site: Site) -> bool {
        self.values.contains_key(&site)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        self.values.insert(site, (x.shape.to_vec(), x.data.to_vec()));
        Ok(())
    }
}
