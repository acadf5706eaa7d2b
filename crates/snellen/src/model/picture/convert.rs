//! Pillow's conversions between modes, to the digit.

use super::{Decoded, Mode};

impl Decoded {
    /// `convert("RGB")`: transparency is dropped, 16-bit grey is cut at 255. Three bytes a pixel.
    pub fn rgb(&self) -> Vec<u8> {
        let grey = |value: u8| [value; 3];
        match self.mode {
            Mode::Rgb => self.data.clone(),
            Mode::Bilevel | Mode::Grey => self.data.iter().flat_map(|v| grey(*v)).collect(),
            Mode::GreyAlpha => self.data.chunks_exact(2).flat_map(|p| grey(p[0])).collect(),
            Mode::Grey16 => self.data.chunks_exact(2).flat_map(|p| grey(if p[1] == 0 { p[0] } else { 255 })).collect(),
            Mode::Palette => self.data.iter().flat_map(|v| self.palette[*v as usize]).collect(),
            Mode::Rgba => self.data.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
            Mode::Cmyk => self
                .data
                .chunks_exact(4)
                .flat_map(|p| {
                    let paper = 255 - p[3];
                    [p[0], p[1], p[2]].map(|ink| paper - share(ink, paper))
                })
                .collect(),
        }
    }

    /// The same with the colour [`clear`](Self::clear) made white, but no opacity looked at: what the Pillow processors of
    /// `transformers` 5.23 make of a file that they are given by name. Its loader drops opacity and leaves word of the colour, which
    /// the processor then lays over white.
    pub fn rgb_keyed(&self) -> Vec<u8> {
        let mut out = self.rgb();
        if let Some(clear) = self.clear {
            out.as_chunks_mut::<3>().0.iter_mut().filter(|pixel| **pixel == clear).for_each(|pixel| *pixel = [255; 3]);
        }
        out
    }
}

/// `value * part / 255`, rounded.
fn share(value: u8, part: u8) -> u8 {
    let product = value as u32 * part as u32 + 128;
    ((product + (product >> 8)) >> 8) as u8
}

/// Pixels of `N` bytes, the last of which is opacity, with the others multiplied by it.
pub(super) fn premultiplied<const N: usize>(pixels: &[u8]) -> Vec<u8> {
    let mut out = pixels.to_vec();
    for pixel in out.chunks_exact_mut(N) {
        let opacity = pixel[N - 1];
        pixel[..N - 1].iter_mut().for_each(|value| *value = share(*value, opacity));
    }
    out
}

/// The inverse of [`premultiplied`], rounded down; where opacity is 0 the others stay.
pub(super) fn divided<const N: usize>(mut pixels: Vec<u8>) -> Vec<u8> {
    for pixel in pixels.chunks_exact_mut(N) {
        let opacity = pixel[N - 1];
        if opacity != 0 && opacity != 255 {
            let whole = |value: u8| (255 * value as u32 / opacity as u32).min(255) as u8;
            pixel[..N - 1].iter_mut().for_each(|value| *value = whole(*value));
        }
    }
    pixels
}
