//! The bridge behind a server: an ORPort, and an Extended ORPort with an authentication of one's choosing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::deadline::{soon, stays_pending};
use super::pt::Pt;
use super::socks;

/// A plain ORPort.
pub(crate) struct OrPort {
    listener: TcpListener,
    /// Where.
    pub(crate) addr: SocketAddr,
}

impl OrPort {
    /// Listens.
    pub(crate) async fn listen() -> Self {
        OrPort::listen_at(([127, 0, 0, 1], 0).into()).await
    }

    /// Listens where it did before.
    pub(crate) async fn listen_at(addr: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        OrPort { listener, addr }
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> TcpStream {
        let (stream, _) = soon("a connection to the ORPort", self.listener.accept())
            .await
            .unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Asserts that nobody connects for a while.
    pub(crate) async fn assert_unused(&self, window: Duration) {
        stays_pending(window, "the ORPort was dialled", self.listener.accept()).await;
    }
}

/// The header of tor's cookie file.
pub(crate) const COOKIE_HEADER: &[u8; 32] = b"! Extended ORPort Auth Cookie !\x0a";

/// An Extended ORPort and its cookie.
pub(crate) struct ExtOrPort {
    port: OrPort,
    cookie: [u8; 32],
    folder: TempDir,
}

/// How far a server gets in [`ExtOrPort::authenticate`], and with which lies on our side.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// The authentication types offered, the closing 0 included.
    pub(crate) types: Vec<u8>,
    /// Whether our hash is the right one.
    pub(crate) honest: bool,
    /// The status after the client's hash.
    pub(crate) status: u8,
}

impl Default for Script {
    /// What tor does.
    fn default() -> Self {
        Script {
            types: vec![1, 0],
            honest: true,
            status: 1,
        }
    }
}

/// What a server said about the connection that it brings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// The frames before DONE: command and body.
    pub(crate) frames: Vec<(u16, Vec<u8>)>,
}

impl Introduction {
    /// The body of the first frame with this command, as text.
    pub(crate) fn text(&self, command: u16) -> &str {
        let frame = self.frames.iter().find(|(c, _)| *c == command);
        let (_, body) = frame.unwrap_or_else(|| panic!("no frame {command} in {self:?}"));
        std::str::from_utf8(body).unwrap()
    }
}

impl ExtOrPort {
    /// Listens, with a fresh cookie in a file.
    pub(crate) async fn listen() -> Self {
        let mut cookie = [0; 32];
        getrandom::fill(&mut cookie).unwrap();
        let ext = ExtOrPort {
            port: OrPort::listen().await,
            cookie,
            folder: tempfile::tempdir().unwrap(),
        };
        ext.write_cookie(&ext.cookie_bytes());
        ext
    }

    /// Where.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.port.addr
    }

    /// The cookie file.
    pub(crate) fn cookie_file(&self) -> PathBuf {
        self.folder.path().join("extended_orport_auth_cookie")
    }

    /// The secret in it.
    pub(crate) fn cookie(&self) -> &[u8; 32] {
        &self.cookie
    }

    /// What the file should hold.
    pub(crate) fn cookie_bytes(&self) -> Vec<u8> {
        [COOKIE_HEADER.as_slice(), &self.cookie].concat()
    }

    /// Puts something into the cookie file.
    pub(crate) fn write_cookie(&self, bytes: &[u8]) {
        std::fs::write(self.cookie_file(), bytes).unwrap();
    }

    /// Takes another cookie into use, as a tor that was restarted does.
    pub(crate) fn renew_cookie(&mut self) {
        getrandom::fill(&mut self.cookie).unwrap();
        self.write_cookie(&self.cookie_bytes());
    }

    /// The next connection, before a byte is exchanged.
    pub(crate) async fn accept(&self) -> TcpStream {
        self.port.accept().await
    }

    /// Asserts that nobody connects for a while.
    pub(crate) async fn assert_unused(&self, window: Duration) {
        self.port.assert_unused(window).await;
    }

    /// Authenticates as tor does and reads the frames up to DONE. The answer is the caller's matter.
    pub(crate) async fn greet(&self, stream: &mut TcpStream) -> Introduction {
        self.authenticate(stream, &Script::default()).await.unwrap();
        introduction(stream).await
    }

    /// The next connection, authenticated, introduced and accepted: payload from here on.
    pub(crate) async fn welcome(&self) -> (TcpStream, Introduction) {
        let mut stream = self.accept().await;
        let introduction = self.greet(&mut stream).await;
        answer(&mut stream, 0x1000, b"").await;
        (stream, introduction)
    }

    /// Plays the authentication by a script. An error says how far the server went along.
    pub(crate) async fn authenticate(
        &self,
        stream: &mut TcpStream,
        script: &Script,
    ) -> Result<(), &'static str> {
        soon("authentication on the Extended ORPort", async {
            stream.write_all(&script.types).await.ok();
            let chosen = stream.read_u8().await.map_err(|_| "closed at the types")?;
            assert_eq!(chosen, 1, "SAFE_COOKIE is the type to choose");
            let mut client_nonce = [0; 32];
            stream
                .read_exact(&mut client_nonce)
                .await
                .map_err(|_| "closed at the nonce")?;
            assert_ne!(client_nonce, [0; 32], "a random nonce");
            let mut nonce = [0; 32];
            getrandom::fill(&mut nonce).unwrap();
            let nonces = [client_nonce, nonce].concat();
            let mut ours = self.hash(b"server-to-client", &nonces);
            if !script.honest {
                ours[31] ^= 1;
            }
            stream.write_all(&[ours, nonce].concat()).await.ok();
            let mut theirs = [0; 32];
            stream
                .read_exact(&mut theirs)
                .await
                .map_err(|_| "closed at the client's hash")?;
            assert_eq!(theirs, self.hash(b"client-to-server", &nonces));
            stream.write_all(&[script.status]).await.ok();
            Ok(())
        })
        .await
    }

    fn hash(&self, direction: &[u8], nonces: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.cookie).expect("any length will do");
        mac.update(b"ExtORPort authentication ");
        mac.update(direction);
        mac.update(b" hash");
        mac.update(nonces);
        mac.finalize().into_bytes().into()
    }
}

/// Reads frames up to DONE.
pub(crate) async fn introduction(stream: &mut TcpStream) -> Introduction {
    let mut frames = Vec::new();
    soon("frames up to DONE", async {
        loop {
            let command = stream.read_u16().await.expect("a command");
            let mut body = vec![0; stream.read_u16().await.expect("a length").into()];
            stream.read_exact(&mut body).await.expect("a body");
            if command == 0 {
                assert!(body.is_empty(), "DONE has no body");
                return;
            }
            frames.push((command, body));
        }
    })
    .await;
    Introduction { frames }
}

/// One frame.
pub(crate) fn frame(command: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = command.to_be_bytes().to_vec();
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Sends one frame.
pub(crate) async fn answer(stream: &mut TcpStream, command: u16, body: &[u8]) {
    stream.write_all(&frame(command, body)).await.unwrap();
}

/// Both ends of one connection through a client's transport: the application's and the network's.
pub(crate) async fn opened(pt: &Pt, name: &str, args: &[u8]) -> (TcpStream, TcpStream) {
    let far = OrPort::listen().await;
    let addr = pt.method(name).await.addr;
    let near = socks::open(addr, &far.addr.into(), args)
        .await
        .unwrap_or_else(|e| panic!("{e:?}\n{}", pt.story()));
    (near, far.accept().await)
}
