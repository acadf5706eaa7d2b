//! Pictures as Pillow opens them, in the mode of their file.
//!
//! What a model was trained on went through Pillow, and its processors differ in when a picture becomes RGB: `transformers`
//! converts first, OpenCLIP resizes in the file's own mode and drops transparency afterwards. So a file is decoded to the mode that
//! Pillow gives it, with Pillow's own readings of the formats' corners: the high byte of 16-bit colours, 16-bit grey cut at 255,
//! transparency by colour where the file says so. Gamma and colour profiles are not applied, as Pillow does not apply them. Which way
//! up the picture is stands beside it; [`Decoded::upright`] turns it.

mod bmp;
mod chunks;
mod convert;
mod format;
mod gif;
mod jpeg;
pub(super) mod memory;
mod orientation;
mod png;
mod tiff;
mod webp;

use super::resample::{self, Backend, Filter};
use crate::scene::MAX_SIDE;
use crate::{Error, Result};
use format::{Format, READ};
use image::RgbImage;
use image::metadata::Orientation;
use std::ops::Range;
use std::path::Path;

/// The most memory that decoding or resizing one picture may take, in bytes.
pub const MAX_DECODED_BYTES: usize = 1 << 30;

/// A decoded picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Pixels per row.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
    /// What the bytes stand for.
    pub mode: Mode,
    /// Row after row, [`Mode::bytes`] per pixel.
    pub data: Vec<u8>,
    /// Red, green and blue of the 256 indices in [`Mode::Palette`]; otherwise empty.
    pub palette: Vec<[u8; 3]>,
    /// The one colour, after conversion to RGB, that stands for full transparency.
    pub clear: Option<[u8; 3]>,
    /// How the picture has to be turned to be upright, where its file says so and it was not done yet.
    pub orientation: Orientation,
}

/// A mode of Pillow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `1`: 0 or 255.
    Bilevel,
    /// `L`.
    Grey,
    /// `LA`: grey and opacity.
    GreyAlpha,
    /// `I;16`: 16 bits, the low byte first.
    Grey16,
    /// `P`: indices of a palette.
    Palette,
    /// `RGB`.
    Rgb,
    /// `RGBA`: the last is opacity.
    Rgba,
    /// `CMYK`: 255 is full ink.
    Cmyk,
}

impl Mode {
    /// Bytes of a pixel.
    pub fn bytes(self) -> usize {
        match self {
            Self::Bilevel | Self::Grey | Self::Palette => 1,
            Self::GreyAlpha | Self::Grey16 => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }

    /// A pixel with `value` in every channel; of two levels, what is not black is white.
    pub(super) fn filled(self, value: u8) -> Vec<u8> {
        match self {
            Self::Bilevel => vec![if value == 0 { 0 } else { 255 }],
            Self::Grey16 => vec![value, 0],
            mode => vec![value; mode.bytes()],
        }
    }
}

impl Decoded {
    /// Decodes the JPEG, PNG, WebP, GIF, BMP or TIFF file at `path`, whichever its first `bytes` say; of several pictures the first.
    /// Nothing is turned, but for TIFF, which Pillow turns whoever opens it.
    ///
    /// # Errors
    /// When it is none of these, is truncated or malformed, has a side over [`MAX_SIDE`], or would take more than
    /// [`MAX_DECODED_BYTES`].
    pub fn read(path: &Path, bytes: &[u8]) -> Result<Self> {
        let place = path.display().to_string();
        match Format::of(bytes) {
            Ok(Format::Jpeg) => jpeg::decode(&place, bytes),
            Ok(Format::Png) => png::decode(&place, bytes),
            Ok(Format::Webp) => webp::decode(&place, bytes),
            Ok(Format::Gif) => gif::decode(&place, bytes),
            Ok(Format::Bmp) => bmp::decode(&place, bytes),
            Ok(Format::Tiff) => tiff::decode(&place, bytes),
            Err(other) => Err(Error::mismatch(place, READ, other)),
        }
    }

    /// `height` and `width` of red, green and blue.
    pub(super) fn from_rgb(size: [usize; 2], data: Vec<u8>) -> Self {
        Self::new(size, Mode::Rgb, data)
    }

    /// A picture without palette or transparent colour.
    fn new([height, width]: [usize; 2], mode: Mode, data: Vec<u8>) -> Self {
        let orientation = Orientation::NoTransforms;
        Self { width, height, mode, data, palette: Vec::new(), clear: None, orientation }
    }

    /// The same picture, the way up that its file's metadata says.
    fn with_orientation(mut self, metadata: &orientation::Metadata) -> Self {
        self.orientation = metadata.orientation();
        self
    }

    /// The same picture with other pixels.
    fn with(&self, [height, width]: [usize; 2], data: Vec<u8>) -> Self {
        let palette = self.palette.clone();
        Self { width, height, mode: self.mode, data, palette, clear: self.clear, orientation: self.orientation }
    }

    /// Resized in its own mode to `to` rows and columns, as `Image.resize` does it: palettes and two levels by nearest
    /// neighbour whatever the filter, opacity multiplied into the colours first. The backend matters to RGB only.
    pub(super) fn resized(&self, to: [usize; 2], how: (Filter, Backend)) -> Self {
        self.resized_within(to, to.map(|length| 0..length), how)
    }

    /// The rows and columns `part` of what is [`resized`](Self::resized) to `to`.
    pub(super) fn resized_within(&self, to: [usize; 2], part: [Range<usize>; 2], how: (Filter, Backend)) -> Self {
        let from = [self.height, self.width];
        let size = [part[0].len(), part[1].len()];
        let at = [part[0].start as i64, part[1].start as i64];
        let whole = |data| self.with(to, data).window(at, size, &self.mode.filled(0));
        if from == to {
            return self.window(at, size, &self.mode.filled(0));
        }
        let (filter, pil) = (how.0, (how.0, Backend::Pil));
        let data = match self.mode {
            Mode::Rgb => resample::resample::<3>(&self.data, from, to, part, how),
            Mode::Bilevel | Mode::Palette => return whole(resample::nearest(&self.data, self.mode.bytes(), from, to)),
            mode if filter == Filter::Nearest => return whole(resample::nearest(&self.data, mode.bytes(), from, to)),
            Mode::Grey16 => return whole(resample::grey16(&self.data, from, to, filter)),
            Mode::GreyAlpha => {
                let resized = resample::resample::<2>(&convert::premultiplied::<2>(&self.data), from, to, part, pil);
                convert::divided::<2>(resized)
            }
            Mode::Rgba => {
                let resized = resample::resample::<4>(&convert::premultiplied::<4>(&self.data), from, to, part, pil);
                convert::divided::<4>(resized)
            }
            Mode::Grey => resample::resample::<1>(&self.data, from, to, part, pil),
            Mode::Cmyk => resample::resample::<4>(&self.data, from, to, part, pil),
        };
        self.with(size, data)
    }

    /// The part of `size` rows and columns that begins at row `top` and column `left`, either of which may lie outside;
    /// what is outside of the picture is `fill`, one pixel.
    pub(super) fn window(&self, [top, left]: [i64; 2], size: [usize; 2], fill: &[u8]) -> Self {
        let bytes = self.mode.bytes();
        let mut data = fill.repeat(size[0] * size[1]);
        let across = overlap(left, size[1], self.width);
        for row in overlap(top, size[0], self.height) {
            let from =
                ((row as i64 + top) as usize * self.width + (across.start as i64 + left).max(0) as usize) * bytes;
            let at = (row * size[1] + across.start) * bytes;
            let length = across.len() * bytes;
            data[at..at + length].copy_from_slice(&self.data[from..from + length]);
        }
        self.with(size, data)
    }
}

/// Which of `count` places from `start` on lie within 0 to `length`, counted from `start`.
fn overlap(start: i64, count: usize, length: usize) -> Range<usize> {
    let from = (-start).clamp(0, count as i64);
    let to = (length as i64 - start).clamp(from, count as i64);
    from as usize..to as usize
}

/// Memory of pixels is kept for the next picture.
impl Drop for Decoded {
    fn drop(&mut self) {
        memory::put(std::mem::take(&mut self.data));
    }
}

impl From<RgbImage> for Decoded {
    fn from(picture: RgbImage) -> Self {
        let size = [picture.height() as usize, picture.width() as usize];
        Self::new(size, Mode::Rgb, picture.into_raw())
    }
}

impl From<&RgbImage> for Decoded {
    fn from(picture: &RgbImage) -> Self {
        picture.clone().into()
    }
}

/// Whether a picture of `width` x `height` pixels, of which each takes `bytes`, is one and not too large.
fn check_size(place: &str, width: usize, height: usize, bytes: usize) -> Result<()> {
    let most = MAX_SIDE as usize;
    if !(1..=most).contains(&width) || !(1..=most).contains(&height) {
        let expected = format!("a picture of 1 to {most} pixels a side");
        return Err(Error::mismatch(place, expected, format!("{width} x {height}")));
    }
    if width * height > MAX_DECODED_BYTES / bytes {
        let expected = format!("a picture that takes at most {MAX_DECODED_BYTES} bytes");
        return Err(Error::mismatch(place, expected, format!("{width} x {height} pixels of {bytes} bytes")));
    }
    Ok(())
}
