//! Configurations of the Go runtime of WATER, in JSON: what its `Config` unmarshals.
//!
//! In: the text. Out: the same as [`Settings`], and what a run without tor may take from it besides: where to listen. What
//! it says that has no meaning here is told, rather than dropped in silence; its paths are meant from its own folder, like
//! those of every file of settings.

use super::mistake::Mistake;
use super::values::{Argv, Environment, GuestPath};
use super::{Settings, Told, folder_of};
use crate::net::allow::{Allow, Listed};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Whether a JSON text has that shape, rather than being a module's own configuration.
pub(super) fn is_go_shape(text: &[u8]) -> bool {
    let Ok(Value::Object(map)) = serde_json::from_slice(text) else {
        return false;
    };
    ["transport_module", "network"]
        .iter()
        .any(|key| map.get(*key).is_some_and(Value::is_object))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    transport_module: Module,
    network: Network,
    module: Process,
    runtime: Runtime,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Module {
    bin: Option<PathBuf>,
    config: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Network {
    address_validator: Option<Validator>,
    listener: Option<Listener>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Validator {
    catch_all: bool,
    allowlist: Option<Lists>,
    denylist: Option<Lists>,
}

/// Addresses, and the networks that each is listed for.
type Lists = BTreeMap<String, Vec<String>>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Listener {
    network: Option<String>,
    address: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Process {
    argv: Option<Argv>,
    env: Option<Environment>,
    inherit_stdin: bool,
    inherit_stdout: bool,
    inherit_stderr: bool,
    preopened_dirs: Option<BTreeMap<PathBuf, GuestPath>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Runtime {
    force_interpreter: bool,
    do_not_close_on_context_done: bool,
}

/// Reads a text that lies in `file`.
pub(super) fn parse(text: &[u8], file: &Path) -> Result<Told, Mistake> {
    let document: Document =
        serde_json::from_slice(text).map_err(|error| Mistake::of_json(&error, file))?;
    let Document {
        transport_module,
        network,
        module,
        runtime,
    } = document;
    let wrong = |what: String| Mistake::whole(&format!("is not good: {what}"), file);
    let mut notices = Vec::new();
    let mut told = |what: &str| notices.push(format!("{}: {what}", file.display()));
    let allow = match network.address_validator {
        Some(validator) => validator.allow(&mut told).map_err(wrong)?,
        None => Allow::default(),
    };
    let listen = match network.listener {
        Some(listener) => listener.address().map_err(wrong)?,
        None => None,
    };
    if module.inherit_stdin || module.inherit_stdout || module.inherit_stderr {
        told(
            "inherit_stdin, inherit_stdout and inherit_stderr have no effect: a module never gets ouzel's own streams",
        );
    }
    if runtime.force_interpreter || runtime.do_not_close_on_context_done {
        told(
            "what runtime says has no effect: ouzel compiles modules, and a connection outlives its dial",
        );
    }
    let dirs = module.preopened_dirs.unwrap_or_default();
    if !dirs.is_empty() {
        told("preopened_dirs are given as copies in memory, made at start and read-only");
    }
    let mut folders = BTreeMap::new();
    for (host, guest) in dirs {
        let path = guest.0.clone();
        if folders.insert(guest, host).is_some() {
            return Err(wrong(format!("two of preopened_dirs would lie at {path}")));
        }
    }
    let mut settings = Settings {
        module: transport_module
            .bin
            .filter(|path| !path.as_os_str().is_empty()),
        config_file: transport_module
            .config
            .filter(|path| !path.as_os_str().is_empty())
            .map(|path| Spanned::new(0..0, path)),
        allow,
        argv: module.argv.unwrap_or_default(),
        env: module.env.unwrap_or_default(),
        folders,
        ..Settings::default()
    };
    settings.lie_in(folder_of(file));
    Ok(Told {
        settings,
        own: None,
        listen,
        notices,
    })
}

impl Validator {
    /// The rules of its `ValidateAddress`: with `catch_all` all but the denied, without it only the allowed, and a list that
    /// is not there denies.
    fn allow(self, told: &mut impl FnMut(&str)) -> Result<Allow, String> {
        let ignored = if self.catch_all {
            self.allowlist.is_some().then_some("allowlist")
        } else {
            self.denylist.is_some().then_some("denylist")
        };
        if let Some(ignored) = ignored {
            told(&format!(
                "{ignored} has no effect with catch_all {}",
                self.catch_all
            ));
        }
        if !self.catch_all {
            return Ok(Allow::listed(listed(self.allowlist.unwrap_or_default())?));
        }
        match self.denylist {
            Some(denied) => Ok(Allow::all_but(listed(denied)?)),
            None => {
                told(
                    "catch_all without a denylist denies everything, as it does in Go; write \"denylist\": {} to allow \
                     everything",
                );
                Ok(Allow::default())
            }
        }
    }
}

fn listed(lists: Lists) -> Result<Vec<Listed>, String> {
    let mut all = Vec::new();
    for (address, networks) in &lists {
        for network in networks {
            let entry = Listed::new(network, address).ok_or_else(|| {
                format!("{address:?} in address_validator is no address: expected HOST:PORT, like \"192.0.2.1:443\"")
            })?;
            all.push(entry);
        }
    }
    Ok(all)
}

impl Listener {
    /// An address as Go's `net.Listen` reads it, names aside: what a name means here is for the operator to say.
    fn address(self) -> Result<Option<SocketAddr>, String> {
        if let Some(network) = &self.network
            && !matches!(&**network, "" | "tcp" | "tcp4" | "tcp6")
        {
            return Err(format!(
                "the listener's network {network:?} is not TCP, which is all that ouzel listens on"
            ));
        }
        let Some(text) = self.address.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let (host, port) = text.rsplit_once(':').unwrap_or((&text, ""));
        let local = match host {
            "" => Some(Ipv4Addr::UNSPECIFIED),
            "localhost" => Some(Ipv4Addr::LOCALHOST),
            _ => None,
        };
        let addr = match local {
            Some(ip) => port
                .parse()
                .ok()
                .map(|port: u16| SocketAddr::from((ip, port))),
            None => text.parse().ok(),
        };
        addr.map(Some).ok_or_else(|| {
            format!(
                "the listener's address {text:?} is no address with a port, like \"127.0.0.1:1080\""
            )
        })
    }
}
