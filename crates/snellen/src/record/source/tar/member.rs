//! What the name of a member says: its key, its field, and whether it is a picture.

use super::super::format;

/// A member by its name, after webdataset 1.0.2: the key ends before the first dot of the last part of the path, the field is what
/// follows that dot, lower-cased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A picture of a key; whether of a format that is read.
    Picture {
        key: Vec<u8>,
        field: String,
        read: bool,
    },
    /// Part of a hidden file or folder, as macOS leaves them.
    Hidden,
    Other,
}

/// Reads the name of a member, without `./` before it.
pub(super) fn parse(name: &[u8]) -> Name {
    let mut parts = name.split(|byte| *byte == b'/').collect::<Vec<_>>();
    let base = parts.pop().unwrap_or_default();
    let hidden = |part: &&[u8]| (part.starts_with(b".") && !matches!(*part, b"." | b"..")) || part.starts_with(b"__");
    if base.starts_with(b".") || parts.iter().any(hidden) {
        return Name::Hidden;
    }
    let Some(dot) = base.iter().position(|byte| *byte == b'.') else { return Name::Other };
    let base_text = String::from_utf8_lossy(base);
    let Some(read) = format::picture(&base_text) else { return Name::Other };
    let field = String::from_utf8_lossy(&base[dot + 1..]).to_lowercase();
    Name::Picture { key: name[..name.len() - base.len() + dot].to_vec(), field, read }
}

#[cfg(test)]
mod tests {
    use super::{Name, parse};

    fn picture(key: &str, field: &str) -> Name {
        Name::Picture { key: key.as_bytes().to_vec(), field: field.to_owned(), read: true }
    }

    #[test]
    fn keys_end_before_the_first_dot_of_the_last_part() {
        for (name, key, field) in [
            ("000.jpg", "000", "jpg"),
            ("22.05.png", "22", "05.png"),
            ("sample3.input.JPG", "sample3", "input.jpg"),
            ("Track 2.0.jpg", "Track 2", "0.jpg"),
            ("a.b/c.d.webp", "a.b/c", "d.webp"),
        ] {
            assert_eq!(parse(name.as_bytes()), picture(key, field), "{name}");
        }
        for name in ["._a.jpg", "d/._b.jpg", ".x/a.jpg", "__MACOSX/a.jpg", ".DS_Store", "a/.jpg"] {
            assert_eq!(parse(name.as_bytes()), Name::Hidden, "{name}");
        }
        for name in ["a.txt", "a", "a.jpg.txt", "jpg", "a.jpg/b"] {
            assert_eq!(parse(name.as_bytes()), Name::Other, "{name}");
        }
        assert!(matches!(parse(b"a.avif"), Name::Picture { read: false, .. }));
    }
}
