//! The hook that reduces activations while the forward runs and hands their rows to the store.

use super::basis::{self, Basis, BasisSites};
use super::policy::TokenPolicy;
use super::reduce::{Refusal, Tokens, reduce};
use super::select::Selected;
use super::store::StoreWriter;
use crate::model::{ActivationMut, BlockPoint, Hook, ModelConfig, Point, Site, TokenAxis};
use crate::{Error, Result};
use std::fmt::Display;

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
    bases: &'a [BasisSites],
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
        Self { config, selected, store, names, covers, counts: Vec::new(), bases: &[] }
    }

    /// For images of these rows and columns of patches, where they keep their aspect ratio: what is beyond is padding, which policies
    /// other than `all` pass over.
    #[must_use]
    pub fn with_grids(mut self, grids: &[[usize; 2]]) -> Self {
        self.counts = grids.iter().map(|[rows, columns]| rows * columns).collect();
        self
    }

    /// With the bases that some of what is selected is in.
    #[must_use]
    pub fn with_bases(mut self, bases: &'a [BasisSites]) -> Self {
        self.bases = bases;
        self
    }
}

impl Hook for Recorder<'_> {
    fn wants(&self, site: Site) -> bool {
        self.selected.iter().any(|selected| selected.site == site)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        let axes = Axes::of(self.config, site, x.shape);
        for selected in self.selected.iter().filter(|selected| selected.site == site) {
            match &selected.basis {
                None => self.as_it_is(selected, &axes, x)?,
                Some(id) => self.latents(selected, &axes, basis::find(self.bases, id)?, x)?,
            }
        }
        Ok(())
    }
}

impl Recorder<'_> {
    fn as_it_is(&mut self, selected: &Selected, axes: &Axes, x: &ActivationMut<'_>) -> Result<()> {
        // Scores of what attention does not see.
        let hidden = |x: &f32| x.is_finite() || *x == f32::NEG_INFINITY;
        let scores = matches!(
            selected.site.point,
            Point::Block(_, BlockPoint::AttnScores) | Point::Head(BlockPoint::AttnScores)
        );
        if scores && !self.counts.is_empty() && x.data.iter().all(hidden) {
            let mut whole = selected.policies.iter().copied().filter(|policy| policy.keeps_tokens());
            return whole.try_for_each(|policy| self.store.append(&selected.array(policy), x.data));
        }
        self.keep(selected, axes, (0, x.shape[0]), x.data)
    }

    /// Image by image, so that the latents of one are in memory at a time.
    fn latents(&mut self, selected: &Selected, axes: &Axes, basis: &dyn Basis, x: &ActivationMut<'_>) -> Result<()> {
        let image = x.data.len() / x.shape[0];
        if let Some(at) = x.data.iter().position(|x| !x.is_finite()) {
            return Err(not_finite(
                &selected.site.to_string(),
                &self.names[at / image],
                axes.name(at % image),
                x.data[at],
            ));
        }
        let of_latents = Axes { units: basis.latents(axes.units)?, ..*axes };
        let mut latents = vec![0.0; image / axes.units * of_latents.units];
        for (number, rows) in x.data.chunks_exact(image).enumerate() {
            latents.fill(0.0);
            basis.encode(rows, &mut latents)?;
            self.keep(selected, &of_latents, (number, 1), &latents)?;
        }
        Ok(())
    }

    /// Hands to the store what the policies make of `values`, of `count` images of the batch from `first` on.
    fn keep(&mut self, selected: &Selected, axes: &Axes, (first, count): (usize, usize), values: &[f32]) -> Result<()> {
        let image = values.len() / count;
        let tokens = Tokens {
            values,
            images: count,
            units: axes.units,
            class: axes.class,
            registers: axes.registers,
            covers: self.covers.get(first..first + count).unwrap_or_default(),
            counts: self.counts.get(first..first + count).unwrap_or_default(),
        };
        let (whole, policies): (Vec<_>, Vec<_>) =
            selected.policies.iter().copied().partition(|policy| policy.keeps_tokens());
        let reduced = reduce(tokens, &policies).map_err(|refusal| match refusal {
            Refusal::Nothing { policy, image } => nothing(selected.site, policy, &self.names[first + image]),
            Refusal::NotFinite => {
                let at = values.iter().position(|x| !x.is_finite()).unwrap_or_default();
                let name = &self.names[first + at / image];
                not_finite(&selected.array(TokenPolicy::All).units(), name, axes.name(at % image), values[at])
            }
        })?;
        for (policy, rows) in policies.into_iter().zip(&reduced) {
            self.store.append(&selected.array(policy), rows)?;
        }
        whole.into_iter().try_for_each(|policy| self.store.append(&selected.array(policy), values))
    }
}

fn not_finite(site: &str, image: &str, place: impl Display, value: f32) -> Error {
    Error::mismatch(format!("site `{site}`, image `{image}`, {place}"), "finite activations", value)
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
