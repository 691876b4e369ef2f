//! What an operator grants a transport beyond what every one has.
//!
//! In: its settings. Out: limits and [`Grants`] for its instances, and one line in the log if they are more than the
//! default. What can go wrong is a folder that cannot be copied.

use super::folders::Copies;
use crate::config::settings::Settings;
use crate::watm::{Grants, Limits};

/// What each instance may use.
pub(super) fn limits(settings: &Settings) -> Limits {
    let default = Limits::default();
    let Settings { limits, .. } = settings;
    Limits {
        memory: limits.memory.map_or(default.memory, |size| size.0),
        table: limits.table.map_or(default.table, |most| most.get()),
    }
}

/// What each instance gets besides its configuration, told in one line if it is anything.
pub(super) fn grants(name: &str, settings: &Settings, limits: Limits) -> Result<Grants, String> {
    let mut copies = Copies::default();
    for (guest, host) in &settings.folders {
        copies.add(&guest.0, host)?;
    }
    let (folders, files, bytes) = copies.done();
    let (argv, env) = (&settings.argv.0, &settings.env.0);
    let default = Limits::default();
    let mut given = Vec::new();
    let mut tell = |is: bool, what: String| {
        if is {
            given.push(what);
        }
    };
    tell(
        !settings.allow.is_empty(),
        format!("rules of where to go: {}", settings.allow.len()),
    );
    tell(
        !argv.is_empty(),
        format!("words of a command line: {}", argv.len()),
    );
    tell(
        !env.is_empty(),
        format!("environment variables: {}", env.len()),
    );
    let kib = bytes.div_ceil(1 << 10);
    tell(
        !folders.is_empty(),
        format!(
            "copied folders: {} (files: {files}, {kib} KiB)",
            folders.len()
        ),
    );
    tell(
        limits.memory > default.memory,
        format!("memory: {} MiB", limits.memory >> 20),
    );
    tell(
        limits.table > default.table,
        format!("table elements: {}", limits.table),
    );
    let roots = &settings.state_root;
    tell(
        !roots.is_empty(),
        format!("files in the state directory itself: {}", roots.len()),
    );
    if !given.is_empty() {
        tracing::info!("{name} is granted more than others; {}", given.join(", "));
    }
    let env = env
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    Ok(Grants {
        conf: None,
        argv: argv.as_slice().into(),
        env: env.collect(),
        folders: folders.into(),
        ..Grants::default()
    })
}
