//! `ouzel compile`: a module, compiled ahead of time.
//!
//! In: a `.wasm`. Out: a `.cwasm` for builds without a compiler and systems that forbid one. It is native
//! code for this version of ouzel on this kind of machine; whoever loads it checks both.

use crate::error::Severity;
use crate::log;
use crate::platform;
use crate::transport::artefacts::sealed;
use crate::transport::state::{read_named, write_named};
use crate::watm::{Host, MAX_MODULE, Settings};
use anyhow::{Context, bail};
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// The arguments of `ouzel compile`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The module; - is standard input
    file: PathBuf,
    /// Where to write the result; - is standard output [default: the module's name with .cwasm]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// For systems that forbid making code at run time (W^X): for the interpreter, not the processor
    #[arg(long)]
    interpreter: bool,
    /// The process that waits for the result: this one ends with it
    #[arg(long, hide = true, value_name = "PID")]
    parent: Option<u32>,
}

/// Standard input, and standard output.
const PIPE: &str = "-";

fn read_piped() -> io::Result<Vec<u8>> {
    let mut wasm = Vec::new();
    let most = MAX_MODULE as u64 + 1;
    io::stdin().take(most).read_to_end(&mut wasm)?;
    Ok(wasm)
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
    let is_piped = options.file.as_os_str() == PIPE;
    // Asked for before this program began; but the kernel forgets where the file of an executable has capabilities.
    if options
        .parent
        .is_some_and(|parent| !platform::end_with_parent(parent))
    {
        bail!("the process that wants the result has ended");
    }
    let wasm = if is_piped {
        read_piped()
    } else {
        read_named(&options.file, MAX_MODULE)
    };
    let wasm = wasm.with_context(|| format!("{file} cannot be read"))?;
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
    let sealed = sealed(artefact);
    let output = match &options.output {
        Some(output) if output.as_os_str() == PIPE => {
            std::io::stdout().write_all(&sealed)?;
            return Ok(());
        }
        Some(output) => output.clone(),
        None if is_piped => {
            bail!("a module on standard input has no name; name the result with --output")
        }
        None => options.file.with_extension("cwasm"),
    };
    let input = std::fs::canonicalize(&options.file);
    if input.is_ok_and(|input| std::fs::canonicalize(&output).is_ok_and(|output| output == input)) {
        bail!("the result would replace the module; name another file with --output");
    }
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
