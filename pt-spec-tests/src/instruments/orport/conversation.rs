//! One connection to an Extended ORPort: tor's side of the authentication and of the frames (ext-orport-spec 2 and 3),
//! honest or not.
//!
//! In: what the server says. Out: a record of it, and answers of the case's choosing. Can go wrong: a server that
//! breaks off is an observation; what it said until then stands in the [`Conversation`].

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::instruments::socks::segments;
use crate::instruments::wire::{Cut, Ended, SOON, read_exactly, write_all};
use crate::verdict::{Failure, Verdict};

/// The server has said all about the connection.
pub const DONE: u16 = 0x0000;
/// The client's address and port.
pub const USERADDR: u16 = 0x0001;
/// The transport's name.
pub const TRANSPORT: u16 = 0x0002;
/// tor takes the connection.
pub const OKAY: u16 = 0x1000;
/// tor does not want the connection.
pub const DENY: u16 = 0x1001;

/// More frames than this before DONE are a flood.
const MOST_FRAMES: usize = 64;

/// What may come unasked and is kept of it.
const MOST_EARLY: usize = 64 << 10;

/// How tor's side of the authentication goes.
#[derive(Clone, Debug)]
pub struct Script {
    /// The authentication types offered, the closing 0 included.
    pub types: Vec<u8>,
    /// Whether our hash is the right one.
    pub honest: bool,
    /// The status after the client's hash.
    pub status: u8,
    /// Whether everything that tor sends, the answer to DONE included, comes in segments of one byte.
    pub bytewise: bool,
}

impl Default for Script {
    /// What tor does.
    fn default() -> Self {
        Script {
            types: vec![1, 0],
            honest: true,
            status: 1,
            bytewise: false,
        }
    }
}

/// A command and its body.
pub type Frame = (u16, Vec<u8>);

/// One connection to an Extended ORPort and what the server said on it.
#[derive(Debug)]
pub struct Conversation {
    /// The connection; payload after [`OKAY`].
    pub stream: TcpStream,
    /// The authentication type that the server chose.
    pub chosen: Option<u8>,
    /// Its nonce.
    pub nonce: Option<[u8; 32]>,
    /// Whether its hash, if it sent one, was right for the cookie.
    pub hash_right: Option<bool>,
    /// Its frames in order, DONE included.
    pub frames: Vec<Frame>,
    /// What came after DONE and before our answer.
    pub early: Vec<u8>,
    cookie: [u8; 32],
    ours: [u8; 32],
    bytewise: bool,
}

impl Conversation {
    /// A connection on which nothing has been said, to be checked against this cookie.
    pub(super) fn new(stream: TcpStream, cookie: [u8; 32]) -> Verdict<Conversation> {
        Ok(Conversation {
            stream,
            chosen: None,
            nonce: None,
            hash_right: None,
            frames: Vec::new(),
            early: Vec::new(),
            cookie,
            ours: random()?,
            bytewise: false,
        })
    }

    /// Plays the authentication by a script, up to and including the status. A cut says that the server did not go
    /// along; [`chosen`](Conversation::chosen) and [`nonce`](Conversation::nonce) tell how far it came.
    pub async fn authenticate(&mut self, script: &Script) -> Result<(), Cut> {
        self.bytewise = script.bytewise;
        self.send(&script.types).await;
        self.chosen = Some(self.read::<1>().await?[0]);
        let theirs = self.read().await?;
        self.nonce = Some(theirs);
        let ours = self.ours;
        let mut hash = server_hash(&self.cookie, &theirs, &ours);
        if !script.honest {
            hash[31] ^= 1;
        }
        self.send(&[hash, ours].concat()).await;
        let hash = self.read::<32>().await?;
        self.hash_right = Some(hash == client_hash(&self.cookie, &theirs, &ours));
        self.send(&[script.status]).await;
        Ok(())
    }

    /// Reads frames up to DONE.
    pub async fn introduction(&mut self) -> Result<(), Cut> {
        for _ in 0..MOST_FRAMES {
            let [c0, c1, l0, l1] = self.read().await?;
            let length = u16::from_be_bytes([l0, l1]).into();
            let body = read_exactly(&mut self.stream, length, SOON).await?;
            let command = u16::from_be_bytes([c0, c1]);
            self.frames.push((command, body));
            if command == DONE {
                return Ok(());
            }
        }
        Err(Cut {
            got: Vec::new(),
            ended: Ended::Flood,
        })
    }

    /// The body of the first frame with this command.
    pub fn body(&self, command: u16) -> Option<&[u8]> {
        let mut frames = self.frames.iter();
        frames
            .find(|(found, _)| *found == command)
            .map(|(_, body)| body.as_slice())
    }

    /// Waits up to `window` for something that comes before it may, and keeps it in [`early`](Conversation::early).
    pub async fn wait_for_early(&mut self, window: Duration) -> Ended {
        let mut buffer = vec![0; MOST_EARLY];
        let seen = match timeout(window, self.stream.read(&mut buffer)).await {
            Err(_) => return Ended::Silent,
            Ok(Err(_)) => return Ended::Reset,
            Ok(Ok(0)) => return Ended::Eof,
            Ok(Ok(n)) => &buffer[..n],
        };
        self.early.extend_from_slice(seen);
        Ended::Silent
    }

    /// Sends one frame; what is there before it is kept in [`early`](Conversation::early).
    pub async fn answer(&mut self, command: u16, body: &[u8]) {
        self.wait_for_early(Duration::ZERO).await;
        self.send(&frame(command, body)).await;
    }

    async fn read<const N: usize>(&mut self) -> Result<[u8; N], Cut> {
        let got = read_exactly(&mut self.stream, N, SOON).await?;
        Ok(got.try_into().expect("a read of N bytes gives N"))
    }

    /// A server that has gone is the next read's matter.
    async fn send(&mut self, bytes: &[u8]) {
        if self.bytewise {
            let _ = segments::bytewise(&mut self.stream, bytes).await;
        } else {
            let _ = write_all(&mut self.stream, bytes, SOON).await;
        }
    }
}

/// One frame's bytes.
pub fn frame(command: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    [&command.to_be_bytes(), &length.to_be_bytes(), body].concat()
}

/// tor's hash over both nonces (ext-orport-spec 2).
pub fn server_hash(cookie: &[u8; 32], client: &[u8; 32], server: &[u8; 32]) -> [u8; 32] {
    hash("server-to-client", cookie, client, server)
}

/// The transport's hash over both nonces.
pub fn client_hash(cookie: &[u8; 32], client: &[u8; 32], server: &[u8; 32]) -> [u8; 32] {
    hash("client-to-server", cookie, client, server)
}

fn hash(direction: &str, cookie: &[u8; 32], client: &[u8; 32], server: &[u8; 32]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(cookie).expect("HMAC takes a key of any length");
    mac.update(format!("ExtORPort authentication {direction} hash").as_bytes());
    mac.update(client);
    mac.update(server);
    mac.finalize().into_bytes().into()
}

/// A cookie or a nonce.
pub(super) fn random() -> Verdict<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::Instrument(error.to_string()))?;
    Ok(bytes)
}
