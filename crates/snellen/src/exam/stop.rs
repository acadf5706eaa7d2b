//! Stopping between two batches of a long stage.

use crate::model::{ActivationMut, Hook, Point, Site};
use crate::record::Progress;
use crate::{Error, Result};

/// A hook that ends the forward with [`Error::Interrupted`] once the user asked to stop.
pub(super) struct Stop<'a>(pub &'a dyn Progress);

impl Stop<'_> {
    /// # Errors
    /// Once the user asked to stop.
    pub(super) fn check(&self) -> Result<()> {
        if self.0.is_cancelled() {
            return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
        }
        Ok(())
    }
}

impl Hook for Stop<'_> {
    fn wants(&self, site: Site) -> bool {
        matches!(site.point, Point::Embed)
    }

    fn at(&mut self, _: Site, _: &mut ActivationMut<'_>) -> Result<()> {
        self.check()
    }
}
