//! The files that this program writes: the state directory, and what `ouzel compile` is told to.
//!
//! Files are private to the user (0600 in folders 0700) and written whole: a new file, then a rename. What
//! is read back is capped and must still be private.

use crate::platform;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A folder of state.
#[derive(Clone, Debug)]
pub struct State {
    dir: PathBuf,
}

impl State {
    /// Opens the folder, made if it is missing (pt-spec: `TOR_PT_STATE_LOCATION`).
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<State> {
        let dir = dir.into();
        platform::create_private_dir(&dir)?;
        Ok(State { dir })
    }

    /// A folder below.
    pub fn folder(&self, name: &str) -> io::Result<State> {
        State::open(self.dir.join(name))
    }

    /// A folder below that need not be there yet, see [`State::make`].
    pub fn below(&self, name: &str) -> State {
        State {
            dir: self.dir.join(name),
        }
    }

    /// Makes the folder, if it is missing.
    pub fn make(&self) -> io::Result<()> {
        platform::create_private_dir(&self.dir)
    }

    /// Where a file of that name lies, for messages.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The whole of a file of at most `most` bytes; a file that others could touch is an error.
    pub fn read(&self, name: &str, most: usize) -> io::Result<Vec<u8>> {
        let path = self.path(name);
        let file = fs::File::open(&path)?;
        if !platform::is_private(&file.metadata()?) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it is not private to this user",
            ));
        }
        read_capped(file, most)
    }

    /// The same for a file that another program may have left readable; says whether it was.
    pub fn read_foreign(&self, name: &str, most: usize) -> io::Result<(Vec<u8>, bool)> {
        let file = fs::File::open(self.path(name))?;
        let metadata = file.metadata()?;
        if !platform::is_own(&metadata) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it is another user's, or others can write it",
            ));
        }
        let is_private = platform::is_private(&metadata);
        Ok((read_capped(file, most)?, !is_private))
    }

    /// Replaces a file in one step.
    pub fn write(&self, name: &str, data: &[u8]) -> io::Result<()> {
        replace(&platform::private_file(), &self.path(name), data)
    }

    /// The names of the files in the folder; those that are being written begin with a dot and are none.
    pub fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name().into_string().unwrap_or_default();
            if entry.file_type()?.is_file() && !name.is_empty() && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    /// A new file that grows, or the old one to append to; for the log.
    #[expect(clippy::disallowed_methods, reason = "this is where files are written")]
    pub fn append(&self, name: &str) -> io::Result<fs::File> {
        platform::create_private_dir(&self.dir)?;
        let mut options = platform::private_file();
        options.create_new(false).create(true).append(true);
        options.open(self.path(name))
    }
}

/// Writes a file that the operator named, for everybody to read, in one step.
#[expect(clippy::disallowed_methods, reason = "this is where files are written")]
pub fn write_named(path: &Path, data: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    replace(&options, path, data)
}

#[expect(clippy::disallowed_methods, reason = "this is where files are written")]
fn replace(options: &fs::OpenOptions, path: &Path, data: &[u8]) -> io::Result<()> {
    // Through a symlink, which somebody has put there for a reason.
    let real = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => fs::canonicalize(path).ok(),
        _ => None,
    };
    let path = real.as_deref().unwrap_or(path);
    let mut unique = [0; 8];
    getrandom::fill(&mut unique).map_err(io::Error::other)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = u64::from_le_bytes(unique);
    let temporary = path.with_file_name(format!(".{name}.{unique:016x}"));
    let written = options
        .open(&temporary)
        .and_then(|mut file| file.write_all(data).and_then(|()| file.sync_data()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The error that is told is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Reads a file that the operator named, capped at `most` bytes.
pub fn read_named(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    read_capped(platform::open_file(path)?, most)
}

/// Reads native code that the operator named: only the operator or root may be able to write it.
pub fn read_trusted(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let file = platform::open_file(path)?;
    if !platform::is_trusted(&file.metadata()?) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "others than this user and root can write it; chown and chmod go-w it",
        ));
    }
    read_capped(file, most)
}

fn read_capped(file: fs::File, most: usize) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut data)?;
    if data.len() > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {most} bytes"),
        ));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_private() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state = State::open(dir.path().join("a/b")).expect("made with its parents");
        state.write("key", b"one").expect("written");
        state.write("key", b"two").expect("replaced");
        assert_eq!(state.read("key", 3).expect("read"), b"two");
        assert!(state.read("key", 2).is_err(), "the cap holds");
        assert_eq!(
            fs::read_dir(dir.path().join("a/b"))
                .expect("listed")
                .count(),
            1,
            "no temporary file stays"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let file = state.path("key");
            assert_eq!(
                fs::metadata(&file).expect("there").permissions().mode() & 0o777,
                0o600
            );
            assert_eq!(
                fs::metadata(dir.path().join("a/b"))
                    .expect("there")
                    .permissions()
                    .mode()
                    & 0o777,
                0o700
            );
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("changed");
            assert!(
                state.read("key", 3).is_err(),
                "a file that others read is no secret"
            );
        }
    }
}
