//! `ouzel inspect`: everything that a module's file tells, without running it.
//!
//! In: a file from anybody. Out: what it is, what it asks for, and every reason why ouzel would refuse it, as text or as JSON. The
//! module's own words are printed as printable ASCII and not too many of them; what is damaged is told as far as it can be read.

mod anatomy;
mod capabilities;
mod json;
mod origin;
mod text;

pub(super) use anatomy::Anatomy;

use super::shown::ascii;
use super::verdict::{self, Depth, Verdict};
use crate::transport::artefacts::hex;
use crate::watm::{Dialect, Host, MAX_MODULE};
use anyhow::bail;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The arguments of `ouzel inspect`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The module (.wasm, or .cwasm made by `ouzel compile`)
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What is told about a file.
struct Report<'a> {
    path: &'a Path,
    size: usize,
    sha256: String,
    kind: Kind<'a>,
    verdict: Verdict,
}

/// What a file is.
enum Kind<'a> {
    Module(Box<Module<'a>>),
    Component,
    /// What `ouzel compile` makes: native code, of which only the roles are told.
    Artefact,
    Other,
}

struct Module<'a> {
    anatomy: Anatomy<'a>,
    dialect: Dialect,
    start: Option<&'static str>,
}

/// Tells what there is to tell; whether the file could be read to its end.
#[expect(
    clippy::disallowed_methods,
    reason = "no tor listens to a tool that a person runs"
)]
pub fn run(options: &Options) -> anyhow::Result<bool> {
    let path = &options.file;
    let bytes = match verdict::read(path) {
        Ok(bytes) => bytes,
        Err(fault) => bail!("{} {}", super::shown::file_name(path), fault.text),
    };
    let report = Report::of(&verdict::host()?, path, &bytes);
    let told = if options.json {
        format!("{}\n", ascii(&json::of(&report)))
    } else {
        text::of(&report)
    };
    // Whoever closes the pipe has read enough.
    let _ = std::io::stdout().write_all(told.as_bytes());
    Ok(report.is_whole())
}

impl<'a> Report<'a> {
    fn of(host: &Host, path: &'a Path, bytes: &'a [u8]) -> Report<'a> {
        let is_wasm = bytes.starts_with(b"\0asm") && bytes.len() <= MAX_MODULE;
        let (kind, verdict) = if is_wasm {
            let anatomy = Anatomy::of(bytes);
            let verdict = Verdict::of_module(host, bytes, &anatomy, Depth::Look);
            (Kind::of(anatomy), verdict)
        } else {
            let kind = if Host::is_artefact(bytes) {
                Kind::Artefact
            } else {
                Kind::Other
            };
            (kind, Verdict::of(host, path, bytes, Depth::Look))
        };
        Report {
            path,
            size: bytes.len(),
            sha256: hex(&Sha256::digest(bytes)),
            kind,
            verdict,
        }
    }

    fn is_whole(&self) -> bool {
        match &self.kind {
            Kind::Module(module) => module.anatomy.damage.is_none(),
            Kind::Component => true,
            Kind::Artefact => self.verdict.is_good(),
            Kind::Other => false,
        }
    }
}

impl<'a> Kind<'a> {
    fn of(anatomy: Anatomy<'a>) -> Kind<'a> {
        if anatomy.component {
            return Kind::Component;
        }
        let outline = anatomy.outline();
        let (dialect, start) = (Dialect::of(&outline), outline.start());
        Kind::Module(Box::new(Module {
            anatomy,
            dialect,
            start,
        }))
    }

    /// What it is, in a few words.
    fn words(&self) -> String {
        match self {
            Kind::Module(module) => match module.dialect {
                Dialect::Watm(abi) => abi.to_string(),
                Dialect::FinalDraft => "the unreleased draft of a final WATM v1".to_owned(),
                Dialect::EarlyDraft => "a draft of WATM from before v0".to_owned(),
                Dialect::Preview => "water-rs' own preview of v1".to_owned(),
                Dialect::Unknown => "a WebAssembly module, but no WATM".to_owned(),
            },
            Kind::Component => "a WebAssembly component".to_owned(),
            Kind::Artefact => "a module, compiled by ouzel".to_owned(),
            Kind::Other => "no WebAssembly".to_owned(),
        }
    }
}
