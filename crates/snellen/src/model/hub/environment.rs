//! The variables of `huggingface_hub`, read as it reads them.

use super::Hub;
use crate::{Error, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

/// More than any token, so that a wrong path is not read whole.
const TOKEN_FILE_LIMIT: u64 = 64 << 10;

impl Hub {
    /// The Hub, cache and token that the environment names, as for `huggingface_hub`.
    ///
    /// `HF_ENDPOINT`; `HF_HUB_CACHE`, else the folder `hub` in `HF_HOME`, else in `XDG_CACHE_HOME/huggingface`, else in
    /// `~/.cache/huggingface`; `HF_TOKEN`, else the file `HF_TOKEN_PATH`, else the file `token` in `HF_HOME`, unless
    /// `HF_HUB_DISABLE_IMPLICIT_TOKEN`; `HF_HUB_OFFLINE`. The names that came before these count as they do there; what is set to nothing is not set.
    pub fn from_env() -> Result<Self> {
        let hub = Self::from_variables(|name| std::env::var_os(name).and_then(|value| value.into_string().ok()))?;
        Ok(Self { proxy: true, ..hub })
    }

    /// [`Hub::from_env`] with variables from elsewhere, and without a proxy.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = variable("HOME").or_else(|| Some(std::env::home_dir()?.to_str()?.to_owned()));
        let expand = |text: String| PathBuf::from(expanded(&text, home.as_deref(), &variable));
        let of_user = || {
            let caches = variable("XDG_CACHE_HOME").or_else(|| Some(format!("{}/.cache", home.as_deref()?)))?;
            Some(format!("{caches}/huggingface"))
        };
        let hf_home = variable("HF_HOME").or_else(of_user).map(expand).ok_or_else(|| {
            Error::mismatch("environment", "a home folder, or a folder for models in HF_HOME", "neither")
        })?;
        let cache = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE"));
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        let mut hub = Self::new(&endpoint, cache.map_or_else(|| hf_home.join("hub"), expand));
        hub.offline = is_true(variable("HF_HUB_OFFLINE").or_else(|| variable("TRANSFORMERS_OFFLINE")).as_deref());
        if !is_true(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN").as_deref()) {
            let set = variable("HF_TOKEN").or_else(|| variable("HUGGING_FACE_HUB_TOKEN"));
            hub.token = match set.and_then(|text| cleaned(&text)) {
                Some(token) => Some(token),
                None => token_in(&variable("HF_TOKEN_PATH").map_or_else(|| hf_home.join("token"), expand))?,
            };
        }
        Ok(hub)
    }
}

fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|text| matches!(text.to_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"))
}

/// The token in a file, which need not be there.
fn token_in(path: &Path) -> Result<Option<String>> {
    let file = match std::fs::File::open(path) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        file => file.map_err(Error::io(path))?,
    };
    let mut text = String::new();
    file.take(TOKEN_FILE_LIMIT).read_to_string(&mut text).map_err(Error::io(path))?;
    Ok(cleaned(&text))
}

fn cleaned(text: &str) -> Option<String> {
    let text = text.replace(['\r', '\n'], "");
    Some(text.trim().to_owned()).filter(|token| !token.is_empty())
}

/// `text` with `~` at its begin, `$NAME` and `${NAME}` replaced; what is not set stays as it is written.
fn expanded(text: &str, home: Option<&str>, variable: &impl Fn(&str) -> Option<String>) -> String {
    let mut rest = text;
    let mut out = String::new();
    if let (Some(home), Some(behind)) = (home, text.strip_prefix('~'))
        && (behind.is_empty() || behind.starts_with('/'))
    {
        out.push_str(home);
        rest = behind;
    }
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        let braced = behind.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, behind) = braced.unwrap_or_else(|| {
            let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(behind.len());
            behind.split_at(end)
        });
        match variable(name).filter(|_| !name.is_empty()) {
            Some(value) => out.push_str(&value),
            None if braced.is_some() => out.extend(["${", name, "}"]),
            None => out.extend(["$", name]),
        }
        rest = behind;
    }
    out + rest
}
