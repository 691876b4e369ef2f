//! `ouzel compile`: a module, compiled ahead of time.
//!
//! In: a `.wasm`. Out: a `.cwasm` for builds without a compiler and systems that forbid one. It is native
//! code for this version of ouzel on this kind of machine; whoever loads it checks both.

use crate::error::Severity;
use crate::log;
use crate::transport::artefacts::sealed;
use crate::transport::state::{read_named, write_named};
use crate::watm::{Host, MAX_MODULE, Settings};
use anyhow::{Context, bail};
use std::io::Write;
use std::path::PathBuf;

/// The arguments of `ouzel compile`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The module
    file: PathBuf,
    /// Where to write the result [default: the module's name with .cwasm]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// For systems that forbid making code at run time (W^X): for the interpreter, not the processor
    #[arg(long)]
    interpreter: bool,
}

/// Compiles, and says where the result is.
#[expect(
    clippy::disallowed_methods,
    reason = "no tor listens to a tool that a person runs"
)]
pub fn run(options: &Options) -> anyhow::Result<()> {
    log::init(
        Severity::Warning,
        false,
        vec![Box::new(|_, text| {
            let _ = writeln!(std::io::stderr(), "ouzel: {text}");
        })],
    );
    let file = options.file.display();
    let wasm =
        read_named(&options.file, MAX_MODULE).with_context(|| format!("{file} cannot be read"))?;
    if Host::is_artefact(&wasm) {
        bail!("{file} is compiled already");
    }
    let host = Host::new(Settings {
        interpret: options.interpreter,
        ..Settings::for_slots(1)
    })?;
    let artefact = host
        .compile(&wasm)
        .map_err(|error| anyhow::anyhow!("{file} {error}"))?;
    // What cannot be used later is better refused now.
    host.load(&artefact)
        .map_err(|error| anyhow::anyhow!("{file} {error}"))?;
    let output = options
        .output
        .clone()
        .unwrap_or_else(|| options.file.with_extension("cwasm"));
    let input = std::fs::canonicalize(&options.file)?;
    if std::fs::canonicalize(&output).is_ok_and(|output| output == input) {
        bail!("the result would replace the module; name another file with --output");
    }
    let sealed = sealed(artefact);
    write_named(&output, &sealed)
        .with_context(|| format!("{} cannot be written", output.display()))?;
    let output = std::fs::canonicalize(&output)?;
    let _ = writeln!(
        std::io::stdout(),
        "{} ({} KiB): use it in torrc as  --module NAME={}",
        output.display(),
        sealed.len() >> 10,
        output.display()
    );
    Ok(())
}
