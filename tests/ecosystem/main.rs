//! Every module of a folder, in every role that it exports, run by the executable itself.
//!
//! In: a folder of `.wasm` files. Out: a table on stdout, progress on stderr, and an exit status: 1 if a module failed that
//! should work. Without arguments it is a test: the look-alikes of the modules in the field, from this repository, each
//! with the verdict that it must get. `docs/design/roles.md` says what the table means.

#![expect(
    clippy::disallowed_methods,
    reason = "it is a program of its own, which prints a table and stands at both ends of a connection"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

mod lookalikes;
mod module;
mod pattern;
mod process;
mod report;
mod scene;
mod trials;

use module::{Module, Role};
use pattern::Shape;
use report::{Tried, Verdict};
use scene::{Absence, Scene};

/// Modules that are tried at the same time.
const TOGETHER: usize = 2;

/// The longest transfer, in MiB.
const MOST: usize = 64;

struct Options {
    modules: PathBuf,
    json: Option<PathBuf>,
    most: usize,
}

fn main() -> ExitCode {
    let done = options().and_then(|options| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        match options {
            Some(options) => runtime.block_on(folder(&options)),
            None => runtime.block_on(lookalikes::judge()),
        }
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ecosystem: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `--modules DIR [--json FILE] [--size MIB]`; nothing of it, and this is the test.
fn options() -> anyhow::Result<Option<Options>> {
    let (mut modules, mut json, mut most) = (None, None, MOST);
    let mut args = std::env::args_os().skip(1);
    while let Some(flag) = args.next() {
        let mut value = || {
            args.next()
                .with_context(|| format!("{} needs a value", flag.display()))
        };
        match flag.to_str() {
            Some("--modules") => modules = Some(PathBuf::from(value()?)),
            Some("--json") => json = Some(PathBuf::from(value()?)),
            Some("--size") => {
                let text = value()?;
                let size = text
                    .to_str()
                    .and_then(|text| text.parse().ok())
                    .filter(|&size| size > 0);
                most = size.context("--size wants a number of MiB")?;
            }
            // The words of the test harness that this is run beside.
            _ if modules.is_none() => {}
            _ => bail!("{} is none of --modules, --json, --size", flag.display()),
        }
    }
    Ok(modules.map(|modules| Options {
        modules,
        json,
        most,
    }))
}

/// Tries a folder, prints the table; whether nothing failed.
async fn folder(options: &Options) -> anyhow::Result<bool> {
    let modules = module::in_folder(&options.modules)?;
    if modules.is_empty() {
        bail!("there is no .wasm file below {}", options.modules.display());
    }
    let all = try_all(modules, options.most).await?;
    let mut out = std::io::stdout().lock();
    out.write_all(report::table(&all).as_bytes())?;
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report::json(&all))?;
        std::fs::write(file, text)
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    let roles = all.iter().flat_map(|tried| &tried.roles);
    let failures = roles.filter(|(_, verdict)| verdict.is_failure()).count();
    writeln!(
        out,
        "\n{} modules; {failures} roles failed that should work, or work that are known to fail",
        all.len()
    )?;
    Ok(failures == 0)
}

/// Tries some at a time; in their order.
async fn try_all(modules: Vec<Module>, most: usize) -> anyhow::Result<Vec<Tried>> {
    let state: Arc<TempDir> = Arc::new(tempfile::tempdir().context("no temporary folder")?);
    let turns = Arc::new(Semaphore::new(TOGETHER));
    let mut trying = JoinSet::new();
    for (n, module) in modules.into_iter().enumerate() {
        let (state, turns) = (Arc::clone(&state), Arc::clone(&turns));
        trying.spawn(async move {
            let _turn = turns.acquire().await;
            (n, try_one(module, state.path(), most).await)
        });
    }
    let mut all = Vec::new();
    while let Some(tried) = trying.join_next().await {
        all.push(tried?);
    }
    all.sort_by_key(|&(n, _)| n);
    Ok(all.into_iter().map(|(_, tried)| tried).collect())
}

async fn try_one(module: Module, state: &Path, most: usize) -> Tried {
    let mut roles = Vec::new();
    for role in Role::ALL {
        let verdict = try_role(&module, role, state, most).await;
        let verdict = verdict.naming(&module.file);
        let verdict = match (verdict, module.beside.known.get(&role.to_string())) {
            (Verdict::Failed(why), Some(known)) => Verdict::Known(format!("{known} ({why})")),
            (verdict, Some(known)) => Verdict::Stale(format!(
                "known to fail ({known}), and does not any more: {}; take it out of known",
                verdict.cell()
            )),
            (verdict, _) => verdict,
        };
        if !matches!(verdict, Verdict::NotExported) {
            eprintln!("{} as {role}: {}", module.name, verdict.told());
        }
        roles.push((role, verdict));
    }
    Tried { module, roles }
}

async fn try_role(module: &Module, role: Role, state: &Path, most: usize) -> Verdict {
    if !module.speaks_watm() {
        // Which role makes no difference.
        return match scene::refusal(module, state).await {
            _ if role != Role::Dialer => Verdict::NotExported,
            Ok(Absence::Refused(said)) => Verdict::Refused(said),
            Ok(_) => Verdict::Failed("it is run, though it speaks no WATM".to_owned()),
            Err(error) => Verdict::Failed(format!("{error:#}")),
        };
    }
    if !module.exports(role) {
        return Verdict::NotExported;
    }
    let scene = match Scene::of(module, role, state).await {
        Ok(scene) => scene,
        Err(Absence::NotWritten) => return Verdict::NotWritten,
        Err(Absence::NeedsPeer) => return Verdict::NeedsPeer,
        Err(Absence::Refused(why) | Absence::Failed(why)) => return Verdict::Failed(why),
    };
    let how = match (&scene.with, scene.up, scene.down) {
        (Some(other), ..) => format!("with {other}"),
        (None, Shape::Same, Shape::Same) => "as is".to_owned(),
        (None, Shape::Reversed, Shape::Reversed) => "reversed".to_owned(),
        (None, Shape::Reversed, Shape::Same) => "reversed up".to_owned(),
        (None, Shape::Same, Shape::Reversed) => "reversed down".to_owned(),
    };
    match trials::run(&scene, most).await {
        Ok(figures) => Verdict::Works { how, figures },
        Err(error) => Verdict::Failed(format!("{how}: {error:#}")),
    }
}
