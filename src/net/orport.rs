//! The way into the relay: its ORPort, or its ExtORPort, which hears who the client is (ext-orport-spec).
//!
//! In: where it is, the client's address, the transport's name. Out: a connection on which the next
//! byte is the relay's payload. What can go wrong is [`Failure::OrPort`] with the remedy in its text.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::dial::{Dial, Target};
use crate::error::Failure;

/// How long connecting and the whole exchange may take. goptlib has the same limit.
pub const LIMIT: Duration = Duration::from_secs(5);

/// How the relay is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrPort {
    /// Payload from the first byte on.
    Plain(SocketAddr),
    /// Authentication with the cookie, then the client's address, then payload.
    Extended {
        /// Where it listens.
        addr: SocketAddr,
        /// The file with the cookie. It is read for each connection: tor may write it after it has
        /// started us, and writes a new one whenever it starts itself.
        cookie: PathBuf,
    },
}

impl OrPort {
    /// Connects for a client at `peer` who came through `transport`, within [`LIMIT`].
    ///
    /// `dial` gives the source addresses. Its proxy is for bridges and is not used.
    pub async fn connect(
        &self,
        dial: &Dial,
        peer: SocketAddr,
        transport: &str,
    ) -> Result<TcpStream, Failure> {
        self.connect_within(LIMIT, dial, peer, transport).await
    }

    async fn connect_within(
        &self,
        limit: Duration,
        dial: &Dial,
        peer: SocketAddr,
        transport: &str,
    ) -> Result<TcpStream, Failure> {
        let dial = Dial {
            proxy: None,
            timeout: limit,
            ..dial.clone()
        };
        let exchange = async {
            match self {
                OrPort::Plain(addr) => open(&dial, *addr, "ORPort").await,
                OrPort::Extended { addr, cookie } => {
                    let mut stream = open(&dial, *addr, "ExtORPort").await?;
                    let mut nonce = [0; 32];
                    getrandom::fill(&mut nonce)
                        .map_err(|_| Failure::Host("no random numbers to be had".to_owned()))?;
                    authenticate(&mut stream, &nonce, || read_cookie(cookie)).await?;
                    introduce(&mut stream, peer, transport).await?;
                    Ok(stream)
                }
            }
        };
        timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| Err(refused("the relay's ExtORPort did not answer in time")))
    }
}

fn refused(text: impl Into<String>) -> Failure {
    Failure::OrPort(text.into())
}

async fn open(dial: &Dial, addr: SocketAddr, port: &str) -> Result<TcpStream, Failure> {
    dial.connect(&Target::Ip(addr)).await.map_err(|failure| {
        let why = match failure {
            Failure::Descriptors | Failure::BindAddress => return failure,
            Failure::Refused => "refused the connection (is tor running?)",
            Failure::DialTimeout => "did not answer in time",
            _ => "cannot be reached (see the ORPort and ExtORPort lines in torrc)",
        };
        refused(format!("the relay's {port} {why}"))
    })
}

// ---- Authentication (ext-orport-spec, SAFE_COOKIE)

const COOKIE_HEADER: &[u8; 32] = b"! Extended ORPort Auth Cookie !\n";
const SERVER_TO_CLIENT: &[u8] = b"ExtORPort authentication server-to-client hash";
const CLIENT_TO_SERVER: &[u8] = b"ExtORPort authentication client-to-server hash";
const SAFE_COOKIE: u8 = 1;

async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    client_nonce: &[u8; 32],
    read_cookie: impl FnOnce() -> Result<[u8; 32], Failure>,
) -> Result<(), Failure> {
    choose_method(stream).await?;
    write(stream, &[SAFE_COOKIE]).await?;
    write(stream, client_nonce).await?;
    let server_hash: [u8; 32] = read(stream).await?;
    let server_nonce: [u8; 32] = read(stream).await?;

    // As late as can be, so that a tor that is still starting has written it.
    let cookie = read_cookie()?;
    let expected = hash(&cookie, SERVER_TO_CLIENT, client_nonce, &server_nonce);
    if !bool::from(expected.ct_eq(&server_hash)) {
        // Whoever it is gets no hash of ours to try cookies against.
        return Err(refused(
            "the ExtORPort does not know the cookie in ExtORPortCookieAuthFile (is it another tor's?)",
        ));
    }
    let ours = hash(&cookie, CLIENT_TO_SERVER, client_nonce, &server_nonce);
    write(stream, &ours).await?;
    match read(stream).await? {
        [1] => Ok(()),
        [_] => Err(refused("the ExtORPort did not accept the cookie")),
    }
}

/// Reads the offered methods up to the zero that ends them; there are at most 255.
async fn choose_method<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(), Failure> {
    let mut offered = false;
    for _ in 0..=255 {
        match read(stream).await? {
            [0] if offered => return Ok(()),
            [0] => break,
            [method] => offered |= method == SAFE_COOKIE,
        }
    }
    Err(refused(
        "the ExtORPort does not offer cookie authentication",
    ))
}

fn hash(cookie: &[u8; 32], label: &[u8], client: &[u8; 32], server: &[u8; 32]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(cookie).expect("HMAC takes keys of any length");
    for part in [label, client, server] {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Reads the cookie, in place: 64 bytes from the page cache take less than handing them to a thread.
fn read_cookie(path: &Path) -> Result<[u8; 32], Failure> {
    let content = read_small_file(path).map_err(|error| {
        let why = error.kind();
        refused(format!("cannot read ExtORPortCookieAuthFile: {why}"))
    })?;
    parse_cookie(&content)
        .ok_or_else(|| refused("ExtORPortCookieAuthFile does not hold a cookie of tor's"))
}

fn read_small_file(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe or a device could wait for ever.
    if !path.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut content = Vec::new();
    // One byte more than a cookie has, to see that there is more.
    File::open(path)?.take(65).read_to_end(&mut content)?;
    Ok(content)
}

fn parse_cookie(content: &[u8]) -> Option<[u8; 32]> {
    content.strip_prefix(COOKIE_HEADER)?.try_into().ok()
}

// ---- The client's introduction (ext-orport-spec section 3)

const DONE: u16 = 0x0000;
const USERADDR: u16 = 0x0001;
const TRANSPORT: u16 = 0x0002;
const OKAY: u16 = 0x1000;
const DENY: u16 = 0x1001;

async fn introduce<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    peer: SocketAddr,
    transport: &str,
) -> Result<(), Failure> {
    write(stream, &introduction(peer, transport)).await?;
    // Payload must wait for this answer: tor closes if anything follows DONE.
    loop {
        let [c1, c2, l1, l2] = read(stream).await?;
        skip(stream, u16::from_be_bytes([l1, l2])).await?;
        match u16::from_be_bytes([c1, c2]) {
            OKAY => return Ok(()),
            DENY => return Err(refused("the ExtORPort denied the connection")),
            // Commands yet to be invented are to be ignored.
            _ => {}
        }
    }
}

fn introduction(peer: SocketAddr, transport: &str) -> Vec<u8> {
    let mut frames = Vec::new();
    // tor closes at a port 0; it takes an introduction without an address.
    if peer.port() != 0 {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        frame(&mut frames, USERADDR, peer.to_string().as_bytes());
    }
    frame(&mut frames, TRANSPORT, transport.as_bytes());
    frame(&mut frames, DONE, b"");
    frames
}

fn frame(frames: &mut Vec<u8>, command: u16, body: &[u8]) {
    let length = u16::try_from(body.len()).expect("an address and a transport's name are short");
    frames.extend_from_slice(&command.to_be_bytes());
    frames.extend_from_slice(&length.to_be_bytes());
    frames.extend_from_slice(body);
}

async fn skip<S: AsyncRead + Unpin>(stream: &mut S, length: u16) -> Result<(), Failure> {
    let mut body = stream.take(u64::from(length));
    let skipped = tokio::io::copy(&mut body, &mut tokio::io::sink()).await;
    match skipped {
        Ok(n) if n == u64::from(length) => Ok(()),
        Ok(_) => Err(broke(&io::ErrorKind::UnexpectedEof.into())),
        Err(error) => Err(broke(&error)),
    }
}

async fn read<S: AsyncRead + Unpin, const N: usize>(stream: &mut S) -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    match stream.read_exact(&mut bytes).await {
        Ok(_) => Ok(bytes),
        Err(error) => Err(broke(&error)),
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), Failure> {
    stream.write_all(bytes).await.map_err(|e| broke(&e))
}

fn broke(_: &io::Error) -> Failure {
    refused("the ExtORPort closed the connection during authentication (see tor's log)")
}

#[cfg(test)]
mod tests;
