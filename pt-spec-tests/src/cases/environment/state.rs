//! Where a process may leave something (`TOR_PT_STATE_LOCATION`), and that it leaves nothing elsewhere.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sides;
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::cases::version::fails_with;
use crate::instruments::folder::tree;
use crate::instruments::listeners::door;
use crate::instruments::pair::Pair;
use crate::instruments::parent::Launch;
use crate::instruments::process::Pt;
use crate::instruments::trace::Trace;
use crate::instruments::wire::{SOON, dial};
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.2.1/state-location-missing",
        line: 13,
        requirement: "Without TOR_PT_STATE_LOCATION the answer is ENV-ERROR, and the process exits with a code other than 0.",
        reference: "pt-spec 3.2.1: the common variables MUST be set; 3.3.1: the process must validate that all of the required ones are",
        reading: "It is checked by a process that stores nothing, too: what is missing is the parent's mistake.",
        check: run!(location_missing),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/state-location-empty",
        line: 13,
        requirement: "An empty TOR_PT_STATE_LOCATION is a missing one.",
        reference: "pt-spec 3.2.1: an absolute path; goptlib",
        reading: "The empty string is no path.",
        check: run!(location_empty),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/state-folder-need-not-exist",
        line: 14,
        level: Level::Should,
        requirement: "A state folder that does not exist, nor the folder above it, keeps no transport from being launched.",
        reference: "pt-spec 3.2.1: the directory is not required to exist when the PT is launched, and a PT SHOULD be able to create it",
        check: run!(folder_need_not_exist),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/state-folder-is-private",
        line: 14,
        level: Level::Should,
        requirement: "A state folder that the process creates can be entered by its owner alone, whatever the parent's umask.",
        reference: "pt-spec 3.2.1: a directory for state, which keys are; goptlib and tor create theirs with mode 0700",
        check: run!(folder_is_private),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/state-path-is-a-path",
        line: 14,
        level: Level::Should,
        requirement: "Any absolute path will do: with blanks, beyond ASCII, with a slash at its end or without.",
        reference: "pt-spec 3.2.1; tor hands over the path of its DataDirectory, which is the user's choice",
        limit: PATIENT,
        check: run!(any_path),
        ..Case::BASE
    },
    Case {
        id: "tor-transports/state-folder-is-shared",
        line: 14,
        level: Level::Real,
        requirement: "A state folder in which other processes keep theirs is used as it is: nothing of it is changed, and a second process of the same kind starts beside the first.",
        reference: "tor gives every executable the same folder, pt_state in its DataDirectory (transports.c, create_managed_proxy_environment)",
        limit: PATIENT,
        check: run!(folder_is_shared),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/files-stay-in-the-state-folder",
        line: 15,
        requirement: "No file or folder outside of TOR_PT_STATE_LOCATION is created, written to, renamed or removed.",
        reference: "pt-spec 3.2.1: PTs MUST only store files in the path provided; seen by strace",
        reading: "Devices, /proc and abstract sockets are no files in this sense.",
        limit: PATIENT,
        check: run!(files_stay),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/nothing-is-left-elsewhere",
        line: 15,
        side: Side::Both,
        requirement: "After a tunnel was used, and both ends have exited, HOME, TMPDIR and the working directory are as they were.",
        reference: "pt-spec 3.2.1: PTs MUST NOT create or modify files elsewhere on the system",
        limit: PATIENT,
        check: run!(nothing_elsewhere),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/state-folder-unusable",
        line: 16,
        requirement: "When the state folder cannot be created, stdout says so, in ENV-ERROR with a failing exit or for the transport that needs it.",
        reference: "pt-spec 3.3.1 and 3.3.2: errors are lines on stdout; tor restarts a process that ends silently every second",
        reading: "Only a process that creates the folder at its start needs it; CMETHOD-ERROR or SMETHOD-ERROR and going on is as good as ENV-ERROR.",
        limit: PATIENT,
        check: run!(folder_unusable),
        ..Case::BASE
    },
];

/// For cases that end processes which may not want to.
const PATIENT: Duration = Duration::from_secs(90);

const VARIABLE: &str = "TOR_PT_STATE_LOCATION";

async fn location_missing(bench: &Bench) -> Verdict {
    for launch in sides(bench) {
        fails_with("ENV-ERROR", launch.unset(VARIABLE)).await?;
    }
    Ok(())
}

async fn location_empty(bench: &Bench) -> Verdict {
    for launch in sides(bench) {
        fails_with("ENV-ERROR", launch.set(VARIABLE, "")).await?;
    }
    Ok(())
}

async fn folder_need_not_exist(bench: &Bench) -> Verdict {
    for launch in sides(bench) {
        let above = bench.fresh_path("no");
        launch.state(above.join("such/folder/")).ready().await?;
    }
    Ok(())
}

async fn folder_is_private(bench: &Bench) -> Verdict {
    let mut created = 0;
    for launch in sides(bench) {
        let folder = bench.fresh_path("above").join("pt_state");
        let no_mask = ["/bin/sh", "-c", "umask 0; exec \"$0\" \"$@\""];
        let _ready = launch.state(&folder).through(&no_mask).ready().await?;
        let Ok(about) = fs::metadata(&folder) else {
            continue;
        };
        created += 1;
        let mode = about.permissions().mode() & 0o777;
        ensure!(
            mode & 0o077 == 0,
            "expected mode 0700, but {} has {mode:04o}",
            folder.display()
        );
    }
    created_any(created)
}

/// A process that creates no folder is free to.
fn created_any(count: usize) -> Verdict {
    match count {
        0 => Err(Failure::NotApplicable(
            "it creates no state folder at its start".to_owned(),
        )),
        _ => Ok(()),
    }
}

async fn any_path(bench: &Bench) -> Verdict {
    for name in ["a b  c", "caf\u{e9}", "slash/", "a;b=c,d:e"] {
        for launch in sides(bench) {
            let above = bench.fresh_path("state");
            create(&above)?;
            let ready = launch.state(above.join(name)).ready().await;
            let mut pt = ready
                .map_err(|failure| failure.when(format_args!("with the path {name:?}")))?
                .pt;
            end(&mut pt).await?;
            let named = above.join(name.trim_end_matches('/'));
            let strange = tree(&above)?
                .into_iter()
                .find(|(path, _)| !path.starts_with(&named));
            ensure!(
                strange.is_none(),
                "with the path {name:?} it made {:?}",
                strange.map(|(path, _)| path)
            );
        }
    }
    Ok(())
}

async fn folder_is_shared(bench: &Bench) -> Verdict {
    let folder = bench.fresh_path("shared");
    fill(&folder)?;
    let before = tree(&folder)?;
    for side in 0..sides(bench).len() {
        let mut running = Vec::new();
        for _ in 0..2 {
            let launch = sides(bench).swap_remove(side).state(&folder);
            let ready = launch.ready().await?;
            dial(door(&ready.pt, &ready.method)?).await?;
            running.push(ready.pt);
        }
        for pt in &mut running {
            pt.must_run().await?;
            end(pt).await?;
        }
    }
    let after = tree(&folder)?;
    for (path, content) in &before {
        let now = after.iter().find(|(other, _)| other == path);
        ensure!(
            now.is_some_and(|(_, other)| other == content),
            "{} is not what it was before",
            path.display()
        );
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "in a scratch folder of the case's own"
)]
fn create(folder: &Path) -> Verdict {
    fs::create_dir(folder)?;
    Ok(())
}

/// Makes a state folder in which somebody else keeps something.
#[expect(
    clippy::disallowed_methods,
    reason = "in a scratch folder of the case's own"
)]
fn fill(folder: &Path) -> Verdict {
    fs::create_dir_all(folder.join("theirs"))?;
    fs::write(folder.join("theirs/key"), "of another")?;
    fs::write(folder.join("state.json"), "{\"of\": \"another\"}")?;
    Ok(())
}

async fn files_stay(bench: &Bench) -> Verdict {
    for launch in sides(bench) {
        let state = PathBuf::from(launch.get(VARIABLE).unwrap_or_else(|| OsStr::new("/")));
        // What leads to the folder may be created, too.
        let above = state.parent().map(Path::to_owned).unwrap_or_default();
        let (trace, launch) = Trace::around(bench, launch, "%file,bind")?;
        let ready = launch.ready().await?;
        // A caller who says nothing.
        drop(dial(door(&ready.pt, &ready.method)?).await?);
        for call in trace.calls(ready.pt).await? {
            for path in changed(&call) {
                let path = bench.scratch().join("cwd").join(path);
                ensure!(
                    path.starts_with(&above),
                    "outside of {}: {call}",
                    state.display()
                );
            }
        }
    }
    Ok(())
}

/// The paths that a system call creates, writes to, renames or removes; `call` is strace's line.
fn changed(call: &str) -> Vec<&str> {
    let Some((name, arguments)) = call.split_once('(') else {
        return Vec::new();
    };
    // It did nothing.
    if call.contains(" = -1 ") {
        return Vec::new();
    }
    let wanted = match name {
        "open" | "openat" | "openat2" => ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_TMPFILE"]
            .iter()
            .any(|flag| arguments.contains(flag)),
        "bind" => arguments.contains("AF_UNIX") && !arguments.contains("sun_path=@"),
        "creat" | "mkdir" | "mkdirat" | "mknod" | "mknodat" | "rename" | "renameat"
        | "renameat2" | "link" | "linkat" | "symlink" | "symlinkat" | "unlink" | "unlinkat"
        | "rmdir" | "truncate" | "chmod" | "fchmodat" | "fchmodat2" | "chown" | "lchown"
        | "fchownat" | "utime" | "utimes" | "utimensat" | "futimesat" | "setxattr"
        | "lsetxattr" | "removexattr" | "lremovexattr" => true,
        _ => false,
    };
    if !wanted {
        return Vec::new();
    }
    let quoted = arguments.split('"').skip(1).step_by(2);
    let device = |path: &str| path.starts_with("/dev/") && !path.starts_with("/dev/shm/");
    // A path below an open folder was judged when the folder was opened or made.
    let below_a_folder =
        arguments.starts_with(|char: char| char.is_ascii_digit()) && name != "bind";
    quoted
        .filter(|path| !path.is_empty() && !device(path) && !path.starts_with("/proc/"))
        .filter(|path| path.starts_with('/') || !below_a_folder)
        .collect()
}

async fn nothing_elsewhere(bench: &Bench) -> Verdict {
    let mut pair = Pair::start(bench).await?;
    drop(pair.open().await?);
    end(&mut pair.client).await?;
    end(&mut pair.bridge.server).await?;
    for folder in ["cwd", "home", "tmp"] {
        let found = tree(&bench.scratch().join(folder))?;
        let paths: Vec<_> = found.iter().map(|(path, _)| path).collect();
        ensure!(paths.is_empty(), "left in {folder}: {paths:?}");
    }
    Ok(())
}

async fn folder_unusable(bench: &Bench) -> Verdict {
    let mut created = 0;
    for (launch, again) in sides(bench).into_iter().zip(sides(bench)) {
        let folder = bench.fresh_path("usual");
        let _ready = launch.state(&folder).ready().await?;
        if folder.exists() {
            created += 1;
            refuses(again.state(below_a_file(bench)?)).await?;
        }
    }
    created_any(created)
}

/// Expects an error for a state folder that cannot be.
async fn refuses(launch: Launch) -> Verdict {
    let (mut pt, said) = launch.negotiate().await?;
    match &said.fatal {
        Some(line) if line.starts_with("ENV-ERROR ") => {
            let exit = pt.must_exit(SOON).await?;
            ensure!(
                exit.code.is_some_and(|code| code != 0),
                "after {line:?} it ends with {exit}"
            );
        }
        None if said.done && !said.errors.is_empty() => {}
        _ => deviation!(
            "no error about the state folder on stdout: {:?}",
            said.lines
        ),
    }
    Ok(())
}

/// A path that not even root can make a folder of.
#[expect(
    clippy::disallowed_methods,
    reason = "in a scratch folder of the case's own"
)]
fn below_a_file(bench: &Bench) -> Verdict<PathBuf> {
    let file = bench.fresh_path("file");
    fs::write(&file, "")?;
    Ok(file.join("pt_state"))
}

/// Ends a process by its stdin, or by force: how it ends is not the matter here.
async fn end(pt: &mut Pt) -> Verdict {
    pt.close_stdin();
    if pt.exit(SOON).await?.is_none() {
        pt.signal(rustix::process::Signal::KILL);
        pt.exit(SOON).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_change_files_are_told_from_others() {
        for (call, paths) in [
            (
                r#"openat(AT_FDCWD, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 3"#,
                &[][..],
            ),
            (
                r#"openat(AT_FDCWD, "/a/b", O_WRONLY|O_CREAT, 0600) = 3"#,
                &["/a/b"],
            ),
            (
                r#"openat(AT_FDCWD, "/a/b", O_WRONLY|O_CREAT, 0600) = -1 EACCES (Permission denied)"#,
                &[],
            ),
            (r#"openat(AT_FDCWD, "/dev/null", O_RDWR) = 3"#, &[]),
            (r#"rename("/a/b", "c") = 0"#, &["/a/b", "c"]),
            (
                r#"bind(3, {sa_family=AF_UNIX, sun_path="/run/x"}, 110) = 0"#,
                &["/run/x"],
            ),
            (
                r#"bind(3, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0"#,
                &[],
            ),
            (r#"unlinkat(5, "x", 0) = 0"#, &[]),
            (r#"stat("/a", {st_mode=S_IFDIR|0755, ...}) = 0"#, &[]),
        ] {
            assert_eq!(changed(call), paths, "{call}");
        }
    }
}
