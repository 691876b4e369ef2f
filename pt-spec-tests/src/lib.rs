//! A black-box conformance suite for pluggable-transport executables, in whatever language they are written.
//!
//! It plays every part of the world that a pluggable transport talks to (the parent that starts it, an application on
//! its SOCKS port, the bridge behind it, a proxy in front of it), does what the specifications allow and what they
//! forbid, and compares what it sees with numbered requirements.
//!
//! The map, from the command line inwards:
//!
//! - [`cli`]: what was asked for; picks cases and executables, ends with the exit code.
//! - [`expectations`]: the file of an executable, with the deviations that are known and the reason of each.
//! - [`ledger`]: all cases; finds one by its id, a few by a word.
//! - [`case`]: what a case is: a requirement, where it stands, and the closure that finds out. [`cases`] are the tables.
//! - [`subject`]: the executable under test. [`bench`](mod@bench): what a case gets, fresh, with the executable and all instruments.
//! - [`instruments`]: the parts that the suite plays.
//! - [`runner`]: runs cases side by side, each with its limit. [`verdict`]: what a case says.
//! - [`report`]: verdicts and expectations put together, and shown: as text, JSON, JUnit, or a table of executables.
//!
//! # One thread
//!
//! Everything runs on the thread that called [`cli::main`]: a single-threaded tokio runtime with a
//! [`LocalSet`](tokio::task::LocalSet). Executables may ask the kernel to be told when their parent dies (`PR_SET_PDEATHSIG`),
//! and to the kernel the parent is the *thread* that started them; a worker thread that ends would look like a death.

pub mod bench;
pub mod case;
pub mod cases;
pub mod cli;
pub mod expectations;
pub mod instruments;
pub mod ledger;
pub mod report;
pub mod runner;
pub mod subject;
pub mod verdict;
