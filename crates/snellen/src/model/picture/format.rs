//! What a file is, by its first bytes: its ending may lie, and a message has to name what is there.

/// A format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    Webp,
    Gif,
    Bmp,
    Tiff,
}

/// The formats that are read, for messages.
pub(super) const READ: &str = "a JPEG, PNG, WebP, GIF, BMP or TIFF picture";

impl Format {
    /// The format of a file that begins with `bytes`; otherwise what else it is.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, String> {
        Ok(match bytes {
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Self::Png,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::Webp,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Self::Gif,
            [b'B', b'M', ..] => Self::Bmp,
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Self::Tiff,
            _ => return Err(other(bytes)),
        })
    }
}

/// What begins with `bytes` and is no picture that is read.
fn other(bytes: &[u8]) -> String {
    let named = match bytes {
        [] => "an empty file",
        [_, _, _, _, b'f', b't', b'y', b'p', rest @ ..] => match rest.get(..4) {
            Some(b"avif" | b"avis") => "an AVIF picture, which is not read: convert it to PNG",
            Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1") => {
                "a HEIC picture, which is not read: convert it to PNG"
            }
            _ => "a film or another file of that kind (ftyp)",
        },
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => {
            "a JPEG XL picture, which is not read: convert it to PNG"
        }
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xff, 0x4f, 0xff, 0x51, ..] => {
            "a JPEG 2000 picture, which is not read: convert it to PNG"
        }
        [0x1f, 0x8b, ..] => "a gzip file",
        [b'P', b'K', 3 | 5, 4 | 6, ..] => "a zip file",
        [b'P', b'A', b'R', b'1', ..] => "a Parquet file",
        [b'P', b'1'..=b'7', b' ' | b'\n' | b'\r' | b'\t', ..] => "a picture in a format of Netpbm, which is not read",
        [0, 0, 1 | 2, 0, ..] => "an icon (ICO), which is not read",
        _ => "",
    };
    let begins = |with: &[u8]| bytes.starts_with(with);
    let named = match named {
        "" if begins(b"8BPS") => "a Photoshop file (PSD), which is not read",
        "" if begins(b"%PDF") => "a PDF file",
        "" if begins(b"version https://git-lfs") => "a pointer of Git LFS: the picture itself was not fetched",
        "" if begins(b"<svg") => "an SVG drawing, which is not read",
        "" if begins(b"<") => "HTML or XML",
        "" => return format!("a file that begins with {}", hexadecimal(bytes)),
        named => named,
    };
    named.to_owned()
}

/// The first bytes, in hexadecimal.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
