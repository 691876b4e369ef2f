//! `ouzel validate`: whether files can be used as transports.
//!
//! In: files. Out: a verdict each, as a line or as JSON, and an exit status for scripts. A good verdict means that ouzel would
//! load the module; that it plays the roles it exports is its own word, unless it is run.

use super::shown::{ascii, file_name};
use super::verdict::{self, Depth, Fault, Verdict, abi_word, role_word};
use crate::transport::conf::{Conf, MAX_CONF};
use crate::transport::state::read_named;
use crate::watm::{Host, Role};
use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The arguments of `ouzel validate`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The modules (.wasm, or .cwasm made by `ouzel compile`)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Demand that they export this role: dialer, fixed-dialer, listener or relay; again for more
    #[arg(long = "role", value_name = "ROLE", value_parser = role)]
    roles: Vec<Role>,
    /// Make an instance of each and run its initialisation too (and its set-up, if it has one), in every --role, or else in
    /// every role that it exports
    #[arg(long)]
    run: bool,
    /// The configuration for --run (a JSON object, or whatever the modules read)
    #[arg(long, value_name = "FILE", requires = "run")]
    config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn role(text: &str) -> Result<Role, String> {
    let mut roles = Role::ALL.into_iter();
    roles
        .find(|role| role_word(*role) == text)
        .ok_or_else(|| "expected dialer, fixed-dialer, listener or relay".to_owned())
}

/// What was found out about one file.
struct Judged<'a> {
    path: &'a Path,
    sha256: Option<String>,
    verdict: Verdict,
    /// Whether it starts, where that was asked for.
    starts: Option<bool>,
}

/// Judges every file; whether all of them are good.
#[expect(
    clippy::disallowed_methods,
    reason = "no tor listens to a tool that a person runs"
)]
pub async fn run(options: &Options) -> anyhow::Result<bool> {
    let config = conf(options.config.as_deref())?;
    let host = verdict::host()?;
    let mut out = std::io::stdout().lock();
    let (mut all_good, mut list) = (true, Vec::new());
    for path in &options.files {
        let judged = judge(&host, path, options, &config).await;
        all_good &= judged.verdict.is_good();
        if options.json {
            list.push(judged.json());
        } else if writeln!(out, "{}", judged.line()).is_err() {
            // Nobody reads on; the exit status still counts.
            continue;
        }
    }
    if options.json {
        let all = json!({ "ok": all_good, "files": list });
        let _ = writeln!(out, "{}", ascii(&all));
    }
    Ok(all_good)
}

async fn judge<'a>(
    host: &Host,
    path: &'a Path,
    options: &Options,
    config: &Option<Arc<[u8]>>,
) -> Judged<'a> {
    let (sha256, mut verdict) = match verdict::read(path) {
        Ok(bytes) => (
            Some(crate::transport::artefacts::hex(&Sha256::digest(&bytes))),
            Verdict::of(host, path, &bytes, Depth::Compile),
        ),
        Err(fault) => (None, Verdict::refused(fault)),
    };
    for role in &options.roles {
        verdict.demand(*role);
    }
    let roles = match &*options.roles {
        [] => verdict.roles.clone(),
        demanded => demanded.to_vec(),
    };
    let mut starts = None;
    if options.run && verdict.is_good() {
        for role in roles {
            starts = Some(verdict.start(config.clone(), role).await);
            if starts == Some(false) {
                break;
            }
        }
    }
    Judged {
        path,
        sha256,
        verdict,
        starts,
    }
}

fn conf(file: Option<&Path>) -> anyhow::Result<Option<Arc<[u8]>>> {
    let Some(path) = file else {
        return Ok(None);
    };
    let shown = path.display();
    let file = read_named(path, MAX_CONF)
        .with_context(|| format!("{shown} cannot be read; check the path after --config"))?;
    let conf = Conf::new(Some(&file)).map_err(|error| anyhow!("{shown}: {error}"))?;
    Ok(conf.file(std::iter::empty())?)
}

impl Judged<'_> {
    /// One line for a person.
    fn line(&self) -> String {
        let file = file_name(self.path);
        let verdict = &self.verdict;
        if let Some(Fault { text, .. }) = verdict.faults.first() {
            let more = match verdict.faults.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more: ouzel inspect {file})"),
            };
            return format!("{file} {text}{more}");
        }
        let abi = verdict.abi.map(|abi| abi.to_string()).unwrap_or_default();
        let roles: Vec<&str> = verdict.roles.iter().map(|role| role.word()).collect();
        let setup = if verdict.setup { "; has a set-up" } else { "" };
        let starts = if self.starts == Some(true) {
            "; starts"
        } else {
            ""
        };
        format!(
            "{file}: OK, {abi}; {} (exported, not proven){setup}{starts}",
            roles.join(", ")
        )
    }

    /// The same for a program.
    fn json(&self) -> Value {
        let verdict = &self.verdict;
        let faults: Vec<Value> = verdict.faults.iter().map(Fault::json).collect();
        let roles: Vec<String> = verdict.roles.iter().map(|role| role_word(*role)).collect();
        json!({
            "file": self.path.to_string_lossy(),
            "ok": verdict.is_good(),
            "sha256": self.sha256,
            "abi": verdict.abi.map(abi_word),
            "exported_roles": roles,
            "setup": verdict.setup,
            "starts": self.starts,
            "faults": faults,
        })
    }
}
