//! The programs of others that the tests need, and what to install where one is missing.

use std::path::PathBuf;

/// Where a program is; fails with the Debian package to install.
pub(crate) fn find(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| {
            panic!("`{program}` is missing: install it (Debian: apt-get install {package})")
        })
}

/// The executable under test.
pub(crate) fn ouzel() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_ouzel"))
}

/// Debian's obfs4proxy, the incumbent.
pub(crate) fn obfs4proxy() -> PathBuf {
    find("obfs4proxy", "obfs4proxy")
}
