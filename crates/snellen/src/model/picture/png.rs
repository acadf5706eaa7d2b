//! PNG files, to the modes that Pillow gives them.

use super::chunks::Chunks;
use super::{Decoded, MAX_DECODED_BYTES, Mode, check_size};
use crate::{Error, Result};
use png::{BitDepth, ColorType, DecodeOptions, Decoder, Limits};
use std::io::Cursor;

/// Decodes the first picture of a PNG file.
pub(super) fn decode(place: &str, bytes: &[u8]) -> Result<Decoded> {
    let malformed = |source: png::DecodingError| Error::malformed(place, source);
    let chunks = Chunks::read(place, bytes)?;
    // The sum over the pixels counts, as it does for Pillow.
    let mut options = DecodeOptions::default();
    options.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(Cursor::new(&chunks.file), options);
    decoder.set_limits(Limits { bytes: MAX_DECODED_BYTES });
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
    reader.finish().map_err(malformed)?;
    let size = [frame.height as usize, frame.width as usize];
    let (mode, data) = pixels(frame.color_type, frame.bit_depth, raw, frame.line_size, size[1]);
    let mut picture = Decoded::new(size, mode, data);
    if mode == Mode::Palette {
        picture.palette = entries(chunks.palette.as_chunks().0);
    }
    picture.clear = match chunks.transparency {
        Some(chunk) => clear(place, &picture, chunk)?,
        None => None,
    };
    Ok(picture.with_orientation(&chunks.metadata))
}

/// Bytes as they are stored -> the mode and bytes of Pillow.
fn pixels(color: ColorType, depth: BitDepth, raw: Vec<u8>, line: usize, width: usize) -> (Mode, Vec<u8>) {
    let high = |raw: &[u8]| raw.chunks_exact(2).map(|p| p[0]).collect::<Vec<u8>>();
    let samples = |scale: u8| samples(&raw, depth as usize, line, width, scale);
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

/// Rows of `line` bytes that hold `width` samples of 1, 2 or 4 bits -> a byte each, `scale` times as large.
pub(super) fn samples(raw: &[u8], bits: usize, line: usize, width: usize, scale: u8) -> Vec<u8> {
    let mask = (1u8 << bits) - 1;
    let row = |row: &[u8]| -> Vec<u8> {
        (0..width).map(|x| (row[x * bits / 8] >> (8 - bits - x * bits % 8) & mask) * scale).collect()
    };
    raw.chunks_exact(line).flat_map(row).collect()
}

/// All 256 entries: indices beyond `colours` are black.
pub(super) fn entries(colours: &[[u8; 3]]) -> Vec<[u8; 3]> {
    (0..256).map(|i| colours.get(i).copied().unwrap_or_default()).collect()
}

/// The colour that `tRNS` makes transparent where it is one, as it stands once the picture is RGB by way of a file's name: Pillow takes
/// its numbers for those that pixels became, without scaling them by the bit depth. Of two levels and of 16-bit grey it
/// keeps the number alone, and takes it for red.
fn clear(place: &str, picture: &Decoded, chunk: &[u8]) -> Result<Option<[u8; 3]>> {
    let number = |i: usize| {
        let pair = chunk.get(2 * i..2 * i + 2).and_then(<[u8]>::first_chunk::<2>);
        let short = || Error::mismatch(format!("{place}: chunk tRNS"), format!("{} bytes", 2 * i + 2), chunk.len());
        pair.map(|pair| u16::from_be_bytes(*pair)).ok_or_else(short)
    };
    Ok(match picture.mode {
        Mode::Bilevel => Some([if number(0)? == 0 { 0 } else { 255 }, 0, 0]),
        Mode::Grey16 => Some([number(0)? as u8, 0, 0]),
        Mode::Grey => Some([number(0)?.min(255) as u8; 3]),
        Mode::Rgb => Some([number(0)? as u8, number(1)? as u8, number(2)? as u8]),
        Mode::Palette => {
            // One index that is clear and all others opaque; several are opacities, which are dropped.
            let index = chunk.iter().position(|opacity| *opacity == 0);
            let single = chunk.iter().filter(|opacity| **opacity != 255).count() == 1;
            index.filter(|_| single).and_then(|index| picture.palette.get(index)).copied()
        }
        Mode::GreyAlpha | Mode::Rgba | Mode::Cmyk => None,
    })
}
