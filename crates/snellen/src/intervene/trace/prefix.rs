//! What whole forwards computed in every layer, kept for patches to begin with and to take from.

use super::pairs::Input;
use crate::Result;
use crate::engine::{Tape, Tensor};
use crate::model::{ActivationMut, BlockPoint, Hook, Point, Site, Tower, Towers};
use std::collections::BTreeMap;

/// Values `[row, token, ..]` of some forwards at the places that patches need.
pub(super) struct Prefix {
    tower: Tower,
    layers: usize,
    values: BTreeMap<Site, Vec<f32>>,
    /// Tokens of a row, padding included.
    pub(super) tokens: usize,
    /// Units of the residual stream.
    pub(super) width: usize,
    /// Embeddings, `[row, unit]`.
    embeds: Tensor<f32>,
}

/// The places.
const POINTS: [BlockPoint; 4] = [BlockPoint::ResidPre, BlockPoint::Z, BlockPoint::AttnOut, BlockPoint::MlpOut];

/// Numbers that [`Prefix`] keeps of a row with `tokens` tokens.
pub(super) fn kept(layers: usize, tokens: usize, width: usize) -> usize {
    (POINTS.len() * layers + 1) * tokens * width
}

struct Keep {
    tower: Tower,
    layers: usize,
    values: BTreeMap<Site, Vec<f32>>,
    shape: [usize; 2],
}

impl Hook for Keep {
    fn wants(&self, site: Site) -> bool {
        let last = Point::Block(self.layers - 1, BlockPoint::ResidPost);
        site.tower == self.tower
            && (site.point == last || matches!(site.point, Point::Block(_, point) if POINTS.contains(&point)))
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        self.shape = [x.shape[1], x.shape[2..].iter().product()];
        self.values.insert(site, x.data.to_vec());
        Ok(())
    }
}

impl Prefix {
    /// Runs `input` through its tower of `layers` blocks.
    pub(super) fn of(input: &Input, towers: &Towers<f32>, layers: usize, tape: &mut Tape<f32>) -> Result<Self> {
        let tower = input.tower();
        let mut keep = Keep { tower, layers, values: BTreeMap::new(), shape: [0; 2] };
        let embeds = input.embed(towers, tape, &mut keep)?;
        let [tokens, width] = keep.shape;
        Ok(Self { tower, layers, values: keep.values, tokens, width, embeds })
    }

    /// The embedding of row `row`.
    pub(super) fn embedding(&self, row: usize) -> &[f32] {
        &self.embeds.data()[row * self.embeds.width()..][..self.embeds.width()]
    }

    fn token(&self, point: Point, row: usize, token: usize) -> &[f32] {
        let values = &self.values[&Site { tower: self.tower, point }];
        &values[(row * self.tokens + token) * self.width..][..self.width]
    }

    /// The residual stream on entry to `layer` of token `token` of row `row`; on exit from the last layer, where `layer` is their number.
    pub(super) fn stream(&self, layer: usize, row: usize, token: usize) -> &[f32] {
        let last = Point::Block(self.layers - 1, BlockPoint::ResidPost);
        let point = if layer < self.layers { Point::Block(layer, BlockPoint::ResidPre) } else { last };
        self.token(point, row, token)
    }

    /// The same of all tokens.
    pub(super) fn row(&self, layer: usize, row: usize) -> &[f32] {
        let last = Point::Block(self.layers - 1, BlockPoint::ResidPost);
        let point = if layer < self.layers { Point::Block(layer, BlockPoint::ResidPre) } else { last };
        let long = self.tokens * self.width;
        &self.values[&Site { tower: self.tower, point }][row * long..][..long]
    }

    /// What is mixed of values, the heads side by side.
    pub(super) fn z(&self, layer: usize, row: usize, token: usize) -> &[f32] {
        self.token(Point::Block(layer, BlockPoint::Z), row, token)
    }

    /// What attention adds to the residual stream.
    pub(super) fn attn_out(&self, layer: usize, row: usize, token: usize) -> &[f32] {
        self.token(Point::Block(layer, BlockPoint::AttnOut), row, token)
    }

    /// What the MLP adds to it.
    pub(super) fn mlp_out(&self, layer: usize, row: usize, token: usize) -> &[f32] {
        self.token(Point::Block(layer, BlockPoint::MlpOut), row, token)
    }
}
