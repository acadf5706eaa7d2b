//! The hook that reduces activations while the forward runs and hands their rows to the store.

use super::policy::TokenPolicy;
use super::reduce::{Refusal, Tokens, reduce};
use super::select::Selected;
use super::store::StoreWriter;
use crate::model::{ActivationMut, BlockPoint, Hook, ModelConfig, Point, Site, TokenAxis};
use crate::{Error, Result};

/// Records one batch: wants exactly the selected sites and changes nothing.
pub struct Recorder<'a> {
    config: &'a ModelConfig,
    selected: &'a [Selected],
    store: &'a mut StoreWriter,
    /// The batch's images, for errors.
    names: &'a [String],
    /// The share of every patch that objects cover, image by image; empty where no policy needs it.
    covers: &'a [Vec<f64>],
    /// Patches of every image that are no padding; empty where all are.
    counts: Vec<usize>,
}

impl<'a> Recorder<'a> {
    /// For a batch of the images `names`; `covers` has one entry for each, or none where no policy needs masks.
    pub fn new(
        config: &'a ModelConfig,
        selected: &'a [Selected],
        store: &'a mut StoreWriter,
        names: &'a [String],
        covers: &'a [Vec<f64>],
    ) -> Self {
        Self { config, selected, store, names, covers, counts: Vec::new() }
    }

    /// For images of these rows and columns of patches, where they keep their aspect ratio: what is beyond is padding, which policies
    /// other than `all` pass over.
    #[must_use]
    pub fn with_grids(mut self, grids: &[[usize; 2]]) -> Self {
        self.counts = grids.iter().map(|[rows, columns]| rows * columns).collect();
        self
    }
}

impl Hook for Recorder<'_> {
    fn wants(&self, site: Site) -> bool {
        self.selected.iter().any(|selected| selected.site == site)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        let Some(selected) = self.selected.iter().find(|selected| selected.site == site) else { return Ok(()) };
        let (image, axes) = (x.data.len() / x.shape[0], Axes::of(self.config, site, x.shape));
        let tokens = Tokens {
            values: x.data,
            images: x.shape[0],
            units: axes.units,
            class: axes.class,
            registers: axes.registers,
            covers: self.covers,
            counts: &self.counts,
        };
        let as_they_are = |policy: &TokenPolicy| matches!(policy, TokenPolicy::All | TokenPolicy::Pooled);
        let (whole, policies): (Vec<_>, Vec<_>) = selected.policies.iter().copied().partition(as_they_are);
        // Scores of what attention does not see.
        let hidden = |x: &f32| x.is_finite() || *x == f32::NEG_INFINITY;
        let scores =
            matches!(site.point, Point::Block(_, BlockPoint::AttnScores) | Point::Head(BlockPoint::AttnScores));
        if scores && !self.counts.is_empty() && x.data.iter().all(hidden) {
            return whole.into_iter().try_for_each(|policy| self.store.append(site, policy, x.data));
        }
        let reduced = reduce(tokens, &policies).map_err(|refusal| match refusal {
            Refusal::Nothing { policy, image } => nothing(site, policy, &self.names[image]),
            Refusal::NotFinite => {
                let at = x.data.iter().position(|x| !x.is_finite()).unwrap_or_default();
                let place = format!("site `{site}`, image `{}`, {}", self.names[at / image], axes.name(at % image));
                Error::mismatch(place, "finite activations", x.data[at])
            }
        })?;
        for (policy, rows) in policies.into_iter().zip(&reduced) {
            self.store.append(site, policy, rows)?;
        }
        whole.into_iter().try_for_each(|policy| self.store.append(site, policy, x.data))
    }
}

/// What the values of one image mean.
struct Axes {
    tokens: &'static str,
    units: usize,
    class: bool,
    registers: usize,
}

impl Axes {
    fn of(config: &ModelConfig, site: Site, shape: &[usize]) -> Self {
        let (tokens, units, class, registers) = match site.tokens(config) {
            TokenAxis::One => ("", shape[1..].iter().product(), false, 0),
            TokenAxis::Attention => ("row", shape[3], false, 0),
            TokenAxis::Text => ("token", shape[2..].iter().product(), false, 0),
            TokenAxis::Tokens { class, registers } => {
                let name = if site.point == Point::Embed { "patch" } else { "token" };
                (name, shape[2..].iter().product(), class, registers)
            }
        };
        Self { tokens, units, class, registers }
    }

    /// The place of value `at` of an image.
    fn name(&self, at: usize) -> String {
        match self.tokens {
            "" => format!("unit {at}"),
            tokens => format!("unit {} of {tokens} {}", at % self.units, at / self.units),
        }
    }
}

fn nothing(site: Site, policy: TokenPolicy, name: &str) -> Error {
    let expected = match policy {
        TokenPolicy::Object => "an object in some patch, for the token policy `object`",
        TokenPolicy::Background => "background in some patch, for the token policy `background`",
        _ => "tokens that the policy speaks of",
    };
    Error::mismatch(format!("image `{name}`, site `{site}`"), expected, "none")
}
