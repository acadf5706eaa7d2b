//! What a forward that goes on from a layer is given, checked: it comes from outside.

use crate::engine::{Real, Tensor};
use crate::model::pixels::check_grids;
use crate::model::text::TextTower;
use crate::model::vision::VisionTower;
use crate::{Error, Result};

/// Refuses a stream before block `layer` of `layers` that is not of shape `[row, token, unit]`, `expected`.
pub(in crate::model) fn check_stream<F: Real>(
    (layer, layers): (usize, usize),
    stream: &Tensor<F>,
    expected: [usize; 3],
) -> Result<()> {
    if layer > layers {
        return Err(Error::mismatch("layer to go on from", format!("0 to {layers}"), layer));
    }
    if stream.shape() != expected {
        let place = format!("residual stream before layer {layer}");
        return Err(Error::mismatch(place, format!("shape {expected:?}"), format!("{:?}", stream.shape())));
    }
    Ok(())
}

impl<F: Real> VisionTower<F> {
    /// The same of its stream; as many rows as there are, and as many tokens where pictures keep their aspect ratio.
    pub(in crate::model) fn check_stream(&self, layer: usize, stream: &Tensor<F>, grids: &[[usize; 2]]) -> Result<()> {
        let vision = self.config();
        let (rows, tokens) = match *stream.shape() {
            [rows, tokens, _] => (rows, if vision.is_flexible() { tokens } else { vision.tokens() }),
            _ => (0, vision.tokens()),
        };
        check_stream((layer, self.blocks.len()), stream, [rows, tokens, vision.tower.width])?;
        if vision.is_flexible() {
            return check_grids(grids, rows, tokens);
        }
        Ok(())
    }
}

impl<F: Real> TextTower<F> {
    /// Units of its residual stream.
    pub(in crate::model) fn width(&self) -> usize {
        self.positions.width()
    }
}
