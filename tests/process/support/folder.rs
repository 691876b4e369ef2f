//! A folder that an operator fills with modules and settings.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::pt::Launch;

/// A folder that an operator fills.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// Empty.
    pub(crate) fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Puts a module there under this name.
    pub(crate) fn module(&self, name: &str, from: &str) -> PathBuf {
        self.write(name, std::fs::read(dist(from)).unwrap())
    }

    /// Starts with every module in it.
    pub(crate) fn of_modules(&self, launch: Launch) -> Launch {
        launch.arg("--modules").arg(self.path())
    }
}

/// A module that came with the source.
pub(crate) fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("watm/dist")
        .join(name)
}
