//! JPEG files, decoded by libjpeg as Pillow decodes them.
//!
//! Decoders agree on a JPEG file only roughly: the inverse transform, and above all how halved colours are made whole again,
//! are left to them. Pillow carries libjpeg-turbo (exact integer transform, triangular upsampling), so the same library
//! decodes here, from mozjpeg's sources. The pure decoders `zune-jpeg` and `jpeg-decoder` differ from it by up to 23/255 and
//! at more than half of the values where colours are stored at half size, and by up to 3/255 where they are not. Files with
//! arithmetic coding, 12 bits or lossless coding are refused.
//!
//! Its vector code, which takes half the time, is compiled where there is the assembler nasm; elsewhere its plain code. Both
//! give the same pixels, but of files whose values are absurd, which plain code wraps around far beyond black and white.

use super::orientation::Metadata;
use super::{Decoded, Mode, check_size, memory};
use crate::{Error, Result};
use mozjpeg::{ColorSpace, Decompress};
use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes that decoding takes per sample: itself, and its coefficient where the file is progressive.
const BYTES_PER_SAMPLE: usize = 3;

/// Decodes the JPEG file at `place`. One that ends before its end marker is refused, as Pillow refuses it.
pub(super) fn decode(place: &str, bytes: &[u8]) -> Result<Decoded> {
    let ended = Cell::new(false);
    let file = Whole { bytes, ended: &ended };
    // The library reports what is wrong with a file by unwinding, which its bindings leave to their callers to catch.
    let result = catch_unwind(AssertUnwindSafe(|| decompress(place, file)));
    match result {
        Ok(Ok(picture)) => Ok(picture.with_orientation(&metadata(bytes))),
        _ if ended.get() => Err(Error::mismatch(place, "a whole JPEG file", "one that ends before its picture does")),
        Ok(Err(error)) => Err(error),
        Err(payload) => {
            let said = payload.downcast_ref::<String>().map_or("not a JPEG file that can be decoded", String::as_str);
            Err(Error::malformed(place, said.trim_start_matches("libjpeg fatal error: ")))
        }
    }
}

/// Decodes a piece of a TIFF file: its tables may stand apart, and the TIFF file says whether colours are YCbCr. Inks are not inverted.
pub(super) fn decode_piece(place: &str, tables: &[u8], piece: &[u8], ycc: bool) -> Result<Decoded> {
    let body = |bytes: &[u8]| bytes.strip_prefix(&[0xff, 0xd8]).unwrap_or_default().to_vec();
    let mut tables = body(tables);
    tables.truncate(tables.strip_suffix(&[0xff, 0xd9]).unwrap_or(&tables).len());
    // Adobe's marker, whose last byte says what the components are.
    let mut file = b"\xff\xd8\xff\xee\0\x0eAdobe\0\x64\0\0\0\0".to_vec();
    file.push(u8::from(ycc));
    file.extend(tables);
    file.extend(body(piece));
    let mut picture = decode(place, &file)?;
    if picture.mode == Mode::Cmyk {
        picture.data.iter_mut().for_each(|value| *value = 255 - *value);
    }
    Ok(picture)
}

fn decompress(place: &str, file: Whole<'_>) -> Result<Decoded> {
    let malformed = |source: io::Error| Error::malformed(place, source);
    let file = Decompress::builder().from_reader(file).map_err(malformed)?;
    let (width, height) = file.size();
    let components = file.components().len();
    check_size(place, width, height, components.max(1) * BYTES_PER_SAMPLE)?;
    let (mode, space) = match components {
        1 => (Mode::Grey, ColorSpace::JCS_GRAYSCALE),
        3 => (Mode::Rgb, ColorSpace::JCS_RGB),
        4 => (Mode::Cmyk, ColorSpace::JCS_CMYK),
        _ => return Err(Error::mismatch(place, "1, 3 or 4 components", components)),
    };
    let mut file = file.to_colorspace(space).map_err(malformed)?;
    let mut data = memory::take(width * height * components);
    let whole = data.len();
    // What was in the memory before must not be taken for pixels.
    let written = file.read_scanlines_into(&mut data).map_err(malformed)?.len();
    if written != whole {
        return Err(Error::mismatch(place, format!("{whole} values"), written));
    }
    file.finish().map_err(malformed)?;
    if mode == Mode::Cmyk {
        // Whoever writes such files stores 255 for no ink.
        data.iter_mut().for_each(|value| *value = 255 - *value);
    }
    Ok(Decoded::new([height, width], mode, data))
}

/// Exif and XMP of the segments before the picture.
fn metadata(bytes: &[u8]) -> Metadata {
    let mut found = Metadata::default();
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        rest = match rest {
            // Markers may be filled up before, and some stand alone.
            [0xff, 0xff, ..] | [0x00, ..] => &rest[1..],
            [0xff, 0x01 | 0xd0..=0xd8, after @ ..] => after,
            // The picture begins, or ends.
            [0xff, 0xd9 | 0xda, ..] => break,
            [0xff, marker, high, low, after @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low])).saturating_sub(2);
                let Some((segment, after)) = after.split_at_checked(length) else { break };
                if *marker == 0xe1 {
                    if let Some(more) = segment.strip_prefix(b"Exif\0\0") {
                        found.exif.get_or_insert_default().extend(more);
                    } else if let Some(xmp) = segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
                        found.xmp = Some(xmp.to_vec());
                    }
                }
                after
            }
            _ => break,
        };
    }
    found
}

/// A file of which more than there is may not be read: left to itself the library makes up the rest.
struct Whole<'a> {
    bytes: &'a [u8],
    /// Whether more was asked for.
    ended: &'a Cell<bool>,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl BufRead for Whole<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.ended.set(self.bytes.is_empty());
        if self.bytes.is_empty() {
            Err(io::Error::other("the file ends before the picture does"))
        } else {
            Ok(self.bytes)
        }
    }

    fn consume(&mut self, amount: usize) {
        self.bytes = &self.bytes[amount..];
    }
}
