//! What a scene is drawn on: the picture's pixels, the frame they show, and the study's way of drawing.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The longest side of a picture, in pixels.
pub const MAX_SIDE: u32 = 16_384;

/// Size and style of a picture; the background is white.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canvas {
    /// Pixels per row.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
    /// Width and height of the scene's frame in pixels, from the upper left corner; what lies beyond the picture is cut.
    pub frame: [f64; 2],
    /// Width of the outline around each object in its own colour, half inside and half outside, in pixels; 0 for none.
    pub outline: f64,
    /// Whether the edges of squares are moved to the nearest pixel boundary.
    pub snap_squares: bool,
}

impl Canvas {
    /// The frame fills `width` x `height` pixels; no outlines, nothing snapped.
    #[must_use]
    pub fn plain(width: u32, height: u32) -> Self {
        Self { width, height, frame: [f64::from(width), f64::from(height)], outline: 0.0, snap_squares: false }
    }

    /// As in arXiv 2508.16652: matplotlib's default axes of a 3 x 3 inch figure at 100 dpi, lines of 0.3 points.
    #[must_use]
    pub fn study() -> Self {
        Self { width: 232, height: 231, frame: [232.5, 231.0], outline: 0.3 * 100.0 / 72.0, snap_squares: true }
    }

    /// Whether it can be drawn on.
    ///
    /// # Errors
    /// When a side is 0 or over [`MAX_SIDE`], or a length is not finite or negative.
    pub fn check(&self) -> Result<()> {
        if !(1..=MAX_SIDE).contains(&self.width) || !(1..=MAX_SIDE).contains(&self.height) {
            let got = format!("{} x {}", self.width, self.height);
            return Err(Error::mismatch("canvas: size", format!("1 to {MAX_SIDE} pixels a side"), got));
        }
        let longest = f64::from(2 * MAX_SIDE);
        if !self.frame.iter().all(|side| (0.0..=longest).contains(side)) || !(0.0..=longest).contains(&self.outline) {
            let got = format!("frame {:?}, outline {}", self.frame, self.outline);
            return Err(Error::mismatch("canvas: frame and outline", format!("lengths of 0 to {longest} pixels"), got));
        }
        Ok(())
    }
}
