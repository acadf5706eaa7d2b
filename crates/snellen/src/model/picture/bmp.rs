//! BMP files.
//!
//! The crate hands on colours, never indices (it has a switch for them, which panics on files of fewer than 8 bits): a palette's
//! indices are found again by their colours. Pixels that a run-length code passes over are black, where Pillow gives them index 0.

use super::png::entries;
use super::{Decoded, Mode, check_size};
use crate::{Error, Result};
use image::codecs::bmp::BmpDecoder;
use image::{ImageDecoder, ImageError};
use std::collections::HashMap;
use std::io::Cursor;

/// Bytes that decoding takes per pixel: colours, and what becomes of them.
const BYTES_PER_PIXEL: usize = 5;

pub(super) fn decode(place: &str, bytes: &[u8]) -> Result<Decoded> {
    let malformed = |source: ImageError| Error::malformed(place, source);
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(malformed)?;
    let (width, height) = decoder.dimensions();
    let size = [height as usize, width as usize];
    check_size(place, size[1], size[0], BYTES_PER_PIXEL)?;
    let mode = if decoder.color_type().has_alpha() { Mode::Rgba } else { Mode::Rgb };
    let colours = decoder.get_palette().map(<[[u8; 3]]>::to_vec);
    let mut data = vec![0; size[0] * size[1] * mode.bytes()];
    decoder.read_image(&mut data).map_err(malformed)?;
    let header = Header { bytes };
    let Some(colours) = colours else {
        if header.bits() == 16 {
            data.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| *pixel = header.narrow(*pixel));
        }
        return Ok(Decoded::new(size, mode, data));
    };
    // Of colours that are shades of grey in order Pillow makes grey, of black and white two levels.
    let own = &colours[..header.colours().min(colours.len())];
    let grey = |i: usize| if own.len() == 2 { 255 * i as u8 } else { i as u8 };
    if own.iter().enumerate().all(|(i, colour)| *colour == [grey(i); 3]) {
        let mode = if own.len() > 2 { Mode::Grey } else { Mode::Bilevel };
        return Ok(Decoded::new(size, mode, data.as_chunks::<3>().0.iter().map(|pixel| pixel[0]).collect()));
    }
    let mut index = HashMap::new();
    for (i, colour) in colours.iter().enumerate() {
        index.entry(*colour).or_insert(i as u8);
    }
    let found = data.as_chunks::<3>().0.iter().map(|pixel| index.get(pixel).copied().unwrap_or(0));
    let mut picture = Decoded::new(size, Mode::Palette, found.collect());
    picture.palette = entries(&colours);
    Ok(picture)
}

/// What a file's header says and the decoder does not.
struct Header<'a> {
    bytes: &'a [u8],
}

impl Header<'_> {
    fn word(&self, at: usize) -> u32 {
        self.bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word))
    }

    /// Whether it is the first kind, of OS/2.
    fn core(&self) -> bool {
        self.word(14) == 12
    }

    /// Bits of a pixel.
    fn bits(&self) -> u32 {
        self.word(if self.core() { 24 } else { 28 }) & 0xffff
    }

    /// Colours of the palette.
    fn colours(&self) -> usize {
        match self.word(46) as usize {
            0 => 1 << self.bits().min(8),
            _ if self.core() => 1 << self.bits().min(8),
            said => said,
        }
    }

    /// Channels of 5 bits (green of 6, where the file says so): Pillow rounds down what the decoder rounds to the nearest.
    fn narrow(&self, pixel: [u8; 3]) -> [u8; 3] {
        let masked = !self.core() && self.word(30) == 3;
        let green = if masked && self.word(58) == 0x7e0 { 63 } else { 31 };
        let down = |value: u8, most: u32| ((u32::from(value) * most + 127) / 255 * 255 / most) as u8;
        [down(pixel[0], 31), down(pixel[1], green), down(pixel[2], 31)]
    }
}
