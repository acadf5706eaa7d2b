//! WebP files: of an animation the first picture.
//!
//! The crate decodes lossy pictures to the digit as libwebp does (upsampling included), which Pillow carries.

use super::orientation::Metadata;
use super::{Decoded, MAX_DECODED_BYTES, Mode, check_size};
use crate::{Error, Result};
use image_webp::{DecodingError, WebPDecoder};
use std::io::Cursor;

/// Bytes that decoding takes per pixel: the picture twice, its planes, and the pixels of a frame.
const BYTES_PER_PIXEL: usize = 16;

pub(super) fn decode(place: &str, bytes: &[u8]) -> Result<Decoded> {
    let malformed = |source: DecodingError| Error::malformed(place, source);
    let said = bytes.get(4..).and_then(<[u8]>::first_chunk).map_or(0, |size| u32::from_le_bytes(*size) as usize);
    if bytes.len().saturating_sub(8) < said {
        return Err(Error::mismatch(place, "a whole WebP file", "one that ends early"));
    }
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(malformed)?;
    let (width, height) = decoder.dimensions();
    let size = [height as usize, width as usize];
    check_size(place, size[1], size[0], BYTES_PER_PIXEL)?;
    decoder.set_memory_limit(MAX_DECODED_BYTES);
    let mode = if decoder.has_alpha() { Mode::Rgba } else { Mode::Rgb };
    let mut data = vec![0; size[0] * size[1] * mode.bytes()];
    if decoder.is_animated() {
        decoder.read_frame(&mut data).map_err(malformed)?;
    } else {
        decoder.read_image(&mut data).map_err(malformed)?;
    }
    let metadata =
        Metadata { exif: decoder.exif_metadata().ok().flatten(), xmp: decoder.xmp_metadata().ok().flatten() };
    Ok(Decoded::new(size, mode, data).with_orientation(&metadata))
}
