//! The sizes that processors resize to. Each has its own rounding, and a pixel more or less moves every value.

use super::super::picture::MAX_DECODED_BYTES;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The largest side that is asked for, in pixels.
pub(super) const LARGEST: u64 = 1 << 14;

/// The largest side that Idefics3 resizes to before it makes tiles, in pixels.
const IDEFICS_LARGEST: usize = 4096;

/// A target size, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The shorter side becomes this; the aspect ratio stays, the longer side is rounded down.
    ShortestEdge(usize),
    /// The picture just fits into a square of this size, sides rounded to the nearest, halves to even: OpenCLIP's
    /// `longest`.
    Within(usize),
    /// The longer side becomes this (4096 at most), the shorter is rounded down and made even: Idefics3.
    LongestEdge(usize),
    /// Both sides become multiples of this, rounded up: what Idefics3 cuts into tiles.
    MultipleOf(usize),
    /// Height and width, whatever the aspect ratio was.
    Squash([usize; 2]),
    /// Both sides become multiples of a patch's, rounded up, and are as large as leaves at most so many patches: SigLIP 2 NaFlex. The
    /// result is cut into patches.
    Patches {
        /// Height and width of a patch.
        side: usize,
        /// Patches of a picture, at most.
        most: usize,
    },
}

impl Resize {
    /// Height and width of what is made of `height` and `width`; 0 where nothing would be left.
    pub(super) fn sides(self, [height, width]: [usize; 2]) -> [usize; 2] {
        let wide = width >= height;
        // As `transformers` computes it, in floating point.
        let aspect = width as f64 / height as f64;
        let shorter = |longer: usize| (if wide { longer as f64 / aspect } else { longer as f64 * aspect }) as usize;
        let sides = |longer: usize, shorter: usize| if wide { [shorter, longer] } else { [longer, shorter] };
        match self {
            Self::Squash(sides) => sides,
            Self::ShortestEdge(edge) => {
                let short = height.min(width);
                [edge * height / short, edge * width / short]
            }
            Self::Within(edge) => {
                let ratio = (height as f64 / edge as f64).max(width as f64 / edge as f64);
                [height, width].map(|side| (side as f64 / ratio).round_ties_even() as usize)
            }
            Self::LongestEdge(edge) => {
                let short = shorter(edge);
                let size = sides(edge, (short + short % 2).max(1));
                if edge.max(short) > IDEFICS_LARGEST { below(size) } else { size }
            }
            Self::Patches { side, most } => largest([height, width], side, most),
            Self::MultipleOf(step) => {
                let longer = height.max(width).next_multiple_of(step);
                sides(longer, shorter(longer).next_multiple_of(step))
            }
        }
    }
}

/// The sides of `most` patches of `side` at most: by halving, as `transformers` looks for the factor, with its tolerance.
fn largest(size: [usize; 2], side: usize, most: usize) -> [usize; 2] {
    const NEAR: f64 = 1e-5;
    let scaled = |scale: f64| size.map(|length| ((length as f64 * scale / side as f64).ceil() as usize).max(1));
    let (mut low, mut high) = (NEAR / 10.0, 100.0);
    while high - low >= NEAR {
        let scale = f64::midpoint(low, high);
        let [rows, columns] = scaled(scale);
        if rows * columns <= most { low = scale } else { high = scale }
    }
    scaled(low).map(|patches| patches * side)
}

/// `size` with its longer side at [`IDEFICS_LARGEST`].
fn below([height, width]: [usize; 2]) -> [usize; 2] {
    let aspect = width as f64 / height as f64;
    let most = IDEFICS_LARGEST;
    if width >= height {
        [((most as f64 / aspect) as usize).max(1), most]
    } else {
        [most, ((most as f64 * aspect) as usize).max(1)]
    }
}

/// The most pixels that resizing may make.
const MOST: usize = MAX_DECODED_BYTES / 8;

/// Whether a picture may have these sides after resizing.
pub(super) fn check([height, width]: [usize; 2]) -> Result<()> {
    if height == 0 || width == 0 || height.checked_mul(width).is_none_or(|pixels| pixels > MOST) {
        let expected = format!("1 to {MOST} pixels after resizing");
        return Err(Error::mismatch("picture", expected, format!("{height} x {width}")));
    }
    Ok(())
}
