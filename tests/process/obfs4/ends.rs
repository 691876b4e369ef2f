//! The programs at either end of obfs4, and the bridge that all tests run: one identity, given as server options, so
//! that what is derived from it (the cert, the tables, the delay) is the same whichever program runs it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};

use crate::support::orport::OrPort;
use crate::support::pair::Pair;
use crate::support::peers;
use crate::support::pt::{Launch, Pt};

use super::prober::Keys;

/// A program that speaks obfs4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The program under test.
    Ouzel,
    /// Debian's, which judges it.
    Obfs4proxy,
}

/// Both.
pub(crate) const PROGRAMS: [Program; 2] = [Program::Obfs4proxy, Program::Ouzel];

/// Whose client speaks to whose bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pairing {
    /// On the user's machine.
    pub(crate) client: Program,
    /// On the bridge.
    pub(crate) bridge: Program,
}

/// All of them. The first is the control: a test that fails there is wrong itself.
pub(crate) const PAIRINGS: [Pairing; 4] = [
    between(Program::Obfs4proxy, Program::Obfs4proxy),
    between(Program::Ouzel, Program::Obfs4proxy),
    between(Program::Obfs4proxy, Program::Ouzel),
    between(Program::Ouzel, Program::Ouzel),
];

const fn between(client: Program, bridge: Program) -> Pairing {
    Pairing { client, bridge }
}

/// How long a bridge waits for a handshake.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(30);
/// How late an end may be seen on a machine that has other things to do; less than the two seeds are apart.
pub(crate) const LATE: Duration = Duration::from_secs(2);

/// A `drbg-seed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed {
    /// In hex.
    pub(crate) hex: &'static str,
    /// The first `Intn(60)` of its generator: what it adds to every failure, in seconds.
    delay: u64,
}

impl Seed {
    /// One whose failures nobody waits for.
    pub(crate) const fn of(hex: &'static str) -> Self {
        Seed { hex, delay: 0 }
    }

    /// When a connection that failed ends, from its accept.
    pub(crate) fn end(self) -> Duration {
        HANDSHAKE + Duration::from_secs(self.delay)
    }
}

/// The usual one: the earliest end there is, and no 0 among its lengths, which would end obfs4proxy in iat-mode 2.
pub(crate) const PROMPT: Seed = Seed {
    hex: "960ac3449727a9c43e3f1fcf96927028aa1e6d20312dee19",
    delay: 0,
};

/// One with another delay, else the same.
pub(crate) const LATER: Seed = Seed {
    hex: "48464482aed9f6a004c792d1e96217fc601420a6a96a25ce",
    delay: 4,
};

/// `node-id` of every bridge here.
pub(crate) const NODE_ID: &str = "6f757a656c2069732061206469707065722e2e2e";
/// `private-key` of every bridge here.
pub(crate) const PRIVATE_KEY: &str =
    "5a0d6e2fb1c8479380cce1a65f7be29d46318a0972d4bb13cf55e9a8207c3e91";

/// Server options that make a bridge the one with this seed.
pub(crate) fn identity(seed: Seed) -> String {
    let hex = seed.hex;
    options(&[
        ("node-id", NODE_ID),
        ("private-key", PRIVATE_KEY),
        ("drbg-seed", hex),
    ])
}

/// The value of `TOR_PT_SERVER_TRANSPORT_OPTIONS` for these.
pub(crate) fn options(all: &[(&str, &str)]) -> String {
    let all: Vec<_> = all.iter().map(|(k, v)| format!("obfs4:{k}={v}")).collect();
    all.join(";")
}

impl Program {
    /// Where it is.
    pub(crate) fn executable(self) -> PathBuf {
        match self {
            Program::Ouzel => peers::ouzel(),
            Program::Obfs4proxy => peers::obfs4proxy(),
        }
    }

    /// With what every launch of it sets.
    pub(crate) fn launch(self) -> Launch {
        Launch::of(self.executable())
    }

    /// A client about to be started.
    pub(crate) fn client(self) -> Launch {
        self.launch().set("TOR_PT_CLIENT_TRANSPORTS", "obfs4")
    }

    /// A bridge about to be started that makes up its own identity.
    pub(crate) fn fresh_bridge(self, orport: SocketAddr) -> Launch {
        self.launch().serving("obfs4", orport)
    }

    /// A bridge about to be started.
    pub(crate) fn bridge(self, orport: SocketAddr, seed: Seed) -> Launch {
        self.fresh_bridge(orport)
            .set("TOR_PT_SERVER_TRANSPORT_OPTIONS", identity(seed))
    }
}

impl Pairing {
    /// Both ends with iat-mode 0.
    pub(crate) async fn start(self) -> Pair {
        let orport = OrPort::listen().await;
        let bridge = self.bridge.bridge(orport.addr, PROMPT);
        Pair::between("obfs4", orport, self.client.client(), bridge).await
    }

    /// Whether the ends of one side's streams reach the other: obfs4proxy closes both sides at the first.
    pub(crate) fn keeps_half_close(self) -> bool {
        self.client == Program::Ouzel && self.bridge == Program::Ouzel
    }
}

/// A bridge alone, for those who would like to know whether it is one.
pub(crate) struct Bridge {
    /// Whose.
    pub(crate) program: Program,
    /// The process.
    pub(crate) pt: Pt,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// What its bridge line tells everybody who has it.
    pub(crate) keys: Keys,
    /// Behind it.
    pub(crate) orport: OrPort,
}

impl Bridge {
    /// Starts one.
    pub(crate) async fn start(program: Program, seed: Seed) -> Self {
        let orport = OrPort::listen().await;
        let launch = program.bridge(orport.addr, seed);
        Bridge::launched(program, launch, orport).await
    }

    /// Starts one in a way of one's own.
    pub(crate) async fn launched(program: Program, launch: Launch, orport: OrPort) -> Self {
        let pt = launch.start();
        let method = pt.method("obfs4").await;
        Bridge {
            program,
            addr: method.addr,
            keys: keys(&method.args),
            orport,
            pt,
        }
    }
}

/// What the arguments of a bridge line (`cert=..;iat-mode=..`) say about the bridge.
pub(crate) fn keys(args: &[u8]) -> Keys {
    // 52 bytes: the last character's lowest bits are nothing, and both programs leave them zero.
    let plain = GeneralPurpose::new(&STANDARD, NO_PAD);
    let cert = plain.decode(cert(args)).expect("base64");
    Keys {
        node_id: cert[..20].try_into().expect("20 bytes"),
        public_key: cert[20..].try_into().expect("32 bytes"),
    }
}

/// The `cert=` of a bridge line's arguments.
pub(crate) fn cert(args: &[u8]) -> &str {
    let text = std::str::from_utf8(args).unwrap();
    text.split(';')
        .find_map(|arg| arg.strip_prefix("cert="))
        .unwrap_or_else(|| panic!("no cert= in {text:?}"))
}
