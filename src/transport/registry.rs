//! From a transport's name to its module.

use super::artefacts::{Artefacts, MAX_ARTEFACT, unsealed};
use super::conf::{Conf, MAX_CONF};
use super::state::{State, read_named, read_trusted};
use crate::config::Config;
use crate::error::Severity;
use crate::say;
use crate::watm::{Grants, Host, MAX_MODULE, ModuleError, Program, Role, Settings};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

include!(concat!(env!("OUT_DIR"), "/builtins.rs"));

/// How long a transport's handshake may take: a few round trips over the slowest path that is of use.
pub const HANDSHAKE: Duration = Duration::from_secs(30);

/// A transport that is ready to use.
pub struct Transport {
    /// Its name.
    pub name: String,
    /// Its module.
    pub program: Arc<Program>,
    /// The operator's configuration of it.
    pub conf: Conf,
    /// What its instances are given besides: nothing, unless the operator says otherwise.
    pub grants: Grants,
    /// The deadline of its handshake.
    pub handshake: Duration,
    /// When its failed connections are closed, if its module says so.
    pub quiet_close: Option<Duration>,
    /// What its module tells a server's clients.
    pub announced: Vec<(String, String)>,
    /// The state directory.
    pub state: State,
    /// Its files that lie in the root of that.
    pub state_root: Vec<String>,
}

/// All transports that this process knows by name.
pub struct Registry {
    host: Result<Host, String>,
    slots: usize,
    state: State,
    artefacts: Artefacts,
    modules: Vec<(String, PathBuf)>,
    configs: Vec<(String, PathBuf)>,
}

impl Registry {
    /// Starts the wasm side, for so many connections at a time. Where it does not start, every transport
    /// says so.
    pub fn new(config: &Config, slots: usize, state: &State) -> Registry {
        let host = Host::new(Settings::for_slots(slots));
        for note in host.iter().flat_map(Host::notes) {
            tracing::warn!("{note}");
        }
        let registry = Registry {
            slots: host.as_ref().map_or(slots, Host::slots),
            host: host.map_err(|failure| failure.to_string()),
            artefacts: Artefacts::open(state),
            state: state.clone(),
            modules: config.modules.clone(),
            configs: config.configs.clone(),
        };
        for (name, path) in &registry.configs {
            if !registry.knows(name) {
                tracing::warn!(
                    "there is no transport {name} for --config {name}={}; is the name right?",
                    path.display()
                );
            }
        }
        registry
    }

    /// The most connections at a time.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Whether a transport of that name exists, in whatever state.
    pub fn knows(&self, name: &str) -> bool {
        self.modules.iter().any(|(known, _)| known == name)
            || BUILTINS.iter().any(|&(known, _)| known == name)
    }

    /// Says which of the transports that were asked for do not exist here: no news where others do, since tor
    /// may ask several programs, but a user's trouble where none is left.
    pub fn tell_unknown<'a>(&self, unknown: impl Iterator<Item = &'a str>, asked: usize) {
        let unknown: Vec<&str> = unknown.collect();
        for name in &unknown {
            let severity = if unknown.len() == asked {
                Severity::Warning
            } else {
                Severity::Notice
            };
            say!(
                severity,
                "there is no transport {name} here; it is left to others (add one with --module {name}=FILE)"
            );
        }
    }

    /// Makes a transport ready for a role. The error is one sentence that names the file.
    ///
    /// It may compile, which takes a large module seconds, on a thread for such work.
    pub async fn load(self: &Arc<Self>, name: &str, role: Role) -> Result<Transport, String> {
        let (registry, name) = (Arc::clone(self), name.to_owned());
        let loaded = tokio::task::spawn_blocking(move || registry.load_now(&name, role)).await;
        loaded.unwrap_or_else(|_| Err("its module could not be compiled".to_owned()))
    }

    fn load_now(&self, name: &str, role: Role) -> Result<Transport, String> {
        let host = self.host.as_ref().map_err(Clone::clone)?;
        let (program, what) = match self.modules.iter().find(|(known, _)| known == name) {
            Some((_, path)) => (self.load_file(host, path)?, path.display().to_string()),
            None => {
                let (_, wasm) = BUILTINS
                    .iter()
                    .find(|&&(known, _)| known == name)
                    .ok_or_else(|| format!("there is no transport {name}; name its module with --module {name}=FILE"))?;
                let what = format!("the built-in {name}");
                (
                    self.artefacts
                        .program(host, wasm)
                        .map_err(|error| format!("{what} {error}"))?,
                    what,
                )
            }
        };
        program
            .supports(role)
            .map_err(|error| format!("{what} {error}"))?;
        let mut conf = self.conf(name)?;
        let built_in = !self.modules.iter().any(|(known, _)| known == name);
        if built_in && name == "reverse" {
            // A bridge's clients need its key; another module of that name has its own configuration.
            conf = conf.announcing(&["key"]);
        }
        Ok(Transport {
            name: name.to_owned(),
            program: Arc::new(program),
            conf,
            grants: Grants::default(),
            handshake: HANDSHAKE,
            quiet_close: None,
            announced: Vec::new(),
            state: self.state.clone(),
            state_root: Vec::new(),
        })
    }

    fn load_file(&self, host: &Host, path: &Path) -> Result<Program, String> {
        let bad = |error: ModuleError| format!("{} {error}", path.display());
        let unreadable = |error| unreadable(path, "--module", &error);
        let bytes = read_named(path, MAX_ARTEFACT).map_err(unreadable)?;
        if Host::is_artefact(&bytes) {
            let file = read_trusted(path, MAX_ARTEFACT).map_err(unreadable)?;
            return unsealed(&file)
                .and_then(|artefact| host.load(artefact))
                .map_err(bad);
        }
        if bytes.len() > MAX_MODULE {
            return Err(bad(ModuleError::TooLarge(bytes.len())));
        }
        self.artefacts.program(host, &bytes).map_err(bad)
    }

    fn conf(&self, name: &str) -> Result<Conf, String> {
        let Some((_, path)) = self.configs.iter().find(|(known, _)| known == name) else {
            return Conf::new(None);
        };
        let file =
            read_named(path, MAX_CONF).map_err(|error| unreadable(path, "--config", &error))?;
        Conf::new(Some(&file)).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Why a file that an operator named cannot be read, and what to do.
fn unreadable(path: &Path, flag: &str, error: &io::Error) -> String {
    let what = path.display();
    match error.kind() {
        io::ErrorKind::NotFound if path.is_relative() => format!(
            "{what} does not exist in the folder that ouzel was started in; give the absolute path after {flag}"
        ),
        io::ErrorKind::NotFound => format!("{what} does not exist; check the path after {flag}"),
        io::ErrorKind::PermissionDenied => format!(
            "{what} cannot be read ({error}); check its permissions, and under Debian's tor its AppArmor profile \
             (it allows /etc/tor)"
        ),
        io::ErrorKind::IsADirectory => format!("{what} is a directory; name the file after {flag}"),
        _ => format!("{what} cannot be read ({error}); check the file after {flag}"),
    }
}

/// The names and modules that are part of the executable.
pub fn builtins() -> &'static [(&'static str, &'static [u8])] {
    BUILTINS
}
