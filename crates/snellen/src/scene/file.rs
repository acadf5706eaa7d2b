//! Worlds as files: TOML that anyone can write, and the worlds that come with the program.

use super::World;
use crate::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest file of a world that is read, in bytes.
pub const MAX_WORLD_BYTES: u64 = 1 << 24;

/// A world that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedWorld {
    /// What it is called.
    pub name: &'static str,
    /// What is in it.
    pub about: &'static str,
    /// Its file.
    pub text: &'static str,
}

/// The worlds that come with the program.
pub const WORLDS: [NamedWorld; 6] = [
    NamedWorld {
        name: "study",
        about: "5 shapes, 6 colours, 5 places, one size: the toy world of arXiv 2508.16652",
        text: include_str!("../../worlds/study.toml"),
    },
    NamedWorld {
        name: "toy",
        about: "the same, sizes and places a little different from image to image",
        text: include_str!("../../worlds/toy.toml"),
    },
    NamedWorld {
        name: "hard",
        about: "5 shapes, 6 colours, up to 5 objects anywhere, wide sizes, equal areas",
        text: include_str!("../../worlds/hard.toml"),
    },
    NamedWorld {
        name: "rich",
        about: "as hard; captions say sizes and textures too",
        text: include_str!("../../worlds/rich.toml"),
    },
    NamedWorld {
        name: "noise",
        about: "as hard, before smooth noise of all colours",
        text: include_str!("../../worlds/noise.toml"),
    },
    NamedWorld {
        name: "photo",
        about: "as hard, before areas as uneven as those of a photograph",
        text: include_str!("../../worlds/photo.toml"),
    },
];

impl World {
    /// The world of that name among [`WORLDS`], or else the one in the file of that name.
    ///
    /// # Errors
    /// When it is neither, and what [`World::parse`] refuses.
    pub fn named_or_read(name: &str) -> Result<Self> {
        if let Some(known) = WORLDS.iter().find(|known| known.name == name) {
            return Self::parse(known.text, name);
        }
        if !Path::new(name).is_file() {
            let names = WORLDS.map(|known| known.name).join(", ");
            return Err(Error::mismatch("world", format!("a TOML file, or one of: {names}"), format!("`{name}`")));
        }
        let mut bytes = Vec::new();
        let file = File::open(name).map_err(Error::io(name))?;
        file.take(MAX_WORLD_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io(name))?;
        if bytes.len() as u64 > MAX_WORLD_BYTES {
            return Err(Error::mismatch(name, format!("a world of at most {MAX_WORLD_BYTES} bytes"), "more"));
        }
        let text = String::from_utf8(bytes).map_err(|e| {
            Error::mismatch(name, "TOML, which is UTF-8", format!("byte {} that is not", e.utf8_error().valid_up_to()))
        })?;
        Self::parse(&text, name)
    }

    /// What it is called, where it comes with the program.
    pub fn name(&self) -> Option<&'static str> {
        let is = |known: &&NamedWorld| Self::parse(known.text, known.name).is_ok_and(|world| world == *self);
        WORLDS.iter().find(is).map(|known| known.name)
    }

    /// From TOML; `place` is the file's name for messages.
    ///
    /// # Errors
    /// Names the file with the line and key that is malformed, or the factor, value or field that [`World::check`] refuses.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let world: Self = toml::from_str(text).map_err(|e| toml_error(text, place, &e))?;
        world.check().map_err(|e| Error::malformed(place, e))?;
        Ok(world)
    }
}

/// The line and key, and what is wrong there, without the excerpt that `toml` draws over several lines.
pub(crate) fn toml_error(text: &str, place: &str, error: &toml::de::Error) -> Error {
    let start = error.span().map_or(0, |span| span.start);
    let line = 1 + text[..start].matches('\n').count();
    let key = key_of(text, start).map_or(String::new(), |key| format!(", key `{key}`"));
    Error::malformed(format!("{place}:{line}{key}"), error.message().replace('\n', " "))
}

/// The key whose value holds byte `at` of the text, if it stands in the same line; none where `at` is at a key itself.
fn key_of(text: &str, at: usize) -> Option<&str> {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text[at..].trim_start_matches(bare).trim_start().starts_with('=') {
        return None;
    }
    let before = text[..at].rsplit('\n').next()?;
    let key = before[..before.rfind('=')?].trim_end();
    let start = key.rfind(|c| !bare(c)).map_or(0, |last| last + 1);
    Some(&key[start..]).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::key_of;

    #[test]
    fn the_key_is_the_last_one_before_a_value() {
        let text = "size = [1]\n{ name = \"x\", paint = [0, 256] }\nfree = 3";
        let key = |part: &str| text.find(part).and_then(|at| key_of(text, at));
        assert_eq!(key("[1]"), Some("size"));
        assert_eq!(key("256"), Some("paint"));
        assert_eq!(key("paint"), None);
        assert_eq!(key("3"), Some("free"));
        assert_eq!(key("{"), None);
    }
}
