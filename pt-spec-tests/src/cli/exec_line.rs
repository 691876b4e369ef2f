//! What stands behind `--pt`, read as tor reads the `exec` part of a `ClientTransportPlugin` line.
//!
//! In: a text and where to look. Out: the executable's absolute path and its arguments. Whether it can be started is not
//! asked here: that it cannot is something a run tells.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where daemons are that an ordinary user's `PATH` leaves out.
const BESIDES_PATH: &str = "/usr/sbin";

/// An executable and the arguments given at every start.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExecLine {
    /// Its path.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<OsString>,
}

/// Reads `text`: split at spaces without any quoting, as tor does it, unless all of it is the path of a file. A path is
/// relative to `cwd`; a name without a slash is looked up in the folders of `path`.
pub(super) fn read(text: &str, path: Option<&OsStr>, cwd: &Path) -> ExecLine {
    let whole = cwd.join(text);
    if text.contains('/') && whole.is_file() {
        return ExecLine {
            program: whole,
            args: Vec::new(),
        };
    }
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let name = words.next().unwrap_or_default();
    let program = match name.contains('/') {
        true => cwd.join(name),
        false => find(name, path).unwrap_or_else(|| cwd.join(name)),
    };
    ExecLine {
        program,
        args: words.map(OsString::from).collect(),
    }
}

fn find(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    std::env::split_paths(path.unwrap_or_default())
        .chain([PathBuf::from(BESIDES_PATH)])
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_split_unless_the_whole_is_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let file = path.join("a b");
        std::fs::hard_link(std::env::current_exe().expect("a file"), &file)
            .or_else(|_| std::os::unix::fs::symlink("/bin/sh", &file))
            .expect("a file with a space in its name");
        let whole = read("./a b", None, path);
        assert_eq!((whole.program, whole.args), (path.join("./a b"), vec![]));
        let split = read("./c  -d e", None, path);
        assert_eq!(split.program, path.join("./c"));
        assert_eq!(split.args, ["-d", "e"]);
    }

    #[test]
    fn a_bare_name_is_looked_up() {
        let found = read(
            "sh -c x",
            Some(OsStr::new("/nonexistent:/bin")),
            Path::new("/"),
        );
        assert_eq!(found.program, Path::new("/bin/sh"));
        let lost = read("no-such-program", Some(OsStr::new("/bin")), Path::new("/x"));
        assert_eq!(lost.program, Path::new("/x/no-such-program"));
    }
}
