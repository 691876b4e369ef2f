//! Copies of the folders that an operator lets a module read.
//!
//! In: where a guest sees a folder, and which one it is. Out: its files in memory, as they were at the start. What can go
//! wrong is told in one sentence: a folder that cannot be read, or more in it than instances should share. Links are
//! followed to files within the folder only; what is neither file nor folder is left out.

use super::state::read_named;
use crate::watm::{Files, Folder};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What all folders of one transport may have together.
const MAX_BYTES: usize = 16 << 20;
const MAX_FILES: usize = 1000;
/// Folders; each takes a descriptor of every instance, which has few.
const MAX_FOLDERS: usize = 16;
/// Folders within folders.
const MAX_DEPTH: usize = 32;

/// Copies of folders.
#[derive(Default)]
pub(super) struct Copies {
    folders: Vec<Folder>,
    bytes: usize,
    files: usize,
    /// Files and folders that were looked at, copied or not.
    entries: usize,
}

impl Copies {
    /// Copies one more.
    pub(super) fn add(&mut self, name: &str, host: &Path) -> Result<(), String> {
        let bad = |error: io::Error| {
            format!(
                "the folder {} for {name} cannot be given to it ({error}); check folders in its settings, and under \
                 Debian's tor its AppArmor profile (it allows /etc/tor)",
                host.display()
            )
        };
        if self.folders.len() == MAX_FOLDERS {
            return Err(format!(
                "its settings grant more than {MAX_FOLDERS} folders; put what it needs into fewer"
            ));
        }
        let root = fs::canonicalize(host).map_err(bad)?;
        let mut files = Files::new();
        self.copy(&root, &root, "", 0, &mut files).map_err(bad)?;
        self.folders.push(Folder {
            name: name.to_owned(),
            files: files.into(),
        });
        Ok(())
    }

    /// All of them.
    pub(super) fn done(self) -> (Vec<Folder>, usize, usize) {
        (self.folders, self.files, self.bytes)
    }

    fn copy(
        &mut self,
        root: &Path,
        folder: &Path,
        below: &str,
        depth: usize,
        files: &mut Files,
    ) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(io::Error::other(format!(
                "it is deeper than {MAX_DEPTH} folders"
            )));
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            self.entries += 1;
            if self.entries > 2 * MAX_FILES {
                return Err(too_many());
            }
            // A guest's paths are UTF-8.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let name = format!("{below}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.copy(root, &entry.path(), &format!("{name}/"), depth + 1, files)?;
            } else if let Some(path) = file_within(root, &entry.path(), kind) {
                self.files += 1;
                if self.files > MAX_FILES {
                    return Err(too_many());
                }
                let left = MAX_BYTES - self.bytes;
                let bytes = read_named(&path, left).map_err(|error| match error.kind() {
                    io::ErrorKind::FileTooLarge => {
                        io::Error::other(format!("it has more than {} MiB", MAX_BYTES >> 20))
                    }
                    kind => io::Error::new(kind, format!("{name}: {error}")),
                })?;
                self.bytes += bytes.len();
                files.insert(name, bytes.into());
            }
        }
        Ok(())
    }
}

/// The file that an entry is or leads to, if it lies within the folder.
fn file_within(root: &Path, path: &Path, kind: fs::FileType) -> Option<PathBuf> {
    if kind.is_file() {
        return Some(path.to_owned());
    }
    if !kind.is_symlink() {
        return None;
    }
    let target = fs::canonicalize(path).ok()?;
    let is_file = fs::metadata(&target).is_ok_and(|meta| meta.is_file());
    (is_file && target.starts_with(root)).then_some(target)
}

fn too_many() -> io::Error {
    io::Error::other(format!("it has more than {MAX_FILES} files"))
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test fills the folders that are copied"
)]
mod tests {
    use super::*;

    fn copied(host: &Path) -> Result<Vec<Folder>, String> {
        let mut copies = Copies::default();
        copies.add("/data", host)?;
        Ok(copies.done().0)
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_has_what_lies_within() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().expect("a folder");
        fs::write(outside.path().join("secret"), "s").expect("written");
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b")).expect("made");
        fs::write(at("a/b/deep"), "deep").expect("written");
        fs::write(at("top"), "top").expect("written");
        symlink(at("a/b/deep"), at("link")).expect("linked");
        symlink(outside.path().join("secret"), at("leak")).expect("linked");
        symlink(outside.path(), at("out")).expect("linked");
        symlink(folder.path(), at("a/round")).expect("linked");
        symlink("nowhere", at("broken")).expect("linked");
        let copies = copied(folder.path()).expect("copied");
        assert_eq!(copies[0].name, "/data");
        let names: Vec<&String> = copies[0].files.keys().collect();
        assert_eq!(names, ["a/b/deep", "link", "top"]);
        assert_eq!(&*copies[0].files["link"], b"deep");
    }

    #[test]
    fn too_much_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let big = fs::File::create(folder.path().join("big")).expect("made");
        big.set_len(MAX_BYTES as u64).expect("grown");
        copied(folder.path()).expect("just as much as may be");
        big.set_len(MAX_BYTES as u64 + 1).expect("grown");
        assert!(
            copied(folder.path())
                .expect_err("too large")
                .contains("16 MiB")
        );
        big.set_len(0).expect("emptied");
        for n in 1..MAX_FILES {
            fs::write(folder.path().join(n.to_string()), "").expect("written");
        }
        copied(folder.path()).expect("just as many as may be");
        fs::write(folder.path().join("more"), "").expect("written");
        assert!(
            copied(folder.path())
                .expect_err("too many")
                .contains("1000 files")
        );
        assert!(
            copied(&folder.path().join("none"))
                .expect_err("not there")
                .contains("folders")
        );
    }
}
