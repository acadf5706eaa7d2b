//! The model that comes with the program, so that `snellen exam` needs nothing else.

use crate::scratch::Scratch;
use snellen::{Error, Result};
use std::path::Path;

/// Its name in reports.
pub const NAME: &str = "toy (bundled)";

/// The files of its folder.
const FILES: [(&str, &[u8]); 6] = [
    ("config.json", include_bytes!("../../../models/toy/config.json")),
    ("model.safetensors", include_bytes!("../../../models/toy/model.safetensors")),
    ("preprocessor_config.json", include_bytes!("../../../models/toy/preprocessor_config.json")),
    ("tokenizer.json", include_bytes!("../../../models/toy/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../../../models/toy/tokenizer_config.json")),
    ("recipe.toml", include_bytes!("../../../models/toy/recipe.toml")),
];

/// Runs `f` on a temporary folder with the bundled model, read by the ordinary loader.
pub fn with_model<T>(f: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let parent = Scratch::new()?;
    let folder = parent.path().join("toy");
    std::fs::create_dir(&folder).map_err(Error::io(&folder))?;
    for (name, bytes) in FILES {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(Error::io(&path))?;
    }
    f(&folder).map_err(|error| named(error, &folder))
}

/// `error` about a file of the model in `folder`, of which the user knows nothing.
fn named(error: Error, folder: &Path) -> Error {
    let own = |place: String| place.replace(&folder.display().to_string(), NAME);
    match error {
        Error::Mismatch { place, expected, got } => Error::Mismatch { place: own(place), expected, got },
        Error::Malformed { place, source } => Error::Malformed { place: own(place), source },
        other => other,
    }
}
