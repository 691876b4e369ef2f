//! What a guest is given besides its two streams. What is not here, it has not.

use std::collections::BTreeMap;
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
