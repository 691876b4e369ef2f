//! From a transport's name to its module, ready to be instantiated.
//!
//! In: what `sources` found behind the name, and a role. Out: a [`Transport`], checked, compiled and with all that
//! its operator grants it, or one sentence that names the file.

use super::artefacts::{Artefacts, MAX_ARTEFACT, unsealed};
use super::builtins::builtins;
use super::conf::{Conf, MAX_CONF};
use super::granted::{grants, limits};
use super::prints;
use super::sources::{Module, Source, Sources, gather};
use super::state::{State, read_named, read_trusted};
use crate::config::Config;
use crate::config::settings::{Pin, Settings};
use crate::error::Severity;
use crate::net::allow::Allow;
use crate::say;
use crate::watm::{self, Grants, Host, Limits, MAX_MODULE, ModuleError, Program, Role};
use sha2::{Digest, Sha256};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a transport's handshake may take: a few round trips over the slowest path that is of use.
pub const HANDSHAKE: Duration = Duration::from_secs(30);

/// What people's lines for obfs4proxy and lyrebird ask for, and this program has not.
const OF_LYREBIRD: [&str; 6] = [
    "meek_lite",
    "obfs2",
    "obfs3",
    "scramblesuit",
    "snowflake",
    "webtunnel",
];

/// A transport that is ready to use.
pub struct Transport {
    /// Its name.
    pub name: String,
    /// Its module.
    pub program: Arc<Program>,
    /// What it is used for.
    pub role: Role,
    /// The operator's configuration of it.
    pub conf: Conf,
    /// What its instances are given besides: nothing, unless the operator says otherwise.
    pub grants: Grants,
    /// Where its module may go by itself: nowhere, unless the operator says so.
    pub allow: Arc<Allow>,
    /// The deadline of its handshake.
    pub handshake: Duration,
    /// Whether the operator set that, so that no module may.
    pub handshake_is_set: bool,
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
    sources: Sources,
}

impl Registry {
    /// Starts the wasm side, for so many connections at a time. Where it does not start, every transport
    /// says so.
    pub fn new(config: &Config, slots: usize, state: &State) -> Registry {
        let host = Host::new(watm::Settings::for_slots(slots));
        for note in host.iter().flat_map(Host::notes) {
            tracing::warn!("{note}");
        }
        Registry {
            slots: host.as_ref().map_or(slots, Host::slots),
            host: host.map_err(|failure| failure.to_string()),
            artefacts: Artefacts::open(state, config.compiler.clone()),
            state: state.clone(),
            sources: gather(config),
        }
    }

    /// The most connections at a time.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Whether a transport of that name exists, in whatever state.
    pub fn knows(&self, name: &str) -> bool {
        self.sources.contains_key(name)
    }

    /// Says which of the transports that were asked for do not exist here: no news where others do, since tor
    /// may ask several programs, but a user's trouble where none is left.
    pub fn tell_unknown<'a>(&self, unknown: impl Iterator<Item = &'a str>, asked: usize) {
        let unknown: Vec<&str> = unknown.collect();
        let severity = if unknown.len() == asked {
            Severity::Warning
        } else {
            Severity::Notice
        };
        let (lyrebirds, others): (Vec<&str>, Vec<&str>) =
            unknown.iter().partition(|name| OF_LYREBIRD.contains(name));
        if !lyrebirds.is_empty() {
            say!(
                severity,
                "not here, but in lyrebird: {}; for those that you use, keep a line with lyrebird in torrc, and take their \
                 names out of this one",
                lyrebirds.join(", ")
            );
        }
        for name in others {
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
        self.load_first(name, &[role]).await
    }

    /// The same for the first of several roles that the module exports.
    pub async fn load_first(
        self: &Arc<Self>,
        name: &str,
        roles: &[Role],
    ) -> Result<Transport, String> {
        let (registry, name, roles) = (Arc::clone(self), name.to_owned(), roles.to_vec());
        let loaded = tokio::task::spawn_blocking(move || registry.load_now(&name, &roles)).await;
        loaded.unwrap_or_else(|_| Err("its module could not be compiled".to_owned()))
    }

    fn load_now(&self, name: &str, roles: &[Role]) -> Result<Transport, String> {
        let host = self.host.as_ref().map_err(Clone::clone)?;
        let source = self.sources.get(name).ok_or_else(|| {
            format!("there is no transport {name}; name its module with --module {name}=FILE")
        })?;
        let source = source.as_ref().map_err(Clone::clone)?;
        for notice in &source.notices {
            tracing::info!("{notice}");
        }
        let settings = &source.settings;
        let limits = limits(settings);
        let (program, what) = match &source.module {
            Module::File(path, named) => {
                let program = self.load_file(host, path, named, settings, limits)?;
                (program, path.display().to_string())
            }
            Module::BuiltIn(built_in) => {
                let what = format!("the built-in {name}");
                check_pin(settings.sha256.as_ref(), built_in.wasm, &what)?;
                let program = self.artefacts.program(host, built_in.wasm, limits);
                (program.map_err(|error| format!("{what} {error}"))?, what)
            }
        };
        let role = first_of(roles, &program).map_err(|error| format!("{what} {error}"))?;
        let (announce, state_root) = match source.module {
            Module::BuiltIn(built_in) => (built_in.announce, built_in.state_root),
            // Another module of that name has its own configuration and its own files.
            Module::File(..) => {
                self.tell_displaced(name, settings);
                (&[][..], &[][..])
            }
        };
        let conf = conf(source)?
            .overridden_by(&settings.args_override)
            .announcing(settings.announce())
            .announcing(announce.iter().copied());
        let conf = source
            .keys
            .iter()
            .fold(conf, |conf, key| conf.switching(key));
        Ok(Transport {
            name: name.to_owned(),
            program: Arc::new(program),
            role,
            conf,
            grants: Grants {
                output: prints::of(name),
                ..grants(name, settings, limits)?
            },
            allow: Arc::new(settings.allow.clone()),
            handshake_is_set: settings.handshake_timeout.is_some(),
            handshake: settings.handshake_timeout.map_or(HANDSHAKE, |span| span.0),
            quiet_close: None,
            announced: Vec::new(),
            state: self.state.clone(),
            state_root: settings
                .state_root
                .iter()
                .map(|file| file.0.clone())
                .chain(state_root.iter().map(|&file| file.to_owned()))
                .collect(),
        })
    }

    /// Says that a file which takes a built-in's place begins without its files.
    fn tell_displaced(&self, name: &str, settings: &Settings) {
        let granted = |file: &&&str| settings.state_root.iter().any(|own| own.0 == ***file);
        let built_in = builtins().iter().find(|built_in| built_in.name == name);
        let files = built_in.map_or(&[][..], |built_in| built_in.state_root);
        if files.iter().all(|file| granted(&file)) {
            return;
        }
        let list: Vec<String> = files.iter().map(|file| format!("{file:?}")).collect();
        tracing::warn!(
            "the module named for {name} takes the built-in's place, but not its files {}, so a bridge gets a new identity; \
             to go on with the old one, put  state-root = [{}]  into [transport.{name}] of its settings",
            files.join(" and "),
            list.join(", ")
        );
    }

    fn load_file(
        &self,
        host: &Host,
        path: &Path,
        named: &str,
        settings: &Settings,
        limits: Limits,
    ) -> Result<Program, String> {
        let bad = |error: ModuleError| format!("{} {error}", path.display());
        let unreadable = |error| unreadable(path, named, &error);
        let check =
            |bytes: &[u8]| check_pin(settings.sha256.as_ref(), bytes, &path.display().to_string());
        let bytes = read_named(path, MAX_ARTEFACT).map_err(unreadable)?;
        if Host::is_artefact(&bytes) {
            let file = read_trusted(path, MAX_ARTEFACT).map_err(unreadable)?;
            check(&file)?;
            return unsealed(&file)
                .and_then(|artefact| host.load_with(artefact, limits))
                .map_err(bad);
        }
        check(&bytes)?;
        if bytes.len() > MAX_MODULE {
            return Err(bad(ModuleError::TooLarge(bytes.len())));
        }
        self.artefacts.program(host, &bytes, limits).map_err(bad)
    }
}

fn first_of(roles: &[Role], program: &Program) -> Result<Role, ModuleError> {
    let mut first = None;
    for &role in roles {
        match program.supports(role) {
            Ok(()) => return Ok(role),
            Err(error) => _ = first.get_or_insert(error),
        }
    }
    Err(first.expect("a transport is asked for in some role"))
}

fn check_pin(pin: Option<&Pin>, module: &[u8], what: &str) -> Result<(), String> {
    let Some(Pin(wanted)) = pin else {
        return Ok(());
    };
    let has: String = Sha256::digest(module)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if has == *wanted {
        return Ok(());
    }
    Err(format!(
        "{what} is not the module that its settings pin: sha256 is to be {wanted} and is {has}; find out who changed which"
    ))
}

fn conf(source: &Source) -> Result<Conf, String> {
    let settings = &source.settings;
    let (path, named) = match (&source.conf, settings.config_file(), &settings.config) {
        (Some(path), file, table) => {
            if file.is_some() || table.is_some() {
                tracing::info!(
                    "{} takes the place of the configuration in the settings, because --config names it",
                    path.display()
                );
            }
            (path.as_path(), "--config")
        }
        (None, Some(path), _) => (path, "config-file"),
        (None, None, Some(given)) => {
            let text = serde_json::to_vec(&given.0).expect("JSON can be written");
            return Conf::new(Some(&text));
        }
        (None, None, None) => return Conf::new(None),
    };
    let file = read_named(path, MAX_CONF).map_err(|error| unreadable(path, named, &error))?;
    Conf::new(Some(&file)).map_err(|error| format!("{}: {error}", path.display()))
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
