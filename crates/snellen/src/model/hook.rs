//! Reading and changing activations while the forward runs.

use super::Site;
use crate::Result;
use crate::engine::{Real, Tensor};

/// The values at a site, to read or to change in place.
pub struct ActivationMut<'a> {
    /// As [`Site::shape`] documents.
    pub shape: &'a [usize],
    /// Row-major.
    pub data: &'a mut [f32],
}

/// The forward calls [`at`](Hook::at) at every site that the hook wants, once, and continues with what it leaves there.
///
/// A hook on no site is `()`; two hooks in a row are a pair.
pub trait Hook {
    /// Whether to be called at `site`; an unwanted site costs nothing.
    fn wants(&self, site: Site) -> bool;

    /// Called with the values at `site`. An error ends the forward.
    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()>;
}

impl Hook for () {
    fn wants(&self, _: Site) -> bool {
        false
    }

    fn at(&mut self, _: Site, _: &mut ActivationMut<'_>) -> Result<()> {
        Ok(())
    }
}

impl<A: Hook, B: Hook> Hook for (A, B) {
    fn wants(&self, site: Site) -> bool {
        self.0.wants(site) || self.1.wants(site)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        if self.0.wants(site) {
            self.0.at(site, x)?;
        }
        if self.1.wants(site) {
            self.1.at(site, x)?;
        }
        Ok(())
    }
}

impl<H: Hook + ?Sized> Hook for &mut H {
    fn wants(&self, site: Site) -> bool {
        (**self).wants(site)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        (**self).at(site, x)
    }
}

/// Shows `x` to the hook. A gradient passes through a change as if it were a constant added.
pub(super) fn visit<F: Real>(hook: &mut dyn Hook, site: Site, x: &mut Tensor<F>) -> Result<()> {
    if !hook.wants(site) {
        return Ok(());
    }
    let shape = x.shape().to_vec();
    let values = x.data_mut();
    if let Some(data) = F::as_f32(values) {
        return hook.at(site, &mut ActivationMut { shape: &shape, data });
    }
    let mut data: Vec<f32> = values.iter().map(|x| x.wide() as f32).collect();
    hook.at(site, &mut ActivationMut { shape: &shape, data: &mut data })?;
    for (x, y) in values.iter_mut().zip(data) {
        *x = F::of(y as f64);
    }
    Ok(())
}
