//! An Extended ORPort (ext-orport-spec): where it listens, and the cookie that a server has to know.
//!
//! In: connections. Out: [`Conversation`]s, and a cookie file with whatever a case wants in it. Can go wrong: a
//! connection that does not come, or comes unwanted, is the executable's doing; a file that cannot be written is the
//! machine's.

use std::cell::Cell;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::OrPort;
use super::conversation::{Conversation, OKAY, Script, random};
use crate::instruments::wire::{Cut, SOON, hex};
use crate::verdict::{Failure, Verdict, ensure};

/// The header of tor's cookie file.
pub const COOKIE_HEADER: &[u8; 32] = b"! Extended ORPort Auth Cookie !\x0a";

/// An Extended ORPort and its cookie file.
#[derive(Debug)]
pub struct ExtOrPort {
    port: OrPort,
    cookie: Cell<[u8; 32]>,
    file: PathBuf,
}

impl ExtOrPort {
    /// Listens, with a fresh cookie in a file in `scratch`.
    pub async fn listen(scratch: &Path) -> Verdict<ExtOrPort> {
        let port = OrPort::listen().await?;
        // The port makes it another file than that of a second one in the same folder.
        let name = format!("extended_orport_auth_cookie_{}", port.addr().port());
        let ext = ExtOrPort {
            port,
            cookie: Cell::default(),
            file: scratch.join(name),
        };
        ext.renew_cookie()?;
        Ok(ext)
    }

    /// Where.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// The cookie file.
    pub fn cookie_file(&self) -> &Path {
        &self.file
    }

    /// The secret in it.
    pub fn cookie(&self) -> [u8; 32] {
        self.cookie.get()
    }

    /// What the file should hold.
    pub fn cookie_bytes(&self) -> Vec<u8> {
        [*COOKIE_HEADER, self.cookie()].concat()
    }

    /// Puts something else into the cookie file; what the port expects stays as it is.
    #[expect(
        clippy::disallowed_methods,
        reason = "a file in a scratch folder of the suite's own"
    )]
    pub fn write_cookie(&self, bytes: &[u8]) -> Verdict {
        Ok(fs::write(&self.file, bytes)?)
    }

    /// Takes another cookie into use, as a tor that was restarted does.
    pub fn renew_cookie(&self) -> Verdict {
        self.cookie.set(random()?);
        self.write_cookie(&self.cookie_bytes())
    }

    /// Deletes the cookie file.
    pub fn remove_cookie(&self) -> Verdict {
        Ok(fs::remove_file(&self.file)?)
    }

    /// The next connection, before a byte is exchanged. It is checked against the cookie of this moment.
    pub async fn accept(&self, within: Duration) -> Verdict<Conversation> {
        Conversation::new(self.port.accept(within).await?, self.cookie())
    }

    /// The next connection, authenticated, introduced and taken with OKAY, as tor does: payload from here on.
    pub async fn welcome(&self) -> Verdict<Conversation> {
        let mut server = self.accept(SOON).await?;
        if let Err(cut) = server.authenticate(&Script::default()).await {
            let nonce = server.nonce.is_some();
            return Err(broken(
                &format!("authentication ended (nonce sent: {nonce})"),
                &cut,
            ));
        }
        ensure!(
            server.chosen == Some(1),
            "authentication type {:?} was chosen",
            server.chosen
        );
        ensure!(
            server.hash_right == Some(true),
            "the client's hash is not that of the cookie"
        );
        if let Err(cut) = server.introduction().await {
            return Err(broken(
                &format!("no DONE after the frames {:x?}", server.frames),
                &cut,
            ));
        }
        server.answer(OKAY, b"").await;
        ensure!(
            server.early.is_empty(),
            "{} came before OKAY",
            hex(&server.early)
        );
        Ok(server)
    }

    /// Finds out that nobody connects in `window`, and that nobody has but those that were accepted.
    pub async fn unused(&self, window: Duration) -> Verdict {
        self.port.unused(window).await
    }

    /// How many connections there have been, accepted by a case or not.
    pub fn connections_so_far(&self) -> usize {
        self.port.connections_so_far()
    }
}

fn broken(what: &str, cut: &Cut) -> Failure {
    Failure::Deviation(format!("{what}: the ExtORPort connection is {cut}"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;
    use crate::instruments::orport::{
        DENY, DONE, TRANSPORT, USERADDR, client_hash, frame, server_hash,
    };
    use crate::instruments::wire::{Ended, dial, read_exactly, read_to_end};

    /// A server of a transport, as short as it gets.
    async fn server(ext: &ExtOrPort, lie: u8) -> TcpStream {
        let cookie = ext.cookie();
        let mut stream = dial(ext.addr()).await.expect("listens");
        while read_exactly(&mut stream, 1, SOON).await.expect("a type") != [0] {}
        let nonce = [9; 32];
        stream
            .try_write(&[&[1], &nonce[..]].concat())
            .expect("room");
        let answer = read_exactly(&mut stream, 64, SOON)
            .await
            .expect("hash and nonce");
        let theirs: [u8; 32] = answer[32..].try_into().expect("half of it");
        if answer[..32] != server_hash(&cookie, &nonce, &theirs) {
            return stream;
        }
        let mut hash = client_hash(&cookie, &nonce, &theirs);
        hash[0] ^= lie;
        let frames = [
            frame(USERADDR, b"1.2.3.4:5"),
            frame(TRANSPORT, b"x"),
            frame(DONE, b""),
        ];
        stream
            .try_write(&[&hash[..], &frames.concat()].concat())
            .expect("room");
        stream
    }

    #[tokio::test]
    async fn an_honest_server_is_welcome() {
        let scratch = tempfile::tempdir().expect("a folder");
        let ext = ExtOrPort::listen(scratch.path())
            .await
            .expect("a free port");
        let (met, mut server) = tokio::join!(ext.welcome(), server(&ext, 0));
        let met = met.expect("honest");
        assert_eq!(met.frames.len(), 3);
        assert_eq!(met.body(USERADDR), Some(&b"1.2.3.4:5"[..]));
        assert_eq!(met.nonce, Some([9; 32]));
        drop(met);
        let (said, _) = read_to_end(&mut server, SOON).await;
        assert_eq!(said, [1, 0x10, 0, 0, 0], "the status and OKAY");
    }

    #[tokio::test]
    async fn lies_are_noticed_on_both_sides() {
        let scratch = tempfile::tempdir().expect("a folder");
        let ext = ExtOrPort::listen(scratch.path())
            .await
            .expect("a free port");
        let (met, _server) = tokio::join!(ext.welcome(), server(&ext, 1));
        let told = met.expect_err("a lie").to_string();
        assert!(told.contains("not that of the cookie"), "{told}");

        let script = Script {
            honest: false,
            types: vec![2, 1, 0],
            bytewise: true,
            ..Script::default()
        };
        let play = async {
            let mut met = ext.accept(SOON).await.expect("comes");
            let cut = met
                .authenticate(&script)
                .await
                .expect_err("the server hangs up");
            (met, cut)
        };
        let ((met, cut), ()) = tokio::join!(play, async { drop(server(&ext, 0).await) });
        assert_eq!(
            cut,
            Cut {
                got: Vec::new(),
                ended: Ended::Eof
            }
        );
        assert_eq!((met.chosen, met.hash_right), (Some(1), None));
    }

    #[tokio::test]
    async fn bytes_before_okay_are_kept() {
        let scratch = tempfile::tempdir().expect("a folder");
        let ext = ExtOrPort::listen(scratch.path())
            .await
            .expect("a free port");
        let mut hasty = dial(ext.addr()).await.expect("listens");
        let mut met = ext.accept(SOON).await.expect("comes");
        hasty
            .try_write(&[&frame(DONE, b""), &b"payload"[..]].concat())
            .expect("room");
        met.introduction().await.expect("DONE");
        assert_eq!(met.wait_for_early(SOON).await, Ended::Silent);
        assert_eq!(met.early, b"payload");
        met.answer(DENY, b"").await;
        assert_eq!(
            read_exactly(&mut hasty, 4, SOON).await.expect("a frame"),
            [0x10, 1, 0, 0]
        );
        drop(hasty);
        assert_eq!(met.wait_for_early(SOON).await, Ended::Eof);
    }

    #[tokio::test]
    async fn the_cookie_file_does_what_the_case_wants() {
        let scratch = tempfile::tempdir().expect("a folder");
        let ext = ExtOrPort::listen(scratch.path())
            .await
            .expect("a free port");
        let first = fs::read(ext.cookie_file()).expect("written");
        assert_eq!((first.len(), &first[..32]), (64, &COOKIE_HEADER[..]));
        ext.renew_cookie().expect("writable");
        assert_ne!(fs::read(ext.cookie_file()).expect("written"), first);
        ext.write_cookie(b"short").expect("writable");
        assert_eq!(fs::read(ext.cookie_file()).expect("written"), b"short");
        ext.remove_cookie().expect("there");
        assert!(!ext.cookie_file().exists());
    }
}
