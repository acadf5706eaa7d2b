//! Files that a Parquet file names without holding them, as `Dataset.to_parquet` of `datasets` leaves them.
//!
//! A path is followed inside one folder only, the Parquet file's own unless the user names another: a file of others must not
//! say which files of this machine are read. Relative paths are taken from there; absolute ones have to lead into it.

use std::path::{Component, Path, PathBuf};

/// Where paths are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Root {
    /// As the user wrote it.
    pub folder: PathBuf,
    /// Absolute spellings of it.
    absolute: Vec<PathBuf>,
}

impl Root {
    pub fn new(folder: &Path) -> Self {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let absolute = [std::path::absolute(folder).ok(), std::fs::canonicalize(folder).ok()];
        Self { folder: folder.to_owned(), absolute: absolute.into_iter().flatten().collect() }
    }

    /// `path` from this folder on, parts separated by `/`; `None` of an address or of what leads out of it.
    pub fn inside(&self, path: &str) -> Option<String> {
        if path.contains("://") || path.contains("::") || path.contains('\0') {
            return None;
        }
        let path = Path::new(path);
        let below =
            if path.is_absolute() { self.absolute.iter().find_map(|root| path.strip_prefix(root).ok())? } else { path };
        let mut parts = Vec::new();
        for part in below.components() {
            match part {
                Component::Normal(part) => parts.push(part.to_str()?),
                Component::CurDir => {}
                _ => return None,
            }
        }
        (!parts.is_empty()).then(|| parts.join("/"))
    }

    /// The file that `path` leads to, if it is there.
    pub fn follow(&self, path: &str) -> Option<PathBuf> {
        let file = self.folder.join(self.inside(path)?);
        file.is_file().then_some(file)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Root;

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let root = Root::new(&home.path().join("."));
        let inside = |path: &str| root.inside(path);
        assert_eq!(inside("a/./b.png").as_deref(), Some("a/b.png"));
        let absolute = home.path().join("a b/c.png");
        assert_eq!(inside(absolute.to_str().unwrap()).as_deref(), Some("a b/c.png"));
        let out = home.path().join("../x.png");
        for path in
            ["../a", "a/../../b", "/etc/passwd", "hf://d/a.png", "zip://a.png::/b.zip", "", ".", out.to_str().unwrap()]
        {
            assert_eq!(inside(path), None, "{path}");
        }
    }
}
