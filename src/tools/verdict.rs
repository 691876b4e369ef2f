//! Whether a file can be used as a transport, and every reason why not.
//!
//! In: a file's bytes, and how far to go: looking, compiling, or starting an instance. Out: a [`Verdict`]. What a module exports
//! is what it says; only running it in a role would prove that it plays it.

use super::inspect::Anatomy;
use crate::error::{Failure, Severity};
use crate::log;
use crate::pt::args::{Args, encode_smethod};
use crate::transport::artefacts::{MAX_ARTEFACT, unsealed};
use crate::transport::registry::HANDSHAKE;
use crate::transport::setup::Answer;
use crate::transport::state::{read_named, read_trusted};
use crate::watm::{
    Abi, Dialect, Grants, Host, MAX_MODULE, ModuleError, Program, Role, Session, Settings,
};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Reasons that are given at most; a hostile module has as many as it wants.
pub(super) const MAX_FAULTS: usize = 32;

/// What can be said of a file.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) abi: Option<Abi>,
    /// The roles that it exports.
    pub(super) roles: Vec<Role>,
    /// Whether it exports ouzel's set-up.
    pub(super) setup: bool,
    /// Everything that stands against it.
    pub(super) faults: Vec<Fault>,
    /// The module, compiled, where there is one.
    pub(super) program: Option<Arc<Program>>,
}

/// One reason against a file.
#[derive(Debug)]
pub(super) struct Fault {
    /// A short, stable word for programs.
    pub(super) label: &'static str,
    /// A sentence that begins with what is wrong; the file's name stands before it.
    pub(super) text: String,
}

impl From<ModuleError> for Fault {
    fn from(error: ModuleError) -> Fault {
        Fault {
            label: error.label(),
            text: error.to_string(),
        }
    }
}

impl Fault {
    pub(super) fn json(&self) -> Value {
        json!({ "code": self.label, "text": self.text })
    }

    pub(super) fn unreadable(error: &io::Error) -> Fault {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "is the name right?",
            io::ErrorKind::IsADirectory => "name a file in it",
            io::ErrorKind::InvalidInput => "name the .wasm of a transport",
            io::ErrorKind::FileTooLarge => "name the .wasm of a transport",
            _ => "check its owner and mode",
        };
        Fault {
            label: "unreadable",
            text: format!("cannot be read ({error}); {remedy}"),
        }
    }
}

/// How a module's bytes are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// As valid wasm, with the imports and exports that it needs.
    Look,
    /// The same, and the compiler has to take it too.
    Compile,
}

/// Reads a file that somebody named; larger ones than any transport are refused unread.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    if path.is_dir() {
        return Err(Fault::unreadable(&io::ErrorKind::IsADirectory.into()));
    }
    read_named(path, MAX_ARTEFACT).map_err(|error| Fault::unreadable(&error))
}

impl Verdict {
    /// Of what cannot even be read.
    pub(super) fn refused(fault: Fault) -> Verdict {
        Verdict {
            faults: vec![fault],
            ..Verdict::default()
        }
    }

    /// Of a module or an artefact that was read from `path`.
    pub(super) fn of(host: &Host, path: &Path, bytes: &[u8], depth: Depth) -> Verdict {
        if Host::is_artefact(bytes) {
            return Verdict::of_artefact(host, path);
        }
        // What is too large is not worth looking into.
        if bytes.len() > MAX_MODULE || !bytes.starts_with(b"\0asm") {
            let refused = host.validate(bytes).err();
            return Verdict {
                faults: refused.into_iter().map(Fault::from).collect(),
                ..Verdict::default()
            };
        }
        Verdict::of_module(host, bytes, &Anatomy::of(bytes), depth)
    }

    /// Of a module whose anatomy is known.
    pub(super) fn of_module(
        host: &Host,
        wasm: &[u8],
        anatomy: &Anatomy<'_>,
        depth: Depth,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        let valid = host.validate(wasm);
        let cut_short = matches!(valid, Err(ModuleError::Invalid(_))) && anatomy.damage.is_some();
        verdict.faults.extend(valid.err().map(Fault::from));
        // In what is cut short, exports are not missing: they were not reached.
        if !anatomy.component && !cut_short {
            verdict.judge(host, anatomy);
        }
        if depth == Depth::Compile && verdict.faults.is_empty() {
            match host.compile(wasm).and_then(|artefact| host.load(&artefact)) {
                Ok(program) => verdict.program = Some(Arc::new(program)),
                Err(error) => verdict.faults.push(error.into()),
            }
        }
        verdict
    }

    fn judge(&mut self, host: &Host, anatomy: &Anatomy<'_>) {
        let outline = anatomy.outline();
        self.setup = outline.has_setup();
        if let Dialect::Watm(abi) = Dialect::of(&outline) {
            self.abi = Some(abi);
            self.roles = abi.roles(&outline);
        }
        let faults = host.faults(&outline, MAX_FAULTS);
        self.faults.extend(faults.into_iter().map(Fault::from));
        self.expect_a_role();
    }

    /// An artefact is native code: it is loaded only if nobody else could have written it, as it would be for a connection.
    fn of_artefact(host: &Host, path: &Path) -> Verdict {
        let file = match read_trusted(path, MAX_ARTEFACT) {
            Ok(file) => file,
            Err(error) => {
                return Verdict::refused(Fault::unreadable(&error));
            }
        };
        let mut verdict = Verdict::default();
        match unsealed(&file).and_then(|artefact| host.load(artefact)) {
            Ok(program) => {
                verdict.abi = Some(program.abi());
                verdict.roles = program.roles().to_vec();
                verdict.setup = program.has_set_up();
                verdict.program = Some(Arc::new(program));
                verdict.expect_a_role();
            }
            Err(error) => verdict.faults.push(error.into()),
        }
        verdict
    }

    fn expect_a_role(&mut self) {
        if let (Some(abi), true) = (self.abi, self.roles.is_empty()) {
            let roles = match abi {
                Abi::V0 { .. } => "_water_dial, _water_accept and _water_associate",
                Abi::V1 => "watm_dial_v1, watm_dial_fixed_v1, watm_accept_v1 and watm_associate_v1",
            };
            self.faults.push(ModuleError::NoRole(roles).into());
        }
    }

    /// Holds it against a role that somebody wants to use it in.
    pub(super) fn demand(&mut self, role: Role) {
        // What is no module at all plays no role either, and that was said.
        if let Some(Err(error)) = self.abi.map(|abi| abi.demand(&self.roles, role)) {
            self.faults.push(error.into());
        }
    }

    /// Makes an instance with this configuration and runs its initialisation, after its set-up if it has one; both begin
    /// without any state, as on a new machine.
    pub(super) async fn start(&mut self, conf: Option<Arc<[u8]>>, role: Role) -> bool {
        let Some(program) = &self.program else {
            return false;
        };
        let limited = tokio::time::timeout(HANDSHAKE, start(program, conf, role));
        let late = || Err(Failure::HandshakeTimeout(HANDSHAKE.as_secs()).to_string());
        match limited.await.unwrap_or_else(|_| late()) {
            Ok(()) => true,
            Err(why) => {
                self.faults.push(Fault {
                    label: "start",
                    text: format!("does not start as a {}: {why}", role.word()),
                });
                false
            }
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

async fn start(program: &Arc<Program>, conf: Option<Arc<[u8]>>, role: Role) -> Result<(), String> {
    let mut grants = Grants::from(conf);
    let set_up = Session::set_up(program, grants.clone(), role).await;
    if let Some(done) = set_up.map_err(|failure| format!("its set-up failed: {failure}"))? {
        let answer =
            Answer::parse(&done.answer).map_err(|why| format!("its set-up's answer {why}"))?;
        if role == Role::Listener {
            let mut args = Args::new();
            for (key, value) in answer.args {
                args.push(key, value);
            }
            encode_smethod(&args)
                .map_err(|error| format!("what its set-up announces cannot be: {error}"))?;
        }
        grants.wire = answer.wire;
        grants.state = Some(Arc::new(done.state));
    }
    let session = Session::new(program, grants).await;
    session.map(drop).map_err(|failure| failure.to_string())
}

/// The word for an ABI that programs read.
pub(super) fn abi_word(abi: Abi) -> &'static str {
    match abi {
        Abi::V0 { .. } => "v0",
        Abi::V1 => "v1",
    }
}

/// The word for a role that programs read, and that `--role` takes.
pub(super) fn role_word(role: Role) -> String {
    role.word().replace(' ', "-")
}

/// A host for looking at modules; it runs one instance at a time.
pub(super) fn host() -> anyhow::Result<Host> {
    log::init(
        Severity::Warning,
        false,
        vec![Box::new(|_, text| {
            let _ = writeln!(io::stderr(), "ouzel: {text}");
        })],
    );
    Ok(Host::new(Settings::for_slots(1))?)
}
