//! TIFF files: the first picture, upright, as Pillow makes it whoever opens it.
//!
//! Read are grey (1 to 16 bits), palettes, RGB and CMYK (8 or 16 bits, with and without opacity), and YCbCr in JPEG; in strips or
//! tiles, one plane or several, compressed by LZW, deflate, PackBits, zstd or CCITT group 4. The crate decodes what is not JPEG; that is done by the decoder of JPEG files.

use super::orientation::Metadata;
use super::png::{entries, samples};
use super::{Decoded, MAX_DECODED_BYTES, Mode, check_size, jpeg};
use crate::{Error, Result};
use image::metadata::Orientation;
use std::io::Cursor;
use tiff::TiffError;
use tiff::decoder::{ChunkType, Decoder, Limits};
use tiff::tags::Tag;

/// Bytes that decoding takes per sample: stored, and in the mode it becomes.
const BYTES_PER_SAMPLE: usize = 4;

/// The number of "new" JPEG among the kinds of compression.
const JPEG: u64 = 7;

pub(super) fn decode(place: &str, bytes: &[u8]) -> Result<Decoded> {
    let malformed = |source: TiffError| Error::malformed(place, source);
    let mut file = File::open(place, bytes)?;
    let (width, height) = file.decoder.dimensions().map_err(malformed)?;
    let size = [height as usize, width as usize];
    let channels = file.number(Tag::SamplesPerPixel)?.unwrap_or(1);
    check_size(place, size[1], size[0], channels.clamp(1, 8) as usize * BYTES_PER_SAMPLE)?;
    let kind = Kind::of(&mut file)?;
    let raw = match file.number(Tag::Compression)? {
        Some(JPEG) => file.jpeg(size, &kind)?,
        _ if kind.mode == Mode::Palette => File::open(place, &called_grey(bytes))?.samples(size, &kind)?,
        _ => file.samples(size, &kind)?,
    };
    let mut picture = kind.picture(size, raw);
    if kind.mode == Mode::Palette {
        picture.palette = file.palette()?;
    }
    let turn = file.number(Tag::Orientation)?.and_then(|turn| u8::try_from(turn).ok());
    picture.orientation = if let Some(turn) = turn {
        Orientation::from_exif(turn).unwrap_or(Orientation::NoTransforms)
    } else {
        let xmp = file.decoder.get_tag_u8_vec(Tag::Unknown(700)).ok();
        Metadata { exif: None, xmp }.orientation()
    };
    Ok(picture.upright())
}

/// What samples mean and become.
struct Kind {
    mode: Mode,
    /// 1, 2, 4, 8 or 16.
    bits: usize,
    /// Samples of a pixel that are handed on.
    samples: usize,
    /// Whether 0 is white. The decoder turns such samples round.
    inverted: bool,
    /// Whether colours are multiplied by opacity.
    premultiplied: bool,
}

impl Kind {
    fn of(file: &mut File<'_>) -> Result<Self> {
        let photometric = file.number(Tag::PhotometricInterpretation)?.unwrap_or(0);
        let bits = file.numbers(Tag::BitsPerSample)?;
        let bits = if bits.is_empty() { vec![1] } else { bits };
        let samples = file.number(Tag::SamplesPerPixel)?.unwrap_or(1);
        let extra = file.numbers(Tag::ExtraSamples)?;
        let formats = file.numbers(Tag::SampleFormat)?;
        let fill = file.number(Tag::FillOrder)?.unwrap_or(1);
        let even = bits.iter().all(|each| *each == bits[0]);
        let plain = formats.iter().all(|format| *format == 1) && fill == 1 && even;
        let jpeg = file.number(Tag::Compression)? == Some(JPEG);
        let (mode, kept) = match (photometric, bits[0], samples, extra.as_slice()) {
            (0 | 1, 1, 1, []) => (Mode::Bilevel, 1),
            (0 | 1, 2 | 4 | 8, 1, []) => (Mode::Grey, 1),
            (0 | 1, 16, 1, []) => (Mode::Grey16, 1),
            (1, 8, 2, [2]) => (Mode::GreyAlpha, 2),
            (2, 8 | 16, 3, []) | (2, 8 | 16, 4, [0]) => (Mode::Rgb, 3),
            (2, 8, 4, [] | [2 | 999]) | (2, 16, 4, [] | [2]) | (2, 8 | 16, 4, [1]) => (Mode::Rgba, 4),
            (3, 1 | 2 | 4 | 8, 1, []) => (Mode::Palette, 1),
            (5, 8 | 16, 4, []) => (Mode::Cmyk, 4),
            (6, 8, 3, []) if jpeg => (Mode::Rgb, 3),
            _ => return Err(file.unknown(photometric, &bits, samples, &extra)),
        };
        if !plain {
            return Err(file.unknown(photometric, &bits, samples, &extra));
        }
        let (bits, inverted) = (bits[0] as usize, photometric == 0);
        Ok(Self { mode, bits, samples: kept, inverted, premultiplied: extra == [1] })
    }

    /// Samples as they are stored, the order of their bytes this machine's.
    fn picture(&self, size: [usize; 2], raw: Vec<u8>) -> Decoded {
        let line = (size[1] * self.samples * self.bits).div_ceil(8);
        let mut data = match self.bits {
            8 => raw,
            16 if self.mode == Mode::Grey16 => {
                // Pillow leaves 16 bits as they are where 0 is white; the decoder has turned them round.
                let back = if self.inverted { 0xffff } else { 0 };
                raw.chunks_exact(2).flat_map(|p| (u16::from_ne_bytes([p[0], p[1]]) ^ back).to_le_bytes()).collect()
            }
            16 => raw.chunks_exact(2).map(|p| (u16::from_ne_bytes([p[0], p[1]]) >> 8) as u8).collect(),
            bits => {
                let scale = if self.mode == Mode::Palette { 1 } else { 255 / ((1 << bits) - 1) };
                samples(&raw, bits, line, size[1], scale as u8)
            }
        };
        if self.premultiplied {
            for pixel in data.as_chunks_mut::<4>().0 {
                let opacity = pixel[3];
                let whole = |value: u8| (255 * u32::from(value)).checked_div(u32::from(opacity)).unwrap_or(0).min(255);
                pixel[..3].iter_mut().for_each(|value| *value = whole(*value) as u8);
            }
        }
        Decoded::new(size, self.mode, data)
    }
}

/// The same file with its samples called grey, which the crate hands on; indices it does not.
fn called_grey(bytes: &[u8]) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    let big = bytes.starts_with(b"MM");
    let short = |at: usize| -> Option<u16> {
        let pair: [u8; 2] = bytes.get(at..)?.first_chunk().copied()?;
        Some(if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    };
    let start: [u8; 4] = bytes.get(4..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
    let start = if big { u32::from_be_bytes(start) } else { u32::from_le_bytes(start) } as usize;
    let grey = if big { 1u16.to_be_bytes() } else { 1u16.to_le_bytes() };
    for at in (0..usize::from(short(start).unwrap_or(0))).map(|i| start + 2 + 12 * i) {
        if short(at) == Some(Tag::PhotometricInterpretation.to_u16())
            && let Some(value) = copy.get_mut(at + 8..at + 10)
        {
            value.copy_from_slice(&grey);
        }
    }
    copy
}

struct File<'a> {
    place: &'a str,
    bytes: &'a [u8],
    decoder: Decoder<Cursor<&'a [u8]>>,
}

impl<'a> File<'a> {
    fn open(place: &'a str, bytes: &'a [u8]) -> Result<Self> {
        let decoder = Decoder::new(Cursor::new(bytes)).map_err(|source| Error::malformed(place, source))?;
        let mut limits = Limits::default();
        limits.decoding_buffer_size = MAX_DECODED_BYTES;
        limits.intermediate_buffer_size = MAX_DECODED_BYTES;
        Ok(Self { place, bytes, decoder: decoder.with_limits(limits) })
    }
}

impl File<'_> {
    fn malformed(&self, source: TiffError) -> Error {
        Error::malformed(self.place, source)
    }

    fn numbers(&mut self, tag: Tag) -> Result<Vec<u64>> {
        let found = self.decoder.find_tag_unsigned_vec(tag).map_err(|e| self.malformed(e))?;
        Ok(found.unwrap_or_default())
    }

    fn number(&mut self, tag: Tag) -> Result<Option<u64>> {
        Ok(self.numbers(tag)?.first().copied())
    }

    fn unknown(&self, photometric: u64, bits: &[u64], samples: u64, extra: &[u64]) -> Error {
        let expected = "grey, palette, RGB or CMYK of whole numbers of up to 16 bits in a TIFF file";
        let got = format!("photometric {photometric}, {samples} samples of {bits:?} bits, extra {extra:?}");
        Error::mismatch(self.place, expected, got)
    }

    /// 256 entries.
    fn palette(&mut self) -> Result<Vec<[u8; 3]>> {
        let map = self.numbers(Tag::ColorMap)?;
        let third = map.len() / 3;
        let high = |at: usize| (map[at] >> 8) as u8;
        let colours: Vec<[u8; 3]> = (0..third).map(|i| [high(i), high(third + i), high(2 * third + i)]).collect();
        Ok(entries(&colours))
    }

    /// The samples of all rows, which begin at whole bytes.
    fn samples(&mut self, size: [usize; 2], kind: &Kind) -> Result<Vec<u8>> {
        let layout = self.decoder.image_buffer_layout().map_err(|e| self.malformed(e))?;
        let line = (size[1] * kind.samples * kind.bits).div_ceil(8);
        let length = layout.complete_len.max(layout.len);
        if length > MAX_DECODED_BYTES {
            return Err(Error::mismatch(self.place, format!("at most {MAX_DECODED_BYTES} bytes of pixels"), length));
        }
        let mut raw = vec![0; length];
        self.decoder.read_image_bytes(&mut raw).map_err(|e| self.malformed(e))?;
        if layout.planes > 1 && kind.bits >= 8 {
            let (bytes, plane) = (kind.bits / 8, raw.len() / layout.planes);
            let pixel = |at: usize| (0..kind.samples).flat_map(move |k| k * plane + at..k * plane + at + bytes);
            let places = (0..size[0] * size[1]).map(|i| i * bytes).flat_map(pixel);
            raw = places.map(|at| raw.get(at).copied().unwrap_or(0)).collect();
        }
        if raw.len() != line * size[0] {
            return Err(Error::mismatch(self.place, format!("{} bytes of samples", line * size[0]), raw.len()));
        }
        Ok(raw)
    }

    /// The same of a file whose strips or tiles are JPEG.
    fn jpeg(&mut self, size: [usize; 2], kind: &Kind) -> Result<Vec<u8>> {
        let (offsets, counts) = match self.decoder.get_chunk_type() {
            ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
            ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
        };
        let (offsets, counts) = (self.numbers(offsets)?, self.numbers(counts)?);
        let ycc = self.number(Tag::PhotometricInterpretation)? == Some(6);
        if kind.bits != 8 || self.number(Tag::PlanarConfiguration)?.unwrap_or(1) != 1 {
            return Err(Error::mismatch(self.place, "JPEG of 8 bits in one plane in a TIFF file", "another kind"));
        }
        let tables = self.decoder.get_tag_u8_vec(Tag::JPEGTables).unwrap_or_default();
        let (columns, rows) = self.decoder.chunk_dimensions();
        let (columns, rows) = (columns.max(1) as usize, rows.max(1) as usize);
        let across = size[1].div_ceil(columns);
        if offsets.len() != counts.len() || offsets.len() != across * size[0].div_ceil(rows) {
            return Err(Error::mismatch(self.place, "as many pieces as the picture has", offsets.len()));
        }
        let line = size[1] * kind.samples;
        let mut out = vec![0; line * size[0]];
        for (i, (offset, count)) in offsets.iter().zip(counts).enumerate() {
            let end = offset.saturating_add(count) as usize;
            let piece = self.bytes.get(*offset as usize..end);
            let piece = piece.ok_or_else(|| Error::mismatch(self.place, "pieces inside of the file", end))?;
            let decoded = jpeg::decode_piece(self.place, &tables, piece, ycc)?;
            let (top, left) = (i / across * rows, i % across * columns);
            let (height, width) = (rows.min(size[0] - top), columns.min(size[1] - left));
            if decoded.mode.bytes() != kind.samples || decoded.height < height || decoded.width < width {
                let got = format!("{:?}, {} x {}", decoded.mode, decoded.height, decoded.width);
                return Err(Error::mismatch(self.place, format!("{:?}, {height} x {width} in JPEG", kind.mode), got));
            }
            let from = decoded.data.chunks_exact(decoded.width * kind.samples);
            let at = left * kind.samples;
            for (to, from) in out.chunks_exact_mut(line).skip(top).zip(from.take(height)) {
                to[at..at + width * kind.samples].copy_from_slice(&from[..width * kind.samples]);
            }
        }
        Ok(out)
    }
}
