//! The executable under test, as the person who runs the suite describes it.

use std::ffi::OsString;
use std::path::PathBuf;

/// What is tested, and what it needs to be told. The same description serves every case.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The executable.
    pub program: PathBuf,
    /// Arguments of its `exec` line, given at every start.
    pub args: Vec<OsString>,
    /// The method name that is asked for.
    pub transport: String,
    /// Which sides it has.
    pub sides: Sides,
    /// What goes into `TOR_PT_SERVER_TRANSPORT_OPTIONS` for the transport: `k=v;k2=v2`, without the name.
    pub server_options: String,
    /// Arguments of a bridge line (`k=v` each), for a client whose server the suite cannot start.
    pub bridge_args: Vec<(String, String)>,
}

/// The sides that an executable offers for the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// Client and server.
    Both,
    /// Only a client, as `snowflake-client`.
    Client,
    /// Only a server.
    Server,
}

impl Sides {
    /// Whether it has a client side.
    pub fn client(self) -> bool {
        self != Sides::Server
    }

    /// Whether it has a server side.
    pub fn server(self) -> bool {
        self != Sides::Client
    }
}
