//! From a transport's name to its module.

use super::artefacts::{Artefacts, MAX_ARTEFACT};
use super::conf::{Conf, MAX_CONF};
use super::state::{State, read_named, read_trusted};
use crate::config::Config;
use crate::watm::{Host, MAX_MODULE, ModuleError, Program, Role, Settings};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

include!(concat!(env!("OUT_DIR"), "/builtins.rs"));

/// How long a transport's handshake may take, where the transport does not say: a few round trips over
/// the slowest path that is of use.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// A transport that is ready to use.
pub struct Transport {
    /// Its name.
    pub name: String,
    /// Its module.
    pub program: Arc<Program>,
    /// The operator's configuration of it.
    pub conf: Conf,
    /// The deadline of its handshake.
    pub handshake: Duration,
}

/// All transports that this process knows by name.
pub struct Registry {
    host: Result<Host, String>,
    slots: usize,
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
        Registry {
            slots: host.as_ref().map_or(slots, Host::slots),
            host: host.map_err(|failure| failure.to_string()),
            artefacts: Artefacts::open(state),
            modules: config.modules.clone(),
            configs: config.configs.clone(),
        }
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
        if name == "reverse" {
            conf = conf.announcing(&["key"]);
        }
        Ok(Transport {
            name: name.to_owned(),
            program: Arc::new(program),
            conf,
            handshake: HANDSHAKE,
        })
    }

    fn load_file(&self, host: &Host, path: &Path) -> Result<Program, String> {
        let what = path.display();
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!("{what} does not exist; check the path after --module")
            }
            io::ErrorKind::PermissionDenied => {
                format!(
                    "{what} cannot be read ({error}); check its permissions, and under Debian's tor its AppArmor profile"
                )
            }
            _ => format!("{what} cannot be read: {error}"),
        };
        let bytes = read_named(path, MAX_ARTEFACT).map_err(unreadable)?;
        if Host::is_artefact(&bytes) {
            let artefact = read_trusted(path, MAX_ARTEFACT).map_err(unreadable)?;
            return host
                .load(&artefact)
                .map_err(|error| format!("{what} {error}"));
        }
        if bytes.len() > MAX_MODULE {
            return Err(format!("{what} {}", ModuleError::TooLarge(bytes.len())));
        }
        self.artefacts
            .program(host, &bytes)
            .map_err(|error| format!("{what} {error}"))
    }

    fn conf(&self, name: &str) -> Result<Conf, String> {
        let Some((_, path)) = self.configs.iter().find(|(known, _)| known == name) else {
            return Conf::new(None);
        };
        let what = path.display();
        let file = read_named(path, MAX_CONF).map_err(|error| {
            format!("{what} cannot be read: {error}; check the path after --config")
        })?;
        Conf::new(Some(&file)).map_err(|error| format!("{what}: {error}"))
    }
}

/// The names and modules that are part of the executable.
pub fn builtins() -> &'static [(&'static str, &'static [u8])] {
    BUILTINS
}
