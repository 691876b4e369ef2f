//! The environment of a managed transport (pt-spec 3.2), read once and judged as a whole.
//!
//! In: a look-up function, so that tests need no process environment. Out: an [`Environment`], or the
//! [`StartError`] that the parent is told. Nothing is opened or created. Texts of errors name the
//! variable and never quote its value: some hold secrets, most hold addresses.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::args::{Args, parse_server_options};
use crate::net::orport::OrPort;
use crate::net::proxy::{Proxy, ProxyError};

/// How a variable is looked up; [`std::env::var_os`] in the executable.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Everything that the parent said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `TOR_PT_STATE_LOCATION`: the one folder that may be written to. It need not exist yet.
    pub state: PathBuf,
    /// `TOR_PT_EXIT_ON_STDIN_CLOSE` is exactly `1`.
    pub exit_on_stdin_close: bool,
    /// `TOR_PT_OUTBOUND_BIND_ADDRESS_V4`.
    pub bind_v4: Option<Ipv4Addr>,
    /// `TOR_PT_OUTBOUND_BIND_ADDRESS_V6`.
    pub bind_v6: Option<Ipv6Addr>,
    /// What this process is to be.
    pub role: Role,
}

/// One of the two things a process can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes SOCKS connections and dials bridges.
    Client(ClientEnv),
    /// It takes connections from clients and dials a relay's ORPort.
    Server(ServerEnv),
}

/// The client's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientEnv {
    /// The transports asked for, each once, in order, known or not.
    pub transports: Vec<String>,
    /// `TOR_PT_PROXY`, if set; the error is the text of `PROXY-ERROR`.
    pub proxy: Option<Result<Proxy, String>>,
}

/// The server's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEnv {
    /// One for each transport asked for, in order, known or not.
    pub binds: Vec<Bind>,
    /// The options of the transports asked for; a transport without options has no entry.
    pub options: BTreeMap<String, Args>,
    /// `TOR_PT_EXTENDED_SERVER_PORT` and the cookie file that goes with it, or else `TOR_PT_ORPORT`.
    pub orport: OrPort,
}

/// Where a transport is to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The transport.
    pub name: String,
    /// `TOR_PT_SERVER_BINDADDR`'s word on it; without one any address and port will do.
    pub addr: Option<SocketAddr>,
}

/// Why a managed transport cannot start. The caller prints the line and exits with the code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// `VERSION-ERROR no-version`.
    #[error("the parent does not offer version 1 of the pluggable-transport protocol")]
    Version,
    /// `ENV-ERROR` and its text.
    #[error("{0}")]
    Env(String),
}

impl StartError {
    /// The status to exit with. pt-spec names none; these are the ones of PT 2 and 3.
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::Version => 78,
            StartError::Env(_) => 64,
        }
    }
}

/// The status to exit with after `PROXY-ERROR`.
pub const PROXY_ERROR_EXIT_CODE: u8 = 69;

const MANAGED_VERSION: &str = "TOR_PT_MANAGED_TRANSPORT_VER";
const STATE: &str = "TOR_PT_STATE_LOCATION";
const STDIN: &str = "TOR_PT_EXIT_ON_STDIN_CLOSE";
const OUTBOUND_V4: &str = "TOR_PT_OUTBOUND_BIND_ADDRESS_V4";
const OUTBOUND_V6: &str = "TOR_PT_OUTBOUND_BIND_ADDRESS_V6";
const CLIENT: &str = "TOR_PT_CLIENT_TRANSPORTS";
const PROXY: &str = "TOR_PT_PROXY";
const SERVER: &str = "TOR_PT_SERVER_TRANSPORTS";
const BINDADDR: &str = "TOR_PT_SERVER_BINDADDR";
const OPTIONS: &str = "TOR_PT_SERVER_TRANSPORT_OPTIONS";
const ORPORT: &str = "TOR_PT_ORPORT";
const EXTENDED: &str = "TOR_PT_EXTENDED_SERVER_PORT";
const COOKIE: &str = "TOR_PT_AUTH_COOKIE_FILE";

/// Whether a parent started this process as a managed transport, however badly.
pub fn is_managed(lookup: Lookup<'_>) -> bool {
    [MANAGED_VERSION, CLIENT, SERVER, STATE]
        .iter()
        .any(|name| lookup(name).is_some())
}

/// Whether the parent offers version 1. Judged before everything else, so that `VERSION` comes first.
pub fn version(lookup: Lookup<'_>) -> Result<(), StartError> {
    let offered = required(lookup, MANAGED_VERSION)?;
    // Items compare as whole strings: neither "11" nor " 1" is "1".
    if offered.to_string_lossy().split(',').any(|item| item == "1") {
        Ok(())
    } else {
        Err(StartError::Version)
    }
}

/// Reads all the rest.
pub fn parse(lookup: Lookup<'_>) -> Result<Environment, StartError> {
    let state = required(lookup, STATE)?.into();
    let role = match (text(lookup, CLIENT), text(lookup, SERVER)) {
        (Some(names), None) => Role::Client(ClientEnv {
            transports: transports(&names),
            proxy: proxy(lookup),
        }),
        (None, Some(names)) => Role::Server(server(lookup, transports(&names))?),
        (Some(_), Some(_)) => return Err(env(format!("both {CLIENT} and {SERVER} are set"))),
        (None, None) => return Err(env(format!("neither {CLIENT} nor {SERVER} is set"))),
    };
    Ok(Environment {
        state,
        exit_on_stdin_close: lookup(STDIN).is_some_and(|value| value == "1"),
        bind_v4: parsed(lookup, OUTBOUND_V4, "an IPv4 address", |text| {
            text.parse().ok()
        })?,
        bind_v6: parsed(lookup, OUTBOUND_V6, "an IPv6 address in brackets", |text| {
            let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
            bare.unwrap_or(text).parse().ok()
        })?,
        role,
    })
}

fn server(lookup: Lookup<'_>, names: Vec<String>) -> Result<ServerEnv, StartError> {
    let mut addrs = bind_addresses(lookup)?;
    let mut options = match lookup(OPTIONS) {
        None => Vec::new(),
        Some(value) => parse_server_options(value.as_encoded_bytes())
            .map_err(|error| env(format!("{OPTIONS}: {error}")))?,
    };
    options.retain(|(name, _)| names.contains(name));

    let orport = parsed(lookup, ORPORT, ADDRESS, parse_reachable)?;
    let ext_orport = match parsed(lookup, EXTENDED, ADDRESS, parse_reachable)? {
        None => None,
        Some(addr) => match lookup(COOKIE).filter(|path| !path.is_empty()) {
            None => return Err(env(format!("{EXTENDED} is set, {COOKIE} is not"))),
            Some(path) => Some(OrPort::Extended {
                addr,
                cookie: path.into(),
            }),
        },
    };
    let orport = ext_orport
        .or(orport.map(OrPort::Plain))
        .ok_or_else(|| env(format!("neither {ORPORT} nor {EXTENDED} is set")))?;
    Ok(ServerEnv {
        binds: names
            .into_iter()
            .map(|name| Bind {
                addr: addrs.remove(&name),
                name,
            })
            .collect(),
        options: options.into_iter().collect(),
        orport,
    })
}

const ADDRESS: &str = "an IP address and a port above 0";

fn bind_addresses(lookup: Lookup<'_>) -> Result<BTreeMap<String, SocketAddr>, StartError> {
    let mut addrs = BTreeMap::new();
    let Some(list) = text(lookup, BINDADDR) else {
        return Ok(addrs);
    };
    for (index, item) in list.split(',').enumerate() {
        let bad = |what: &str| env(format!("{BINDADDR}: item {} {what}", index + 1));
        // At the first hyphen: no name has one, an address never has any.
        let (name, addr) = item
            .split_once('-')
            .ok_or_else(|| bad("is not name-address:port"))?;
        let addr = parse_address(addr).ok_or_else(|| bad("has no IP address and port"))?;
        if addrs.insert(name.to_owned(), addr).is_some() {
            return Err(bad("names a transport that an earlier item has named"));
        }
    }
    Ok(addrs)
}

/// An address as tor writes it. Old versions of tor left out the brackets of IPv6.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let ip: IpAddr = bare.unwrap_or(host).parse().ok()?;
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(SocketAddr::new(ip, port.parse().ok()?))
}

/// An address to connect to, which has a port.
fn parse_reachable(text: &str) -> Option<SocketAddr> {
    parse_address(text).filter(|addr| addr.port() != 0)
}

/// The names of a list, each once. Which of them exist is for others to say.
fn transports(list: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    list.split(',')
        .filter(|name| !name.is_empty() && seen.insert(*name))
        .map(str::to_owned)
        .collect()
}

fn proxy(lookup: Lookup<'_>) -> Option<Result<Proxy, String>> {
    let value = lookup(PROXY).filter(|value| !value.is_empty())?;
    let parsed = value
        .to_str()
        .ok_or(ProxyError::NotText)
        .and_then(Proxy::parse);
    Some(parsed.map_err(|error| error.to_string()))
}

fn env(text: String) -> StartError {
    StartError::Env(text)
}

fn required(lookup: Lookup<'_>, name: &str) -> Result<OsString, StartError> {
    lookup(name)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| env(format!("{name} is not set")))
}

/// A variable's text; set and empty is the same as not set. What is not UTF-8 will match nothing.
fn text(lookup: Lookup<'_>, name: &str) -> Option<String> {
    let value = lookup(name).filter(|value| !value.is_empty())?;
    Some(value.to_string_lossy().into_owned())
}

fn parsed<T>(
    lookup: Lookup<'_>,
    name: &str,
    wanted: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, StartError> {
    match text(lookup, name) {
        None => Ok(None),
        Some(text) => match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(env(format!("{name} is not {wanted}"))),
        },
    }
}

#[cfg(test)]
mod tests;
