//! What the operator asked for on the command line; the rest of a run comes from the parent's environment.

use crate::error::Severity;
use std::path::PathBuf;

/// Most connections at a time, unless the operator says otherwise. A bridge's is what a default
/// `vm.max_map_count` and a gigabyte of memory carry with room to spare; a client of tor has a few.
pub const MAX_CONNECTIONS: usize = 4096;

/// A run as a pluggable transport.
#[derive(Clone, Debug)]
pub struct Config {
    /// Transports from files: name and module.
    pub modules: Vec<(String, PathBuf)>,
    /// The configuration handed to a transport's guests: name and file.
    pub configs: Vec<(String, PathBuf)>,
    /// Connections at a time.
    pub max_connections: usize,
    /// The quietest line that is told.
    pub log_level: Severity,
    /// Whether to keep a log file in the state directory too.
    pub log_file: bool,
    /// Whether addresses may appear in logs.
    pub unsafe_logging: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            modules: Vec::new(),
            configs: Vec::new(),
            max_connections: MAX_CONNECTIONS,
            log_level: Severity::Notice,
            log_file: false,
            unsafe_logging: false,
        }
    }
}
