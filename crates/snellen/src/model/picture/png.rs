//! PNG files, to the modes that Pillow gives them.

use super::{Decoded, MAX_DECODED_BYTES, Mode, check_size};
use crate::{Error, Result};
use png::{BitDepth, ColorType, Decoder, Limits};
use std::io::Cursor;

/// Decodes the first picture of a PNG file.
pub(super) fn decode(place: &str, bytes: &[u8]) -> Result<Decoded> {
    let malformed = |source: png::DecodingError| Error::malformed(place, source);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: MAX_DECODED_BYTES });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(malformed)?;
    let (width, height) = (header.width as usize, header.height as usize);
    // As stored, plus at most as much again in the mode it becomes.
    check_size(place, width, height, 2 * header.bits_per_pixel().div_ceil(8).max(4))?;
    let mut reader = decoder.read_info().map_err(malformed)?;
    let stored = reader.output_buffer_size().unwrap_or(usize::MAX);
    if stored > MAX_DECODED_BYTES {
        return Err(Error::mismatch(place, format!("at most {MAX_DECODED_BYTES} bytes of pixels"), stored));
    }
    let mut raw = vec![0; stored];
    let frame = reader.next_frame(&mut raw).map_err(malformed)?;
    let info = reader.info();
    let size = [frame.height as usize, frame.width as usize];
    let transparency = info.trns.as_deref();
    let (mode, data) = pixels(frame.color_type, frame.bit_depth, raw, frame.line_size, size[1]);
    let mut picture = Decoded::new(size, mode, data);
    if mode == Mode::Palette {
        let Some(palette) = info.palette.as_deref() else {
            return Err(Error::mismatch(place, "a palette", "indices without one"));
        };
        picture.palette = entries(palette, transparency.unwrap_or_default());
    } else {
        picture.clear = transparency.and_then(|chunk| clear(mode, frame.bit_depth, chunk));
    }
    Ok(picture)
}

/// Bytes as they are stored -> the mode and bytes of Pillow.
fn pixels(color: ColorType, depth: BitDepth, raw: Vec<u8>, line: usize, width: usize) -> (Mode, Vec<u8>) {
    let high = |raw: &[u8]| raw.chunks_exact(2).map(|p| p[0]).collect::<Vec<u8>>();
    let samples = |scale: u8| -> Vec<u8> {
        let bits = depth as usize;
        let mask = (1u8 << bits) - 1;
        let row = |row: &[u8]| -> Vec<u8> {
            (0..width).map(|x| (row[x * bits / 8] >> (8 - bits - x * bits % 8) & mask) * scale).collect()
        };
        raw.chunks_exact(line).flat_map(row).collect()
    };
    match (color, depth) {
        (ColorType::Grayscale, BitDepth::One) => (Mode::Bilevel, samples(255)),
        (ColorType::Grayscale, BitDepth::Two) => (Mode::Grey, samples(85)),
        (ColorType::Grayscale, BitDepth::Four) => (Mode::Grey, samples(17)),
        (ColorType::Grayscale, BitDepth::Eight) => (Mode::Grey, raw),
        (ColorType::Grayscale, BitDepth::Sixteen) => {
            (Mode::Grey16, raw.chunks_exact(2).flat_map(|p| [p[1], p[0]]).collect())
        }
        (ColorType::GrayscaleAlpha, BitDepth::Sixteen) => {
            (Mode::Rgba, raw.chunks_exact(4).flat_map(|p| [p[0], p[0], p[0], p[2]]).collect())
        }
        (ColorType::GrayscaleAlpha, _) => (Mode::GreyAlpha, raw),
        (ColorType::Rgb, BitDepth::Sixteen) => (Mode::Rgb, high(&raw)),
        (ColorType::Rgb, _) => (Mode::Rgb, raw),
        (ColorType::Rgba, BitDepth::Sixteen) => (Mode::Rgba, high(&raw)),
        (ColorType::Rgba, _) => (Mode::Rgba, raw),
        (ColorType::Indexed, BitDepth::One | BitDepth::Two | BitDepth::Four) => (Mode::Palette, samples(1)),
        (ColorType::Indexed, _) => (Mode::Palette, raw),
    }
}

/// All 256 entries: indices beyond `colours` are black, those beyond `opacities` opaque.
fn entries(colours: &[u8], opacities: &[u8]) -> Vec<[u8; 4]> {
    (0..256)
        .map(|i| {
            let [red, green, blue] = colours.get(3 * i..3 * i + 3).map_or([0; 3], |c| [c[0], c[1], c[2]]);
            [red, green, blue, opacities.get(i).copied().unwrap_or(255)]
        })
        .collect()
}

/// The colour that `tRNS` makes transparent, of `chunk` as the decoder hands it on: two bytes a channel at 16 bits, else
/// one. Pillow compares the low bytes with what pixels became, without scaling them by the bit depth, except where there
/// are two levels.
fn clear(mode: Mode, depth: BitDepth, chunk: &[u8]) -> Option<[u8; 3]> {
    let low = |i: usize| chunk.get(if depth == BitDepth::Sixteen { 2 * i + 1 } else { i }).copied();
    match mode {
        Mode::Bilevel => Some([if low(0)? == 0 { 0 } else { 255 }; 3]),
        Mode::Grey | Mode::Grey16 => Some([low(0)?; 3]),
        Mode::Rgb => Some([low(0)?, low(1)?, low(2)?]),
        _ => None,
    }
}
