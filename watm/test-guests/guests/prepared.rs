//! Has a set-up run, remembers handshakes, and can break at any point of one.
//!
//! Set-up counts its runs in `/state/starts`, leaves a note in `/state/note.txt`, and answers with its configuration's
//! `answer`, or with deadlines of a second and the count. A hello is `G` and fifteen bytes that were not seen before; where
//! the configuration says so (`at`), a listener breaks instead of answering it: from its second instance on, since the
//! first is the host's trial.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::folder::{REPLAY, STATE};
use watm_sdk::json::{Object, Value};
use watm_sdk::raw::{Slot, random_get};
use watm_sdk::role::{Part, SetUp};
use watm_sdk::{Config, Conn, Dialer, Duplex, Errno, Folder, Identity, Listener, Transport};

const MAX_TEXT: usize = 1024;
const HELLO: usize = 16;

struct Prepared {
    at: Option<At>,
}

/// Where a listener breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Init,
    Unaccepted,
    Accepted,
    Reading,
    Fd,
    Exit,
    Spin,
    Memory,
    Stack,
    Refuse,
}

fn at_of(name: &[u8]) -> Option<At> {
    Some(match name {
        b"init" => At::Init,
        b"unaccepted" => At::Unaccepted,
        b"accepted" => At::Accepted,
        b"reading" => At::Reading,
        b"fd" => At::Fd,
        b"exit" => At::Exit,
        b"spin" => At::Spin,
        b"memory" => At::Memory,
        b"stack" => At::Stack,
        b"refuse" => At::Refuse,
        _ => return None,
    })
}

/// The text of a key in the configuration.
fn text(config: Config<'_>, key: &str, space: &mut [u8; MAX_TEXT]) -> Result<Option<usize>, Errno> {
    let Some(config) = config.read()? else {
        return Ok(None);
    };
    let object = Object::parse(config).map_err(|_| Errno::INVAL)?;
    let Some(Value::Text(value)) = object.get(key) else {
        return Ok(None);
    };
    let mut len = 0;
    for byte in value.bytes() {
        *space.get_mut(len).ok_or(Errno::FBIG)? = byte;
        len += 1;
    }
    Ok(Some(len))
}

static TEXT: Slot<[u8; MAX_TEXT]> = Slot::new([0; MAX_TEXT]);

impl SetUp for Prepared {
    fn set_up(part: Part, config: Config<'_>, answer: Conn) -> Result<(), Errno> {
        let state = Folder::find(STATE).ok_or(Errno::NOENT)?;
        let mut starts = [0];
        state.read(b"starts", &mut starts)?;
        let starts = (starts[0].max(b'0') - b'0' + 1) % 10;
        state.write(b"starts", &[b'0' + starts])?;
        state.write(b"note.txt", b"made by the set-up run\n")?;
        if part != Part::Listener {
            return Ok(());
        }
        TEXT.enter(|space| match text(config, "answer", space)? {
            Some(len) if matches!(&space[..len], b"refuse") => Err(Errno::INVAL),
            Some(len) if matches!(&space[..len], b"trap") => panic!("as told"),
            Some(len) => answer.write_all(&space[..len]),
            None => {
                answer.write_all(br#"{"version":1,"args":{"starts":""#)?;
                answer.write_all(&[b'0' + starts])?;
                answer.write_all(br#""},"handshake_ms":1000,"quiet_close_ms":1500,"end":"fin"}"#)
            }
        })
    }
}

impl Transport for Prepared {
    type Session = Duplex<Identity, Identity>;

    fn init(config: Config<'_>) -> Result<Self, Errno> {
        let at = TEXT.enter(|space| {
            let len = text(config, "at", space)?;
            Ok(len.and_then(|len| at_of(&space[..len])))
        })?;
        let is_first = match Folder::find(REPLAY) {
            Some(replay) => replay.is_new(b"the host's trial")?,
            None => true,
        };
        let at = at.filter(|_| !is_first);
        if at == Some(At::Init) {
            panic!("as told");
        }
        Ok(Prepared { at })
    }
}

impl Dialer for Prepared {
    fn dial(&mut self, inner: Conn) -> Result<Self::Session, Errno> {
        let outer = Conn::dial_fixed()?;
        let mut hello = [b'G'; HELLO];
        random_get(&mut hello[1..])?;
        outer.write_all(&hello)?;
        Ok(Duplex::new(inner, outer, Identity, Identity))
    }
}

impl Listener for Prepared {
    fn accept(&mut self, inner: Conn) -> Result<Self::Session, Errno> {
        if self.at == Some(At::Unaccepted) {
            panic!("as told");
        }
        let outer = Conn::accept()?;
        if self.at == Some(At::Accepted) {
            panic!("as told");
        }
        let mut hello = [0; HELLO];
        if self.at == Some(At::Reading) {
            outer.read_exact(&mut hello[..4])?;
            panic!("as told");
        }
        outer.read_exact(&mut hello)?;
        match self.at {
            Some(At::Fd) => return Ok(Duplex::new(inner, inner, Identity, Identity)),
            Some(At::Exit) => exit(),
            Some(At::Spin) => spin(),
            Some(At::Memory) => grow(),
            Some(At::Stack) => drop(deep(1)),
            Some(At::Refuse) => return Err(Errno::PERM),
            _ => {}
        }
        let replay = Folder::find(REPLAY).ok_or(Errno::NOENT)?;
        if hello[0] != b'G' || !replay.is_new(&hello)? {
            return Err(Errno::PROTO);
        }
        Ok(Duplex::new(inner, outer, Identity, Identity))
    }
}

fn exit() {
    #[cfg(target_family = "wasm")]
    watm_sdk::raw::preview1::proc_exit(3);
}

fn spin() {
    let mut n = 0u64;
    while core::hint::black_box(n) < u64::MAX {
        n += 1;
    }
}

/// Takes all the memory that there is, and then some.
fn grow() {
    #[cfg(target_family = "wasm")]
    while core::arch::wasm32::memory_grow(0, 64) != usize::MAX {}
    panic!("as told");
}

#[allow(unconditional_recursion, reason = "until the stack ends")]
fn deep(n: u64) -> u64 {
    let here = core::hint::black_box([n; 32]);
    deep(n + 1) + here[(n % 32) as usize]
}

watm_sdk::export!(Prepared: dialer, listener, set_up);
