//! What a module asks for, read from its imports.
//!
//! In: imports. Out: one line for each thing that a person might mind, with who decides about it. An import is only the
//! wish: what a module may do is the same for all of them.

use crate::watm::Import;
use std::collections::HashSet;

const MOST_NAMES: usize = 64;

const PREVIEW1: &str = "wasi_snapshot_preview1";

/// Whether a module gets what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// Every module does.
    Always,
    /// If whoever runs it says so.
    Configured,
    /// It is there, and answers no.
    Never,
}

impl Given {
    /// The word for programs.
    pub(super) fn word(self) -> &'static str {
        match self {
            Given::Always => "always",
            Given::Configured => "configured",
            Given::Never => "never",
        }
    }
}

/// One thing that modules ask for.
#[derive(Debug)]
pub(super) struct Capability {
    /// A short, stable word for programs.
    pub(super) label: &'static str,
    /// The same for a person.
    pub(super) text: &'static str,
    pub(super) given: Given,
    /// The imports that ask for it: whose, and the names (of which a `*` at the end stands for any rest).
    module: &'static str,
    names: &'static [&'static str],
}

const fn of_host(
    label: &'static str,
    text: &'static str,
    given: Given,
    names: &'static [&'static str],
) -> Capability {
    Capability {
        label,
        text,
        given,
        module: "env",
        names,
    }
}

const fn of_wasi(
    label: &'static str,
    text: &'static str,
    given: Given,
    names: &'static [&'static str],
) -> Capability {
    Capability {
        module: PREVIEW1,
        ..of_host(label, text, given, names)
    }
}

/// Everything that there is to ask for, each import in one of them.
const ALL: [Capability; 16] = [
    of_host(
        "accept",
        "takes the connection that the host accepted",
        Given::Always,
        &["water_accept", "host_accept"],
    ),
    of_host(
        "dial",
        "dials the address that the host gives",
        Given::Always,
        &["water_dial_fixed", "host_dial"],
    ),
    of_host(
        "dial-own-choice",
        "dials addresses of its own choice: none, unless --allow lets it",
        Given::Configured,
        &["water_dial"],
    ),
    of_host(
        "configuration",
        "reads its configuration (pull_config)",
        Given::Configured,
        &["pull_config"],
    ),
    of_wasi(
        "files",
        "opens files to read: its configuration in /conf, and what else it is given",
        Given::Configured,
        &[
            "path_open",
            "fd_prestat_get",
            "fd_prestat_dir_name",
            "fd_readdir",
            "path_filestat_get",
            "path_readlink",
        ],
    ),
    of_wasi(
        "change-own-files",
        "changes its transport's own files, in its set-up run",
        Given::Always,
        &["fd_filestat_set_size", "path_rename", "path_unlink_file"],
    ),
    of_wasi(
        "change-files",
        "makes, changes or removes files",
        Given::Never,
        &[
            "path_create_directory",
            "path_filestat_set_times",
            "path_link",
            "path_remove_directory",
            "path_symlink",
            "fd_allocate",
            "fd_filestat_set_times",
            "fd_pwrite",
        ],
    ),
    of_wasi(
        "read",
        "reads from its connections and what it opened",
        Given::Always,
        &["fd_read", "fd_pread", "sock_recv"],
    ),
    of_wasi(
        "write",
        "writes to its connections; what it prints goes to the log at most",
        Given::Always,
        &["fd_write", "sock_send"],
    ),
    of_wasi(
        "wait",
        "waits for its connections and for time to pass",
        Given::Always,
        &["poll_oneoff", "sched_yield"],
    ),
    of_wasi(
        "half-close",
        "ends one direction of a connection",
        Given::Always,
        &["sock_shutdown"],
    ),
    of_wasi(
        "clock",
        "asks for the time",
        Given::Always,
        &["clock_time_get", "clock_res_get"],
    ),
    of_wasi(
        "randomness",
        "asks for random bytes",
        Given::Always,
        &["random_get"],
    ),
    of_wasi(
        "environment",
        "asks for a command line or an environment: empty, unless it is given one",
        Given::Configured,
        &[
            "args_get",
            "args_sizes_get",
            "environ_get",
            "environ_sizes_get",
        ],
    ),
    of_wasi(
        "listen",
        "takes connections from a socket of its own",
        Given::Never,
        &["sock_accept"],
    ),
    of_wasi(
        "descriptors",
        "looks after its descriptors and its own end",
        Given::Always,
        &["fd_*", "proc_exit", "proc_raise"],
    ),
];

impl Capability {
    fn covers(&self, import: &Import<'_>) -> bool {
        let named = |name: &&'static str| match name.strip_suffix('*') {
            Some(start) => import.name.starts_with(start),
            None => import.name == *name,
        };
        self.module == import.module && self.names.iter().any(named)
    }
}

/// What is asked for, each with the names of the imports that do.
pub(super) fn asked_for<'a>(imports: &[Import<'a>]) -> Vec<(&'static Capability, Vec<&'a str>)> {
    let mut found: Vec<(&'static Capability, Vec<&'a str>)> = Vec::new();
    let mut seen = HashSet::new();
    for import in imports {
        if !seen.insert((import.module, import.name)) {
            continue;
        }
        // The first that covers it: the last one takes the rest.
        let Some(capability) = ALL.iter().find(|capability| capability.covers(import)) else {
            continue;
        };
        match found
            .iter_mut()
            .find(|(known, _)| known.label == capability.label)
        {
            // No module of good will has more names than preview1.
            Some((_, names)) if names.len() == MOST_NAMES => {}
            Some((_, names)) => names.push(import.name),
            None => found.push((capability, vec![import.name])),
        }
    }
    found.sort_by_key(|(known, _)| ALL.iter().position(|one| one.label == known.label));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watm::Item;

    fn import<'a>(module: &'a str, name: &'a str) -> Import<'a> {
        Import {
            module,
            name,
            item: Item::Func("() -> (i32)".into()),
        }
    }

    #[test]
    fn a_wish_is_told_once_with_all_that_asks_for_it() {
        let imports = [
            import(PREVIEW1, "fd_close"),
            import("env", "water_dial"),
            import(PREVIEW1, "fd_read"),
            import(PREVIEW1, "fd_fdstat_get"),
            import("elsewhere", "fd_read"),
        ];
        let asked: Vec<_> = asked_for(&imports)
            .into_iter()
            .map(|(what, names)| (what.label, names))
            .collect();
        assert_eq!(
            asked,
            [
                ("dial-own-choice", vec!["water_dial"]),
                ("read", vec!["fd_read"]),
                ("descriptors", vec!["fd_close", "fd_fdstat_get"]),
            ]
        );
    }
}
