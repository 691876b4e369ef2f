//! What a guest is given besides its two streams. What is not here, it has not.

use super::prints::Output;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Grants are shared by all connections of a transport, the configuration aside; cloning them copies nothing.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// What becomes `/conf/watm.cfg` (v1), or what `pull_config` opens (v0).
    pub conf: Option<Arc<[u8]>>,
    /// The command line, the program's name first.
    pub argv: Arc<[String]>,
    /// The environment: names and values.
    pub env: Arc<[(String, String)]>,
    /// Folders to read.
    pub folders: Arc<[Folder]>,
    /// The transport's own files, as `/state/`.
    pub state: Option<Arc<Files>>,
    /// What remembers handshakes, as `/replay/`.
    pub replay: Option<Arc<dyn Replay>>,
    /// Hears what the guest prints.
    pub output: Option<Arc<dyn Output>>,
    /// How the network's end behaves.
    pub wire: Wire,
}

/// What can be seen of a transport from the network besides its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// A connection that was lost ends with FIN there, not with RST.
    pub always_fin: bool,
    /// Each write of the guest is one to the socket, where it has room: the lengths are part of the disguise.
    pub whole_writes: bool,
}

/// Remembers what was seen, for all instances of a transport.
pub trait Replay: fmt::Debug + Send + Sync {
    /// Takes note of a digest; false if it was noted before. `digest` is 16 to 128 hexadecimal digits.
    fn is_new(&self, digest: &str) -> bool;
}

/// A folder as a guest sees it: a copy in memory, read-only.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Its path in the guest, from `/` and without one at the end: `/data`.
    pub name: String,
    /// What is in it.
    pub files: Arc<Files>,
}

/// Files by their path below the folder, `/` between the parts.
pub type Files = BTreeMap<String, Arc<[u8]>>;

impl From<Option<Arc<[u8]>>> for Grants {
    fn from(conf: Option<Arc<[u8]>>) -> Self {
        Grants {
            conf,
            ..Grants::default()
        }
    }
}

impl Grants {
    /// The same with this configuration.
    pub fn with_conf(&self, conf: Option<Arc<[u8]>>) -> Self {
        Grants {
            conf,
            ..self.clone()
        }
    }
}
