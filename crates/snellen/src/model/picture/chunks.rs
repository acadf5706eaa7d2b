//! The chunks of a PNG file, as strictly as Pillow takes them and no stricter.
//!
//! Up to the picture's data every check sum has to be right, whatever the chunk. Those of the data itself are not looked at, what
//! follows may be broken or missing, and chunks that nobody knows are passed over: Pillow and all that read through it load such
//! files.

use super::orientation::{LARGEST, Metadata};
use crate::{Error, Result};
use flate2::read::ZlibDecoder;
use std::io::Read;

/// What stands before every PNG file.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What of a file matters to its picture.
pub(super) struct Chunks<'a> {
    /// Colours of indices, three bytes each.
    pub palette: &'a [u8],
    /// `tRNS`.
    pub transparency: Option<&'a [u8]>,
    /// Exif and XMP.
    pub metadata: Metadata,
    /// A file of header, palette and the first run of data.
    pub file: Vec<u8>,
}

/// A chunk.
struct Chunk<'a> {
    name: &'a [u8; 4],
    contents: &'a [u8],
    /// Whether the file ends inside of it.
    cut: bool,
    /// Its check sum, where the file doesn't end before that.
    sum: Option<u32>,
}

impl<'a> Chunks<'a> {
    pub(super) fn read(place: &str, bytes: &'a [u8]) -> Result<Self> {
        let wrong = |expected: &str, got: &str| Error::mismatch(place, expected, got);
        let mut rest = bytes.strip_prefix(SIGNATURE).unwrap_or_default();
        let (mut header, mut palette, mut transparency) = (None, None, None);
        let mut metadata = Metadata::default();
        let first = loop {
            let Some(chunk) = next(&mut rest) else {
                return Err(wrong("a whole PNG file", "one that ends before its picture does"));
            };
            let Chunk { name, contents, .. } = chunk;
            match name {
                b"IDAT" => break contents,
                b"IEND" => return Err(wrong("a picture in the PNG file", "none")),
                _ => {}
            }
            if chunk.cut || chunk.sum != Some(check(name, contents)) {
                let expected = format!("the check sum of chunk {}", String::from_utf8_lossy(name));
                return Err(wrong(&expected, "another: the file is damaged"));
            }
            whole(place, *name, contents)?;
            match name {
                b"IHDR" => header = contents.first_chunk::<13>(),
                b"PLTE" => palette = Some(contents),
                b"tRNS" => transparency = Some(contents),
                _ => note(&mut metadata, *name, contents),
            }
        };
        let header = header.ok_or_else(|| wrong("IHDR first in the PNG file", "none"))?;
        let mut data = vec![first];
        let mut ahead = rest;
        while let Some(Chunk { name: b"IDAT", contents, .. }) = next(&mut ahead) {
            data.push(contents);
            rest = ahead;
        }
        while let Some(Chunk { name, contents, cut, .. }) = next(&mut rest) {
            if name == b"IEND" {
                break;
            }
            if cut {
                return Err(wrong("a whole PNG file", "one that ends within a chunk behind its picture"));
            }
            whole(place, *name, contents)?;
            note(&mut metadata, *name, contents);
        }
        let mut file = SIGNATURE.to_vec();
        push(&mut file, *b"IHDR", &[header])?;
        if header[9] == 3 {
            // The decoder wants one; colours are looked up afterwards.
            push(&mut file, *b"PLTE", &[&[0; 3]])?;
        }
        push(&mut file, *b"IDAT", &data)?;
        push(&mut file, *b"IEND", &[])?;
        Ok(Self { palette: palette.unwrap_or_default(), transparency, metadata, file })
    }
}

/// Takes a chunk off `rest`. None where no name follows.
fn next<'a>(rest: &mut &'a [u8]) -> Option<Chunk<'a>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (name, after) = after.split_first_chunk::<4>()?;
    if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        return None;
    }
    let length = u32::from_be_bytes(*length) as usize;
    let (contents, after) = after.split_at(length.min(after.len()));
    *rest = after.get(4..).unwrap_or_default();
    let sum = after.first_chunk().map(|sum| u32::from_be_bytes(*sum));
    Some(Chunk { name, contents, cut: contents.len() < length, sum })
}

fn check(name: &[u8], contents: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(name);
    sum.update(contents);
    sum.sum()
}

fn push(file: &mut Vec<u8>, name: [u8; 4], contents: &[&[u8]]) -> Result<()> {
    let length: usize = contents.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).map_err(|_| Error::mismatch("PNG file", "at most 4 GiB of data", length))?;
    file.extend(length.to_be_bytes());
    let start = file.len();
    file.extend(name);
    contents.iter().for_each(|part| file.extend(*part));
    let mut sum = flate2::Crc::new();
    sum.update(&file[start..]);
    file.extend(sum.sum().to_be_bytes());
    Ok(())
}

/// Refuses a chunk that is shorter than its kind, as Pillow does.
fn whole(place: &str, name: [u8; 4], contents: &[u8]) -> Result<()> {
    let least = match &name {
        b"IHDR" => 13,
        b"gAMA" => 4,
        b"cHRM" => 32,
        b"sRGB" => 1,
        b"pHYs" => 9,
        b"acTL" => 8,
        b"fcTL" => 26,
        _ => 0,
    };
    if contents.len() < least {
        let expected = format!("{least} bytes or more in chunk {}", String::from_utf8_lossy(&name));
        return Err(Error::mismatch(place, expected, contents.len()));
    }
    Ok(())
}

/// Keeps what says which way up the picture is.
fn note(metadata: &mut Metadata, name: [u8; 4], contents: &[u8]) {
    match &name {
        b"eXIf" => metadata.exif = Some(contents.to_vec()),
        b"iTXt" => {
            if let Some(rest) = contents.strip_prefix(b"XML:com.adobe.xmp\0") {
                metadata.xmp = international(rest).or(metadata.xmp.take());
            }
        }
        // What ImageMagick writes instead of eXIf.
        b"zTXt" => {
            if let Some([0, packed @ ..]) = contents.strip_prefix(b"Raw profile type exif\0") {
                metadata.exif = metadata.exif.take().or(inflated(packed).and_then(|text| profile(&text)));
            }
        }
        b"tEXt" => {
            if let Some(text) = contents.strip_prefix(b"Raw profile type exif\0") {
                metadata.exif = metadata.exif.take().or(profile(text));
            }
        }
        _ => {}
    }
}

/// The text of `iTXt` behind its keyword.
fn international(rest: &[u8]) -> Option<Vec<u8>> {
    let [compressed, method, rest @ ..] = rest else { return None };
    let text = rest.splitn(3, |byte| *byte == 0).nth(2)?;
    match (compressed, method) {
        (0, _) => Some(text.to_vec()),
        (_, 0) => inflated(text),
        _ => None,
    }
}

fn inflated(packed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    ZlibDecoder::new(packed).take(LARGEST).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Exif in hexadecimal, behind three lines.
fn profile(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .splitn(4, |byte| *byte == b'\n')
        .nth(3)?
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .copied()
        .collect();
    data_encoding::HEXLOWER_PERMISSIVE.decode(&digits).ok()
}
