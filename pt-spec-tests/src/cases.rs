//! The list of sections, in the order in which reports show them; a section's cases are in the module of its name.

pub mod arguments;
pub mod client;
pub mod environment;
pub mod ext_orport;
mod faults;
pub mod interface3;
mod launching;
pub mod lines;
pub mod probing;
pub mod proxy;
pub mod relay;
pub mod server;
pub mod socks5;
pub mod termination;
pub mod version;

use crate::case::Section;

/// Every section.
pub static SECTIONS: &[Section] = &[
    Section {
        name: "version",
        title: "which interface, and the first words",
        cases: &[version::CASES],
    },
    Section {
        name: "environment",
        title: "the variables of both sides",
        cases: environment::TABLES,
    },
    Section {
        name: "client",
        title: "a client's variables and lines",
        cases: client::TABLES,
    },
    Section {
        name: "server",
        title: "a server's variables and lines",
        cases: server::TABLES,
    },
    Section {
        name: "lines",
        title: "the grammar of lines, LOG and STATUS",
        cases: lines::TABLES,
    },
    Section {
        name: "termination",
        title: "exit codes, signals and the parent's death",
        cases: termination::TABLES,
    },
    Section {
        name: "socks5",
        title: "the SOCKS port",
        cases: socks5::TABLES,
    },
    Section {
        name: "arguments",
        title: "arguments of a bridge line on the SOCKS port",
        cases: arguments::TABLES,
    },
    Section {
        name: "proxy",
        title: "the upstream proxy",
        cases: proxy::TABLES,
    },
    Section {
        name: "ext-orport",
        title: "the Extended ORPort",
        cases: ext_orport::TABLES,
    },
    Section {
        name: "relay",
        title: "bytes through the tunnel",
        cases: relay::TABLES,
    },
    Section {
        name: "probing",
        title: "what a prober and a neighbour learn, and robustness",
        cases: probing::TABLES,
    },
    Section {
        name: "interface3",
        title: "the PT 3.0 interface, not yet counted",
        cases: &[interface3::CASES],
    },
];
