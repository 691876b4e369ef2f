//! What the operator asked for on the command line; the rest of a run comes from the parent's environment.

use crate::error::Severity;
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
    /// Connections at a time, if not the default of the side.
    pub max_connections: Option<usize>,
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
            max_connections: None,
            log_level: Severity::Notice,
            log_file: false,
            unsafe_logging: false,
        }
    }
}
