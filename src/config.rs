//! What the operator asked for, on the command line and in files; the rest of a run comes from the parent's environment.

pub mod settings;

use crate::error::Severity;
use settings::{RunFile, Settings};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A bridge's connections at a time, unless the operator says otherwise: what a default
/// `vm.max_map_count` and a gigabyte of memory carry with room to spare.
pub const SERVER_CONNECTIONS: usize = 4096;
/// A client's: tor opens a few, other programs may open one per page element.
pub const CLIENT_CONNECTIONS: usize = 1536;

/// A run as a pluggable transport.
#[derive(Clone, Debug)]
pub struct Config {
    /// Transports from files: name and module.
    pub modules: Vec<(String, PathBuf)>,
    /// The configuration handed to a transport's guests: name and file.
    pub configs: Vec<(String, PathBuf)>,
    /// A folder of modules, each a transport.
    pub folder: Option<PathBuf>,
    /// The one that the operator's file names, where the command line names another.
    pub overruled_folder: Option<PathBuf>,
    /// What the operator's file says about transports.
    pub transports: BTreeMap<String, Settings>,
    /// The executable `ouzel`, to compile modules in a process of its own; without it they are compiled here.
    pub compiler: Option<PathBuf>,
    /// Keys that flags set to true in a transport's configuration: its name, the key.
    pub switches: Vec<(&'static str, &'static str)>,
    /// Connections at a time, if not the default of the side.
    pub max_connections: Option<usize>,
    /// The quietest line that is told.
    pub log_level: Severity,
    /// Whether to keep a log file in the state directory too.
    pub log_file: bool,
    /// The quietest line in that, if it is another.
    pub file_level: Option<Severity>,
    /// Its name.
    pub log_name: &'static str,
    /// Whether addresses may appear in logs.
    pub unsafe_logging: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            modules: Vec::new(),
            configs: Vec::new(),
            folder: None,
            overruled_folder: None,
            transports: BTreeMap::new(),
            compiler: None,
            switches: Vec::new(),
            max_connections: None,
            log_level: Severity::Notice,
            log_file: false,
            file_level: None,
            log_name: "ouzel.log",
            unsafe_logging: false,
        }
    }
}

impl Config {
    /// What a file says. The command line comes on top of it.
    pub fn of_file(file: RunFile) -> Config {
        let transports = file.transport.into_iter();
        Config {
            folder: file.modules,
            transports: transports.map(|(name, table)| (name.0, table)).collect(),
            max_connections: file.max_connections.map(|most| most.get()),
            log_level: file.log_level.map_or(Severity::Notice, |level| level.0),
            log_file: file.enable_logging,
            unsafe_logging: file.unsafe_logging,
            ..Config::default()
        }
    }
}
