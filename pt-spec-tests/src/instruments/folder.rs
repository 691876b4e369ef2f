//! What a process left on disk.
//!
//! In: a folder. Out: everything below it, with what is in the files. Can go wrong: a file that vanishes meanwhile is
//! the machine's doing, so the process is to be ended before.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Everything below a folder, with the content of files; links are not followed.
pub fn tree(folder: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let mut content = Vec::new();
            if kind.is_dir() {
                folders.push(path.clone());
            } else if kind.is_file() {
                content = fs::read(&path)?;
            }
            found.push((path, content));
        }
    }
    Ok(found)
}
