//! The module's configuration: the file `/conf/watm.cfg` that the host may have laid out.
//!
//! In: the host's preopened directories. Out: the file's bytes, or `None` when the operator gave
//! no configuration. What can go wrong: a file of more than 64 KiB is [`Errno::FBIG`]; what the
//! bytes mean is for the transport to judge.

use crate::errno::Errno;
use crate::folder::Folder;

/// The longest configuration that is read.
pub const MAX_CONFIG: usize = 64 << 10;

const FOLDER: &[u8] = b"/conf/";
const FILE: &[u8] = b"watm.cfg";

/// The configuration, not read yet: a transport that needs none costs no host call.
pub struct Config<'a> {
    space: &'a mut [u8],
}

impl<'a> Config<'a> {
    pub(crate) fn new(space: &'a mut [u8]) -> Config<'a> {
        Config { space }
    }

    /// The whole file, or `None` when there is none.
    pub fn read(self) -> Result<Option<&'a [u8]>, Errno> {
        let Some(folder) = Folder::find(FOLDER) else {
            return Ok(None);
        };
        let read = folder.read(FILE, self.space)?;
        Ok(read.map(|n| &self.space[..n]))
    }
}
