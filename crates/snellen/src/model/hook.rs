//! Reading and changing activations while the forward runs.

use super::Site;
use crate::engine::ops::Pending;
use crate::engine::{Gradients, Node, Real, Tape, Tensor};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// The values at a site, to read or to change in place.
pub struct ActivationMut<'a> {
    /// As [`Site::shape`] documents.
    pub shape: &'a [usize],
    /// Row-major.
    pub data: &'a mut [f32],
}

/// The forward calls [`at`](Hook::at) at every site that the hook wants, once, and continues with what it leaves there.
///
/// A hook on no site is `()`; two hooks in a row are a pair, several of a kind a `Vec`.
pub trait Hook {
    /// Whether to be called at `site`; an unwanted site costs nothing.
    fn wants(&self, site: Site) -> bool;

    /// Called with the values at `site`. An error ends the forward.
    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()>;

    /// Whether the gradient with respect to the values at `site` is to be kept, on a tape that records.
    fn differentiates(&self, _site: Site) -> bool {
        false
    }

    /// Called where it is: the gradient will be at `node`. It is that of the values that the forward goes on with, changed or not.
    fn node(&mut self, _site: Site, _node: Node) {}
}

/// A hook that changes nothing and keeps gradients: with a tape that records, every site's whose gradient was asked for.
#[derive(Clone, Debug, Default)]
pub struct SiteGradients {
    wanted: Vec<Site>,
    nodes: BTreeMap<Site, Node>,
}

impl SiteGradients {
    /// Keeps those at `sites`.
    pub fn new(sites: impl IntoIterator<Item = Site>) -> Self {
        let mut wanted: Vec<Site> = sites.into_iter().collect();
        wanted.sort_unstable();
        wanted.dedup();
        Self { wanted, nodes: BTreeMap::new() }
    }

    /// The gradient at `site`, of the shape that [`Site::shape`] documents; `None` where the forward didn't come there, or what was
    /// differentiated does not depend on it.
    pub fn at<'g, F: Real>(&self, gradients: &'g Gradients<F>, site: Site) -> Option<&'g [F]> {
        gradients.at(*self.nodes.get(&site)?)
    }
}

impl Hook for SiteGradients {
    fn wants(&self, _: Site) -> bool {
        false
    }

    fn at(&mut self, _: Site, _: &mut ActivationMut<'_>) -> Result<()> {
        Ok(())
    }

    fn differentiates(&self, site: Site) -> bool {
        self.wanted.binary_search(&site).is_ok()
    }

    fn node(&mut self, site: Site, node: Node) {
        self.nodes.insert(site, node);
    }
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

    fn differentiates(&self, site: Site) -> bool {
        self.0.differentiates(site) || self.1.differentiates(site)
    }

    fn node(&mut self, site: Site, node: Node) {
        if self.0.differentiates(site) {
            self.0.node(site, node);
        }
        if self.1.differentiates(site) {
            self.1.node(site, node);
        }
    }
}

impl<H: Hook> Hook for Vec<H> {
    fn wants(&self, site: Site) -> bool {
        self.iter().any(|hook| hook.wants(site))
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        self.iter_mut().filter(|hook| hook.wants(site)).try_for_each(|hook| hook.at(site, x))
    }

    fn differentiates(&self, site: Site) -> bool {
        self.iter().any(|hook| hook.differentiates(site))
    }

    fn node(&mut self, site: Site, node: Node) {
        self.iter_mut().filter(|hook| hook.differentiates(site)).for_each(|hook| hook.node(site, node));
    }
}

impl<H: Hook + ?Sized> Hook for &mut H {
    fn wants(&self, site: Site) -> bool {
        (**self).wants(site)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        (**self).at(site, x)
    }

    fn differentiates(&self, site: Site) -> bool {
        (**self).differentiates(site)
    }

    fn node(&mut self, site: Site, node: Node) {
        (**self).node(site, node);
    }
}

/// Why a forward ends before its end.
pub(super) enum End {
    /// The last site that anybody wants was shown.
    Seen,
    /// It cannot go on.
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A step of a forward.
pub(super) type Step<T> = std::result::Result<T, End>;

/// A hook, and how far the forward goes for it.
pub(super) struct Watch<'a> {
    hook: &'a mut dyn Hook,
    last: Option<Site>,
}

impl<'a> Watch<'a> {
    /// For a forward to its end.
    pub(super) fn whole(hook: &'a mut dyn Hook) -> Self {
        Self { hook, last: None }
    }

    /// For a forward that ends once `last` was shown.
    pub(super) fn until(hook: &'a mut dyn Hook, last: Site) -> Self {
        Self { hook, last: Some(last) }
    }

    /// Whether the hook wants the values or the gradient at `site`.
    pub(super) fn wants(&self, site: Site) -> bool {
        self.hook.wants(site) || self.hook.differentiates(site)
    }

    /// Shows `x` to the hook, and keeps its gradient where the hook asks for it. A gradient passes through a change as if it were a
    /// constant added.
    pub(super) fn visit<F: Real>(&mut self, tape: &mut Tape<F>, site: Site, x: &mut Tensor<F>) -> Step<()> {
        if self.hook.wants(site) {
            self.show(site, x)?;
        }
        if self.hook.differentiates(site)
            && let Some(node) = tape.keep(x)
        {
            self.hook.node(site, node);
        }
        if self.last == Some(site) { Err(End::Seen) } else { Ok(()) }
    }

    fn show<F: Real>(&mut self, site: Site, x: &mut Tensor<F>) -> Result<()> {
        let shape = x.shape().to_vec();
        let values = x.data_mut();
        if let Some(data) = F::as_f32(values) {
            self.hook.at(site, &mut ActivationMut { shape: &shape, data })?;
        } else {
            let mut data: Vec<f32> = values.iter().map(|x| x.wide() as f32).collect();
            self.hook.at(site, &mut ActivationMut { shape: &shape, data: &mut data })?;
            for (x, y) in values.iter_mut().zip(data) {
                *x = F::of(y as f64);
            }
        }
        Ok(())
    }

    /// The same for what is not made yet: it stays so unless the hook wants it.
    pub(super) fn pass<'w, F: Real>(
        &mut self,
        tape: &mut Tape<F>,
        site: Site,
        x: Pending<'w, F>,
    ) -> Step<Pending<'w, F>> {
        if !self.wants(site) {
            return Ok(x);
        }
        let mut x = x.make(tape);
        self.visit(tape, site, &mut x)?;
        Ok(x.into())
    }
}
