//! What is there when a process has ended, and how it came there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{Metadata, read_dir};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ends, serves, sides};
use crate::bench::{Bench, MARKER};
use crate::case::{Case, Level, run};
use crate::cases::faults::Faults;
use crate::instruments::leftovers;
use crate::instruments::listeners::door;
use crate::instruments::trace::Trace;
use crate::instruments::wire::dial;
use crate::verdict::{Failure, Verdict, ensure};

pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.4/no-process-stays",
        line: 91,
        requirement: "When the process has ended, none that it started still runs, and its port is closed.",
        reference: "pt-spec 3.4: it shuts down; tor starts another one a second later, which needs the port",
        check: run!(no_process),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/no-temporary-file-stays",
        line: 91,
        requirement: "When the process has ended, the folder for temporary files is as empty as it was.",
        reference: "pt-spec 3.2.1: MUST NOT create files outside TOR_PT_STATE_LOCATION",
        check: run!(no_temporary_file),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/state-does-not-pile-up",
        line: 91,
        level: Level::Should,
        limit: Duration::from_secs(60),
        requirement: "Every start with the same state directory leaves the same files there, and no sockets or pipes.",
        reference: "pt-spec 3.2.1: state that will be persisted across invocations",
        reading: "What a start adds that the one before did not is a leftover; tor may start a process thousands of times.",
        check: run!(no_pile),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/state-is-private",
        line: 91,
        level: Level::Should,
        requirement: "Files in the state directory are readable by their owner only.",
        reference: "pt-spec 3.2.1, TOR_PT_STATE_LOCATION, says nothing of modes; tor and goptlib keep theirs private",
        reading: "Files hold keys or tell who uses this machine for what; group and others get no bit.",
        check: run!(private),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/state-is-replaced-whole",
        line: 91,
        level: Level::Should,
        limit: Duration::from_secs(60),
        requirement: "A state file is never truncated to be written again: it is written under another name and renamed.",
        reference: "pt-spec 3.2.1, TOR_PT_STATE_LOCATION, says nothing of it; 3.4: the parent may kill at any time",
        reading: "A process killed in between would lose what it keeps, a bridge its identity. Logs (`*.log`) may be truncated.",
        check: run!(atomic),
        ..Case::BASE
    },
];

async fn no_process(bench: &Bench) -> Verdict {
    for (role, launch) in sides(bench) {
        let marker = launch
            .get(MARKER)
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut ready = launch.ready().await?;
        serves(role, &mut ready, "when it has started").await?;
        let port = door(&ready.pt, &ready.method)?;
        ready.pt.close_stdin();
        // That its pipes are closed is waited for as well.
        ends(&mut ready.pt, &format!("{role:?}: after the end of stdin")).await?;
        let still = leftovers::sweep(&marker, bench.scratch(), &[]).await;
        ensure!(
            still.is_empty(),
            "{role:?}: it has ended, and these run on: {still:?}"
        );
        ensure!(
            dial(port).await.is_err(),
            "{role:?}: it has ended, and {port} takes connections"
        );
    }
    Ok(())
}

async fn no_temporary_file(bench: &Bench) -> Verdict {
    for (role, launch) in sides(bench) {
        let mut ready = launch.ready().await?;
        serves(role, &mut ready, "when it has started").await?;
        ready.pt.close_stdin();
        ends(&mut ready.pt, &format!("{role:?}: after the end of stdin")).await?;
        let left = names(&bench.scratch().join("tmp"))?;
        ensure!(left.is_empty(), "{role:?}: left in TMPDIR: {left:?}");
    }
    Ok(())
}

async fn no_pile(bench: &Bench) -> Verdict {
    for side in 0..sides(bench).len() {
        let state = bench.fresh_path("kept");
        let mut left = Vec::new();
        // The second start may write what the first had no reason to.
        for _ in 0..3 {
            run_in(bench, side, &state).await?;
            left.push(names(&state)?);
        }
        let new: Vec<_> = left[2].difference(&left[1]).collect();
        ensure!(
            new.is_empty(),
            "the third start leaves {new:?} beside {:?}",
            left[1]
        );
        for (path, metadata) in below(&state)? {
            ensure!(
                metadata.is_file() || metadata.is_dir(),
                "{} is no file",
                path.display()
            );
        }
    }
    Ok(())
}

async fn private(bench: &Bench) -> Verdict {
    let mut kept = 0;
    for side in 0..sides(bench).len() {
        let state = bench.fresh_path("kept");
        run_in(bench, side, &state).await?;
        for (path, metadata) in below(&state)? {
            let mode = metadata.permissions().mode() & 0o777;
            if metadata.is_file() {
                ensure!(mode & 0o077 == 0, "{} has mode {mode:03o}", path.display());
                kept += 1;
            }
        }
    }
    if kept == 0 {
        return Err(Failure::NotApplicable("it keeps no files".to_owned()));
    }
    Ok(())
}

async fn atomic(bench: &Bench) -> Verdict {
    Faults::prepare().await?;
    let mut kept = 0;
    let mut in_place = BTreeMap::new();
    for side in 0..sides(bench).len() {
        let state = bench.fresh_path("kept");
        for _ in 0..2 {
            let (_, launch) = sides(bench).swap_remove(side);
            let (trace, launch) = Trace::around(bench, launch.state(&state), "open,openat,creat")?;
            let calls = trace.calls(launch.ready().await?.pt).await?;
            for (path, metadata) in below(&state)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if metadata.is_file() && metadata.len() > 0 && !name.ends_with(".log") {
                    kept += 1;
                    if let Some(call) = truncating(&name, &calls) {
                        in_place.insert(name.into_owned(), call.clone());
                    }
                }
            }
        }
    }
    ensure!(in_place.is_empty(), "written in place: {in_place:?}");
    if kept == 0 {
        return Err(Failure::NotApplicable("it keeps no files".to_owned()));
    }
    Ok(())
}

/// A call that empties the file of this name.
fn truncating<'a>(name: &str, calls: &'a [String]) -> Option<&'a String> {
    // Relative to a directory's descriptor, or absolute.
    let ends = [format!("\"{name}\""), format!("/{name}\"")];
    calls.iter().find(|call| {
        (call.starts_with("creat(") || call.contains("O_TRUNC"))
            && !call.contains("= -1 ")
            && ends.iter().any(|end| call.contains(end))
    })
}

/// Starts and stops one side of the subject with this state directory.
async fn run_in(bench: &Bench, side: usize, state: &Path) -> Verdict {
    let (role, launch) = sides(bench).swap_remove(side);
    let mut ready = launch.state(state).ready().await?;
    ready.pt.close_stdin();
    ends(&mut ready.pt, &format!("{role:?}: after the end of stdin"))
        .await
        .map(drop)
}

fn names(folder: &Path) -> Verdict<BTreeSet<String>> {
    let shown = |path: PathBuf| {
        path.strip_prefix(folder)
            .map(|path| path.display().to_string())
    };
    Ok(below(folder)?
        .into_iter()
        .filter_map(|(path, _)| shown(path).ok())
        .collect())
}

/// Everything below a folder, which need not exist.
fn below(folder: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            let metadata = path.symlink_metadata()?;
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            found.push((path, metadata));
        }
    }
    Ok(found)
}
