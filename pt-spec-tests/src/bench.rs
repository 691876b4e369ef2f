//! What a case is handed: the executable under test, a scratch folder of its own, and a record of every process that it
//! starts there, so that a failing case can show what was said and nothing outlives it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tempfile::TempDir;

use crate::instruments::negotiation::Args;
use crate::instruments::pair::Bridge;
use crate::instruments::parent::Launch;
use crate::instruments::process::Record;
use crate::instruments::{leftovers, removal};
use crate::subject::Subject;
use crate::verdict::{Failure, Verdict};

/// An ORPort for negotiations in which nothing is ever relayed: the discard port, which nobody connects to.
pub const UNUSED_ORPORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// The variable that marks every process of a case, so that it is found wherever it forks to.
pub const MARKER: &str = "PT_SPEC_TESTS_CASE";

/// One case's world.
pub struct Bench {
    subject: Rc<Subject>,
    stage: Rc<Stage>,
}

/// Arguments that a client of the transport accepts. The server that announced them runs for as long as they are kept:
/// they may hold its address, which would be somebody else's afterwards.
pub struct BridgeArgs {
    args: Args,
    _server: Option<Bridge>,
}

/// What the launches of one case share.
pub(crate) struct Stage {
    scratch: TempDir,
    /// The value of [`MARKER`].
    pub(crate) marker: String,
    pub(crate) records: RefCell<Vec<Record>>,
    launches: Cell<usize>,
}

/// What a case left when it ended.
#[derive(Debug, Default)]
pub struct Closing {
    /// What every process was given and said.
    pub story: String,
    /// What had to be killed, described.
    pub leftovers: Vec<String>,
}

impl Bench {
    /// An empty bench for one case.
    pub fn new(subject: Rc<Subject>) -> Verdict<Bench> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| Failure::Instrument(error.to_string()))?;
        let stage = Stage {
            scratch: tempfile::Builder::new()
                .prefix("pt-spec-tests-")
                .tempdir()?,
            marker: format!("{:016x}", u64::from_le_bytes(random)),
            records: RefCell::default(),
            launches: Cell::new(0),
        };
        for folder in ["cwd", "home", "tmp"] {
            create_dir(&stage.scratch.path().join(folder))?;
        }
        Ok(Bench {
            subject,
            stage: Rc::new(stage),
        })
    }

    /// The executable under test.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The method name that is asked for.
    pub fn transport(&self) -> &str {
        &self.subject.transport
    }

    /// A folder that vanishes with the case. `cwd`, `home` and `tmp` in it are what the executable runs with.
    pub fn scratch(&self) -> &Path {
        self.stage.scratch.path()
    }

    /// A path in the scratch folder that nothing else uses, for a state directory that does not exist yet.
    pub fn fresh_path(&self, name: &str) -> PathBuf {
        self.stage.fresh_path(name)
    }

    /// A launch with the `exec` line's arguments and no variable of the contract set.
    pub fn bare(&self) -> Launch {
        Launch::new(&self.subject, self.stage.clone())
    }

    /// A launch with the three variables that tor sets for both sides.
    pub fn managed(&self) -> Launch {
        let mut state = self.fresh_path("state").into_os_string();
        // tor's value ends in a slash, and the folder does not exist yet.
        state.push("/pt_state/");
        self.bare()
            .set("TOR_PT_MANAGED_TRANSPORT_VER", "1")
            .set("TOR_PT_STATE_LOCATION", state)
            .set("TOR_PT_EXIT_ON_STDIN_CLOSE", "1")
    }

    /// A client of the transport, as tor starts it.
    pub fn client(&self) -> Launch {
        self.managed()
            .set("TOR_PT_CLIENT_TRANSPORTS", self.transport())
    }

    /// A server of the transport on a port of 127.0.0.1, as tor starts it without an Extended ORPort.
    pub fn server(&self, orport: SocketAddr) -> Launch {
        let name = self.transport();
        let launch = self
            .managed()
            .set("TOR_PT_SERVER_TRANSPORTS", name)
            .set("TOR_PT_SERVER_BINDADDR", format!("{name}-127.0.0.1:0"))
            .set("TOR_PT_ORPORT", orport.to_string())
            .set("TOR_PT_EXTENDED_SERVER_PORT", "");
        match self.server_options() {
            None => launch,
            Some(options) => launch.set("TOR_PT_SERVER_TRANSPORT_OPTIONS", options),
        }
    }

    /// What the subject needs in `TOR_PT_SERVER_TRANSPORT_OPTIONS`, with the transport's name before each pair.
    pub fn server_options(&self) -> Option<String> {
        let options = &self.subject.server_options;
        let name = self.transport();
        let mut text = format!("{name}:");
        let mut escaped = false;
        for char in options.chars() {
            text.push(char);
            if char == ';' && !escaped {
                text.push_str(&format!("{name}:"));
            }
            escaped = char == '\\' && !escaped;
        }
        (!options.is_empty()).then_some(text)
    }

    /// A launch of a side that the subject has: its client, or its server if it has no other.
    pub fn either(&self) -> Launch {
        if self.subject.sides.client() {
            self.client()
        } else {
            self.server(UNUSED_ORPORT)
        }
    }

    /// A running server with a fake ORPort behind it.
    pub async fn bridge(&self) -> Verdict<Bridge> {
        Bridge::start(self, |launch| launch).await
    }

    /// Arguments that a client of the transport accepts: the given ones, or what a server of it announces.
    pub async fn bridge_args(&self) -> Verdict<BridgeArgs> {
        if !self.subject.bridge_args.is_empty() || !self.subject.sides.server() {
            return Ok(BridgeArgs {
                args: self.subject.bridge_args.clone(),
                _server: None,
            });
        }
        let server = self.bridge().await?;
        Ok(BridgeArgs {
            args: server.args.clone(),
            _server: Some(server),
        })
    }

    /// What every process of the case was given and has said so far.
    pub fn story(&self) -> String {
        let records = self.stage.records.borrow();
        records
            .iter()
            .map(Record::tell)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Ends everything that the case started and removes its folder.
    pub async fn close(self) -> Closing {
        let story = self.story();
        let known: Vec<u32> = self
            .stage
            .records
            .borrow()
            .iter()
            .map(|record| record.pid)
            .collect();
        let stage = self.stage;
        let leftovers = leftovers::sweep(&stage.marker, stage.scratch.path(), &known).await;
        // Whoever still holds the stage (nobody should) removes the folder when it goes.
        let kept = Rc::try_unwrap(stage)
            .ok()
            .and_then(|stage| removal::remove(stage.scratch));
        Closing {
            story,
            leftovers: leftovers.into_iter().chain(kept).collect(),
        }
    }
}

impl Deref for BridgeArgs {
    type Target = Args;

    fn deref(&self) -> &Args {
        &self.args
    }
}

impl DerefMut for BridgeArgs {
    fn deref_mut(&mut self) -> &mut Args {
        &mut self.args
    }
}

impl Stage {
    pub(crate) fn path(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn fresh_path(&self, name: &str) -> PathBuf {
        let n = self.launches.get();
        self.launches.set(n + 1);
        self.scratch.path().join(format!("{name}-{n}"))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "in a scratch folder of the case's own"
)]
fn create_dir(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir(path)
}
