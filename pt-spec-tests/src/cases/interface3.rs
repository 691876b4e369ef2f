//! Requirements of the PT 3.0 interface alone: listed, so that the ledger is whole, and not yet run.
//!
//! An entry becomes a case in the section of its subject when it gets a check.

use crate::case::{Case, Check, Level, Side};

/// The entries, in the ledger's order.
pub const CASES: &[Case] = &[
    Case {
        id: "ipc3-1.2.1/flags-without-version",
        line: 8,
        requirement: "Started with flags of version 3 and no list of versions at all, it answers VERSION 3.0; with a list it picks one of it.",
        reference: "Dispatcher IPC 3.0, 1.2.1",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.2.1/version-error",
        line: 9,
        requirement: "Without a common version it says VERSION-ERROR no-version on stderr and exits with code 78.",
        reference: "Dispatcher IPC 3.0, 1.2.1",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.2.1/version-comes-first",
        line: 10,
        requirement: "VERSION 3.0 is written to stdout before anything is initialised.",
        reference: "Dispatcher IPC 3.0, 1.2.1",
        ..ENTRY
    },
    Case {
        id: "ipc2-1.2.1/versions-2",
        line: 11,
        level: Level::Should,
        requirement: "2.0, 2.1 and 2.2 given to -ptversion are answered with the version chosen, with the same flags and channels.",
        reference: "Dispatcher IPC 2.1 and 2.2, 1.2.1; optional",
        reading: "No parent is known that configures version 2 through the environment: TOR_PT_MANAGED_TRANSPORT_VER=2 is a VERSION-ERROR.",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.1.1/state",
        line: 17,
        requirement: "-state takes an absolute or a relative path; without it the state goes into the current directory.",
        reference: "Dispatcher IPC 3.0, 1.1.1",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.1.1/exit-on-stdin-close",
        line: 21,
        level: Level::Should,
        requirement: "-exit-on-stdin-close is accepted bare, as =1 and as =true.",
        reference: "Dispatcher IPC 3.0, 1.1.1 and 1.3, which name it differently; proposal 0010 says that it is gone",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.1.1/log-level",
        line: 26,
        requirement: "-ipcLogLevel takes NONE, ERROR, WARN, INFO and DEBUG; lines of that level and above are written, none by default.",
        reference: "Dispatcher IPC 3.0, 1.1.1 and 1.2.1",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.1.1/exclusions",
        line: 27,
        requirement: "Both or neither of -transport and -transports, or both of -options and -optionsFile, are an ENV-ERROR on stderr with exit code 64.",
        reference: "Dispatcher IPC 3.0, 1.1.1 and 1.2.1",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.1.1/options",
        line: 28,
        requirement: "Options are a JSON object keyed by transport; what is not JSON is an ENV-ERROR with exit code 64.",
        reference: "Dispatcher IPC 3.0, 1.1.1",
        ..ENTRY
    },
    Case {
        id: "base3-2/mode",
        line: 29,
        requirement: "-mode takes the four data modes in any case, socks5 by default; one that is not supported is an ENV-ERROR.",
        reference: "PT 3.0 base 2; proposal 0009",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.1.2/client-by-default",
        line: 30,
        requirement: "With neither -client nor -server it is a client.",
        reference: "Dispatcher IPC 3.0, 1.1.2",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.1.2/proxy-listen-address",
        line: 43,
        side: Side::Client,
        requirement: "-proxylistenaddr, or host and port apart, sets where a client listens; the address bound is announced, and both forms at once are an error.",
        reference: "Dispatcher IPC 3.0, 1.1.2; proposal 0006",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.1.3/server-addresses",
        line: 66,
        side: Side::Server,
        requirement: "A server needs a bind address and a target, each in one of its two forms; -extorport and -authcookie come together; violations are an ENV-ERROR with exit code 64.",
        reference: "Dispatcher IPC 3.0, 1.1.3",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.2.1/log-lines",
        line: 84,
        requirement: "Log lines are LOG, a level and UTF-8 text, as far as -ipcLogLevel lets them.",
        reference: "Dispatcher IPC 3.0, 1.2.1",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.2/errors-on-stderr",
        line: 85,
        requirement: "The lines that report errors go to stderr, all others to stdout.",
        reference: "Dispatcher IPC 3.0, 1.2",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.3/exit-codes",
        line: 87,
        requirement: "The exit code is 78 after VERSION-ERROR, 64 after ENV-ERROR, 69 after PROXY-ERROR and 0 after an orderly end.",
        reference: "Dispatcher IPC 3.0, 1.2 and 1.3; pt-spec 1 sets no codes",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.4/json-parameter-block",
        line: 112,
        side: Side::Client,
        requirement: "SOCKS method 0x09 takes a length and a JSON object; what is wrong with it is the reply 0x10 to 0x13 to the CONNECT.",
        reference: "Dispatcher IPC 3.0, 1.4",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.4/user-name-arguments",
        line: 113,
        level: Level::Should,
        side: Side::Client,
        requirement: "Arguments in user name and password are still accepted.",
        reference: "pt-spec 3.5; RFC 1929",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.5/transparent-tcp",
        line: 132,
        level: Level::Should,
        side: Side::Client,
        requirement: "In the mode transparent-TCP every accepted connection goes to serverAddress.",
        reference: "Dispatcher IPC 3.0, 1.5; optional",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.5.4/framing",
        line: 133,
        level: Level::Should,
        side: Side::Both,
        requirement: "Datagrams cross a stream transport behind two bytes of length, STUN packets without framing.",
        reference: "Dispatcher IPC 3.0, 1.5.4; optional",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.5.4/connection-pool",
        line: 134,
        level: Level::Should,
        side: Side::Both,
        requirement: "Datagrams without a connection are dropped while one is made, and connections that fail or idle are removed.",
        reference: "Dispatcher IPC 3.0, 1.5.4, tables 1 and 2; optional",
        ..ENTRY
    },
    Case {
        id: "ipc3-1.5/one-mode",
        line: 135,
        side: Side::Both,
        requirement: "Client and server run in the same mode, and a server has one.",
        reference: "Dispatcher IPC 3.0, 1.5",
        ..ENTRY
    },
];

const ENTRY: Case = Case {
    check: Check::Interface3,
    ..Case::BASE
};
