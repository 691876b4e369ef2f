//! Removing a case's folder, whatever an executable did to it.
//!
//! In: a folder. Out: nothing, or a sentence about what could not be removed. An executable may take its own folders'
//! permissions away, or write while they are emptied: both are answered once, then told.

use std::fs::{Permissions, read_dir, remove_dir_all, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

/// How deep permissions are given back; state folders are not deeper, and a loop of folders cannot be.
const DEEPEST: usize = 16;

/// Removes it; says what stays.
pub fn remove(folder: TempDir) -> Option<String> {
    let path = folder.keep();
    if remove_dir_all(&path).is_ok() {
        return None;
    }
    allow(&path, DEEPEST);
    let error = remove_dir_all(&path).err()?;
    Some(format!("folder {}: {error}", path.display()))
}

/// Lets the owner do everything again, in all folders below.
fn allow(folder: &Path, depth: usize) {
    let _ = set_permissions(folder, Permissions::from_mode(0o700));
    let Ok(entries) = read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        // Not through links, which may lead anywhere.
        if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            allow(&entry.path(), depth - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "in a folder of the test's own")]
    fn a_folder_without_permissions_is_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().to_owned();
        let inner = path.join("a/b");
        std::fs::create_dir_all(&inner).expect("made");
        std::fs::write(inner.join("file"), "text").expect("written");
        set_permissions(path.join("a"), Permissions::from_mode(0o000)).expect("its owner may");
        assert_eq!(remove(folder), None);
        assert!(!path.exists());
    }
}
