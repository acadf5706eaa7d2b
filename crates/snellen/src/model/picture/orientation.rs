//! Which way up a picture is: Exif's tag `Orientation`, or XMP's where Exif says nothing, as Pillow's `getexif` finds them.

use super::{Decoded, memory};
use image::metadata::Orientation;

/// The tag.
const TAG: u16 = 0x112;

/// The most bytes that a compressed Exif profile becomes.
pub(super) const LARGEST: u64 = 1 << 20;

/// What stands in a file's metadata.
#[derive(Default)]
pub(super) struct Metadata {
    /// Exif, a small TIFF file; what stands before it is passed over.
    pub exif: Option<Vec<u8>>,
    /// XMP, a text.
    pub xmp: Option<Vec<u8>>,
}

impl Metadata {
    /// The orientation; upright where nothing readable says otherwise.
    pub(super) fn orientation(&self) -> Orientation {
        let exif = self.exif.as_deref().and_then(of_exif);
        let value = exif.or_else(|| self.xmp.as_deref().and_then(of_xmp)).unwrap_or(1);
        u8::try_from(value).ok().and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
    }
}

/// The tag's value, whatever it is; none where there is no such tag.
fn of_exif(mut bytes: &[u8]) -> Option<u32> {
    while let Some(rest) = bytes.strip_prefix(b"Exif\0\0") {
        bytes = rest;
    }
    let big = match bytes {
        [b'M', b'M', 0, 42, ..] | [b'M', b'M', 42, 0, ..] => true,
        [b'I', b'I', 42, 0, ..] | [b'I', b'I', 0, 42, ..] => false,
        _ => return None,
    };
    let short = |at: usize| {
        let pair: [u8; 2] = bytes.get(at..)?.first_chunk().copied()?;
        Some(if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    };
    let long = |at: usize| {
        let four: [u8; 4] = bytes.get(at..)?.first_chunk().copied()?;
        Some(if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    };
    let start = long(4)? as usize;
    let entries = short(start)? as usize;
    let mut found = None;
    for at in (0..entries).map(|i| start.saturating_add(2 + 12 * i)) {
        let (Some(tag), Some(kind), Some(count)) = (short(at), short(at + 2), long(at + 4)) else { break };
        if tag != TAG || count == 0 {
            continue;
        }
        let size = match kind {
            3 | 8 => 2,
            4 | 9 => 4,
            // Of another type it is no number that means a turn, but it is there.
            _ => {
                found = Some(0);
                continue;
            }
        };
        let place = if count as usize > 4 / size { long(at + 8)? as usize } else { at + 8 };
        let value = if size == 2 { short(place).map(u32::from) } else { long(place) };
        found = value.or(found);
    }
    found
}

/// The digit behind `tiff:Orientation="` or `tiff:Orientation>`.
fn of_xmp(text: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"tiff:Orientation";
    let mut places = text.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME);
    let digit = |(at, _): (usize, &[u8])| {
        let rest = &text[at + NAME.len()..];
        let digit = rest.strip_prefix(b"=\"").or(rest.strip_prefix(b">"))?.first()?;
        digit.is_ascii_digit().then(|| u32::from(digit - b'0'))
    };
    places.find_map(digit)
}

impl Decoded {
    /// The picture upright: turned and mirrored as its [`orientation`](Self::orientation) says.
    pub fn upright(mut self) -> Self {
        if self.orientation == Orientation::NoTransforms {
            return self;
        }
        let (rows, columns) = (self.height as i64, self.width as i64);
        // The place that the first pixel comes from, and what a step down and a step to the right mean there.
        let last = rows * columns - 1;
        let (start, down, right, lying) = match self.orientation {
            Orientation::NoTransforms => (0, columns, 1, false),
            Orientation::FlipHorizontal => (columns - 1, columns, -1, false),
            Orientation::Rotate180 => (last, -columns, -1, false),
            Orientation::FlipVertical => (last + 1 - columns, -columns, 1, false),
            Orientation::Rotate90FlipH => (0, 1, columns, true),
            Orientation::Rotate90 => (last + 1 - columns, 1, -columns, true),
            Orientation::Rotate270FlipH => (last, -1, -columns, true),
            Orientation::Rotate270 => (columns - 1, -1, columns, true),
        };
        if lying {
            (self.width, self.height) = (self.height, self.width);
        }
        let mut turned = memory::take(self.data.len());
        let step = (start, down, right);
        match self.mode.bytes() {
            1 => gather::<1>(&self.data, &mut turned, self.width, step),
            2 => gather::<2>(&self.data, &mut turned, self.width, step),
            3 => gather::<3>(&self.data, &mut turned, self.width, step),
            _ => gather::<4>(&self.data, &mut turned, self.width, step),
        }
        memory::put(std::mem::replace(&mut self.data, turned));
        self.orientation = Orientation::NoTransforms;
        self
    }
}

/// Pixels of `N` bytes -> rows of `width` pixels, read from the place `start` on in steps `down` and `right`.
fn gather<const N: usize>(from: &[u8], to: &mut [u8], width: usize, (start, down, right): (i64, i64, i64)) {
    let (from, to) = (from.as_chunks::<N>().0, to.as_chunks_mut::<N>().0);
    for (row, pixels) in to.chunks_exact_mut(width).enumerate() {
        let first = start + row as i64 * down;
        for (column, pixel) in pixels.iter_mut().enumerate() {
            *pixel = from[(first + column as i64 * right) as usize];
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Decoded, Orientation};
    use image::{DynamicImage, RgbImage};

    #[test]
    fn every_turn_of_every_shape_is_that_of_the_image_crate() {
        for (width, height) in [(1, 1), (1, 5), (5, 1), (2, 3), (4, 4)] {
            let bytes: Vec<u8> = (0..3 * width * height).map(|i| i as u8).collect();
            for orientation in (1..=8).map(|value| Orientation::from_exif(value).unwrap()) {
                let stored = RgbImage::from_raw(width, height, bytes.clone()).unwrap();
                let mut expected = DynamicImage::ImageRgb8(stored);
                expected.apply_orientation(orientation);
                let mut picture = Decoded::from_rgb([height as usize, width as usize], bytes.clone());
                picture.orientation = orientation;
                let got = picture.upright();
                let size = (got.width as u32, got.height as u32);
                assert_eq!(size, (expected.width(), expected.height()), "{width} x {height}, {orientation:?}");
                assert_eq!(got.data, expected.as_bytes(), "{width} x {height}, {orientation:?}");
            }
        }
    }
}
