//! The set-up run: a bridge's identity and its files, and what obfs4 asks of the host.
//!
//! In: the options, the state that there is. Out: `obfs4_state.json`, `obfs4_bridgeline.txt` and what was computed of them
//! in `/state/`, and the answer. What can go wrong is told in one line; then nothing was written.

use crate::configuration::{Configuration, refused};
use crate::host::HostRandom;
use obfs4_core::burst::Tables;
use obfs4_core::distribution::close_delay_seconds;
use obfs4_core::fault::Fault;
use obfs4_core::identity::{BRIDGE_LINE_FILE, Identity, STATE_FILE};
use obfs4_core::prepared;
use watm_sdk::duplex::with_buffer;
use watm_sdk::folder::STATE;
use watm_sdk::role::{Part, SetUp};
use watm_sdk::{Config, Conn, Errno, Folder, refuse};
use zeroize::Zeroize;

/// The longest state file that is read: people may have laid it out over lines, and added to it.
const MAX_STATE: usize = 64 << 10;
/// How long a client waits for a bridge's answer, and a bridge for a client's message, in milliseconds.
const CLIENT_TIME: &[u8] = b"60000";
const SERVER_TIME: u32 = 30_000;

impl SetUp for crate::Obfs4 {
    fn set_up(part: Part, config: Config<'_>, answer: Conn) -> Result<(), Errno> {
        let configuration = Configuration::read(config)?;
        // A burst is one write, or its length is another; nobody may see a reset where the others send none.
        answer.write_all(br#"{"version":1,"preserve_writes":true,"end":"fin""#)?;
        match part {
            Part::Listener => {
                let bridge = establish(&configuration)?;
                answer.write_all(br#","args":{"cert":""#)?;
                answer.write_all(&bridge.cert())?;
                answer.write_all(br#"","iat-mode":""#)?;
                answer.write_all(&[b'0' + bridge.iat_mode.number()])?;
                answer.write_all(br#""},"replay_seconds":10800,"handshake_ms":"#)?;
                number(answer, SERVER_TIME)?;
                answer.write_all(br#","quiet_close_ms":"#)?;
                let delay = u32::from(close_delay_seconds(&bridge.drbg_seed));
                number(answer, SERVER_TIME + 1000 * delay)?;
            }
            _ => {
                answer.write_all(br#","handshake_ms":"#)?;
                answer.write_all(CLIENT_TIME)?;
            }
        }
        answer.write_all(b"}")
    }
}

fn establish(options: &Configuration) -> Result<Identity, Errno> {
    let folder = Folder::find(STATE).ok_or_else(no_state)?;
    let bridge = stored(folder, |stored, _| {
        Identity::establish(|key| options.get(key), stored, &mut HostRandom)
    })?;
    folder.write(STATE_FILE.as_bytes(), bridge.state().as_bytes())?;
    folder.write(BRIDGE_LINE_FILE.as_bytes(), bridge.bridge_line().as_bytes())?;
    with_buffer(|buffer| {
        let space = buffer.first_chunk_mut().ok_or(Errno::NOMEM)?;
        let length = prepared::write(&bridge, options.is_biased, space);
        folder.write(prepared::FILE.as_bytes(), &space[..length])
    })?;
    Ok(bridge)
}

/// The identity that the set-up run left, and its tables.
pub(crate) fn bridge(is_biased: bool) -> Result<(Identity, Tables), Errno> {
    let folder = Folder::find(STATE).ok_or_else(no_state)?;
    stored(folder, |stored, buffer| {
        // Without this file, or with one that is too long, everything is computed.
        let space = &mut buffer[..prepared::LENGTH];
        let length = folder.read(prepared::FILE.as_bytes(), space);
        let prepared = length.ok().flatten().map(|n| &space[..n]);
        prepared::read(stored.unwrap_or_default(), prepared, is_biased)
    })
}

/// Works with the text of the state file, if there is one, and the rest of the buffer that it lies in.
fn stored<R>(
    folder: Folder,
    work: impl FnOnce(Option<&[u8]>, &mut [u8]) -> Result<R, Fault>,
) -> Result<R, Errno> {
    with_buffer(|buffer| {
        let (rest, space) = buffer.split_at_mut(prepared::LENGTH);
        let space = &mut space[..MAX_STATE];
        let length = folder.read(STATE_FILE.as_bytes(), space);
        let length = length.map_err(|errno| match errno {
            Errno::FBIG => refuse(&[
                b"/state/obfs4_state.json has more than 64 KiB: restore it from a backup, or move it away for a new \
                  identity and bridge line",
            ]),
            other => other,
        })?;
        let found = work(length.map(|n| &space[..n]), rest);
        if let Some(n) = length {
            space[..n].zeroize();
        }
        found.map_err(|fault| refused(&fault))
    })
}

fn no_state() -> Errno {
    refuse(&[b"a bridge needs a host that keeps its state (/state/ and ouzel_setup_v1)"])
}

fn number(answer: Conn, number: u32) -> Result<(), Errno> {
    let mut digits = [b'0'; 10];
    let mut start = digits.len();
    let mut rest = number;
    while start == digits.len() || rest > 0 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    answer.write_all(&digits[start..])
}
