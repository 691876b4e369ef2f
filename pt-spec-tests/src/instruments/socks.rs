//! An application on a SOCKS5 port, by hand: as tor speaks it, or byte by byte.
//!
//! In: messages, legal ([`encode`]) or not. Out: what the port answers, and how the connection ended.
//! Can go wrong: nothing here; a port that hangs up, resets or stays silent is an observation.

mod encode;
pub(super) mod segments;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use encode::{Target, connect, credentials, encode, greeting, request, tor_arguments};

use super::negotiation::Args;
use super::wire::{self, Cut, Ended, SOON, hex};
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// A connection to a SOCKS port, on which a case says exactly what it wants.
#[derive(Debug)]
pub struct Socks {
    /// The connection.
    pub stream: TcpStream,
    /// A write met a RST: the kernel reports it once, so a later read would see an orderly end.
    reset: bool,
}

impl Socks {
    /// Connects.
    pub async fn dial(addr: SocketAddr) -> Verdict<Socks> {
        Ok(Socks::over(wire::dial(addr).await?))
    }

    /// Speaks on a connection that is open already.
    pub fn over(stream: TcpStream) -> Socks {
        Socks {
            stream,
            reset: false,
        }
    }

    /// Sends. A connection that the other side has closed, or does not read from, is the next read's matter.
    pub async fn send(&mut self, bytes: &[u8]) {
        let sent = timeout(SOON, self.stream.write_all(bytes)).await;
        self.note(sent.unwrap_or(Ok(())));
    }

    /// Sends in two segments, the second when there was time to read the first `at` bytes.
    pub async fn send_split(&mut self, bytes: &[u8], at: usize) {
        let (first, second) = bytes.split_at(at.min(bytes.len()));
        self.send(first).await;
        segments::until_read().await;
        self.send(second).await;
    }

    /// Sends every byte in a segment of its own.
    pub async fn send_bytewise(&mut self, bytes: &[u8]) {
        let sent = segments::bytewise(&mut self.stream, bytes).await;
        self.note(sent);
    }

    /// Reads exactly `count` bytes.
    pub async fn read(&mut self, count: usize) -> Result<Vec<u8>, Cut> {
        self.read_within(count, SOON).await
    }

    /// Reads exactly `count` bytes, with a limit of one's own.
    pub async fn read_within(&mut self, count: usize, within: Duration) -> Result<Vec<u8>, Cut> {
        let read = wire::read_exactly(&mut self.stream, count, within).await;
        read.map_err(|Cut { got, ended }| Cut {
            got,
            ended: self.ended(ended),
        })
    }

    /// Reads until the other end closes, resets or `within` is over; gives what came as well.
    pub async fn ends(&mut self, within: Duration) -> (Vec<u8>, Ended) {
        let (got, ended) = wire::read_to_end(&mut self.stream, within).await;
        (got, self.ended(ended))
    }

    /// Reads the reply to a request.
    pub async fn reply(&mut self) -> Result<Reply, Cut> {
        self.reply_within(SOON).await
    }

    /// Reads the reply to a request, with a limit of one's own: a transport's handshake comes before it.
    pub async fn reply_within(&mut self, within: Duration) -> Result<Reply, Cut> {
        let mut raw = self.read_within(4, within).await?;
        let rest = match raw[3] {
            1 => 4 + 2,
            4 => 16 + 2,
            3 => {
                let length = self.more(&mut raw, 1).await?;
                usize::from(length[0]) + 2
            }
            // Its length is unknown.
            _ => 0,
        };
        self.more(&mut raw, rest).await?;
        Ok(Reply {
            code: raw[1],
            atyp: raw[3],
            raw,
        })
    }

    /// Closes our direction: the port reads an end, and may still answer.
    pub async fn finish(&mut self) {
        // It may have hung up before.
        let _ = self.stream.shutdown().await;
    }

    /// Adds `count` bytes to a message; what came of the message goes into the cut.
    async fn more(&mut self, raw: &mut Vec<u8>, count: usize) -> Result<Vec<u8>, Cut> {
        match self.read(count).await {
            Ok(got) => {
                raw.extend(&got);
                Ok(got)
            }
            Err(Cut { got, ended }) => {
                raw.extend(got);
                Err(Cut {
                    got: std::mem::take(raw),
                    ended,
                })
            }
        }
    }

    fn note(&mut self, sent: io::Result<()>) {
        let reset = |error: io::Error| error.kind() == io::ErrorKind::ConnectionReset;
        self.reset |= sent.is_err_and(reset);
    }

    fn ended(&self, seen: Ended) -> Ended {
        if seen == Ended::Eof && self.reset {
            Ended::Reset
        } else {
            seen
        }
    }
}

/// The answer to a request, as it came; a case judges whether it is legal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The REP byte.
    pub code: u8,
    /// The ATYP byte.
    pub atyp: u8,
    /// All of it; only the first four bytes where ATYP is not 1, 3 or 4.
    pub raw: Vec<u8>,
}

impl fmt::Display for Reply {
    /// The code and its name; the bytes as well where they are not a reply of SOCKS5.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x} {}", self.code, name(self.code))?;
        if self.raw[0] != 5 || self.raw[2] != 0 || !matches!(self.atyp, 1 | 3 | 4) {
            write!(f, " (malformed: {})", hex(&self.raw))?;
        }
        Ok(())
    }
}

/// The name of a REP code (RFC 1928 section 6, and the extended codes of socks-extensions).
pub fn name(code: u8) -> &'static str {
    match code {
        0x00 => "succeeded",
        0x01 => "general failure",
        0x02 => "not allowed by ruleset",
        0x03 => "network unreachable",
        0x04 => "host unreachable",
        0x05 => "connection refused",
        0x06 => "TTL expired",
        0x07 => "command not supported",
        0x08 => "address type not supported",
        0xf0..=0xf7 => "extended onion service error",
        _ => "unassigned",
    }
}

/// The whole conversation as tor has it (pt-spec 3.5): `00 02` offered where there are arguments, else only `00`; every
/// step waits for the answer to the one before. `within` is for the reply to CONNECT, whatever its code says.
pub async fn open(
    addr: SocketAddr,
    args: &Args,
    target: &Target,
    within: Duration,
) -> Verdict<(TcpStream, Reply)> {
    let mut socks = Socks::dial(addr).await?;
    if args.is_empty() {
        socks.send(&greeting(&[0])).await;
        let answer = socks
            .read(2)
            .await
            .map_err(|cut| missing("no method was chosen", &cut))?;
        ensure!(
            answer == [5, 0],
            "expected method 00 of `00`, got {}",
            hex(&answer)
        );
    } else {
        let message = tor_arguments(args).ok_or_else(|| {
            Failure::Instrument("tor cannot send arguments of more than 510 bytes".to_owned())
        })?;
        socks.send(&greeting(&[0, 2])).await;
        let answer = socks
            .read(2)
            .await
            .map_err(|cut| missing("no method was chosen", &cut))?;
        ensure!(
            answer == [5, 2],
            "expected method 02 of `00 02`, got {}",
            hex(&answer)
        );
        socks.send(&message).await;
        match socks.read(2).await {
            Ok(answer) if answer == [1, 0] => {}
            Ok(answer) => deviation!("the arguments {args:?} were refused: {}", hex(&answer)),
            Err(cut) => return Err(missing("the arguments were not answered", &cut)),
        }
    }
    socks.send(&connect(target)).await;
    match socks.reply_within(within).await {
        Ok(reply) => Ok((socks.stream, reply)),
        Err(cut) => Err(missing("CONNECT was not answered", &cut)),
    }
}

fn missing(what: &str, cut: &Cut) -> Failure {
    Failure::Deviation(format!("{what}: the SOCKS connection is {cut}"))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// A port that reads this many bytes and says that, in turn, then hangs up.
    async fn scripted(steps: &'static [(usize, &'static [u8])]) -> SocketAddr {
        let (listener, addr) = wire::listen().await.expect("a free port");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            for (count, answer) in steps {
                let mut message = vec![0; *count];
                stream.read_exact(&mut message).await.expect("a message");
                stream.write_all(answer).await.expect("room");
            }
        });
        addr
    }

    #[tokio::test]
    async fn a_conversation_with_arguments_ends_in_a_reply() {
        let steps: &[(usize, &[u8])] = &[
            (4, &[5, 2]),
            (1 + 1 + 3 + 1 + 1, &[1, 0]),
            (10, &[5, 5, 0, 3, 1, b'x', 0, 9]),
        ];
        let addr = scripted(steps).await;
        let args = vec![("k".to_owned(), "v".to_owned())];
        let (_, reply) = open(addr, &args, &Target::Ip(addr), SOON)
            .await
            .expect("answers");
        assert_eq!(reply.to_string(), "05 connection refused");
        assert_eq!(reply.raw, [5, 5, 0, 3, 1, b'x', 0, 9]);
    }

    #[tokio::test]
    async fn what_a_port_does_wrong_is_told() {
        let addr = scripted(&[(3, &[5, 2])]).await;
        let wrong = open(addr, &Args::new(), &Target::Ip(addr), SOON)
            .await
            .expect_err("02");
        assert!(wrong.to_string().contains("expected method 00"), "{wrong}");
        let addr = scripted(&[(3, &[5, 0]), (10, &[5, 0, 0, 1, 127])]).await;
        let wrong = open(addr, &Args::new(), &Target::Ip(addr), SOON)
            .await
            .expect_err("short");
        assert!(
            wrong.to_string().contains("closed (FIN) after 050000017f"),
            "{wrong}"
        );
        let addr = scripted(&[(3, &[4, 0, 1, 9])]).await;
        let mut socks = Socks::dial(addr).await.expect("listens");
        socks.send(&greeting(&[0])).await;
        let reply = socks.reply().await.expect("four bytes");
        assert!(
            reply
                .to_string()
                .starts_with("00 succeeded (malformed: 04000109"),
            "{reply}"
        );
    }

    #[tokio::test]
    async fn a_split_message_arrives_as_two_reads() {
        let (listener, addr) = wire::listen().await.expect("a free port");
        let reader = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut buffer = [0; 64];
            let mut sizes = Vec::new();
            loop {
                match stream.read(&mut buffer).await.expect("no reset") {
                    0 => return sizes,
                    n => sizes.push(n),
                }
            }
        });
        let mut socks = Socks::dial(addr).await.expect("listens");
        socks.send_split(b"hello", 2).await;
        socks.finish().await;
        assert_eq!(socks.ends(SOON).await, (Vec::new(), Ended::Eof));
        assert_eq!(reader.await.expect("reads"), [2, 3]);
    }

    #[tokio::test]
    async fn a_reset_is_told_from_an_orderly_end_even_when_a_write_met_it() {
        let (listener, addr) = wire::listen().await.expect("a free port");
        let mut socks = Socks::dial(addr).await.expect("listens");
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_zero_linger().expect("an option");
        drop(stream);
        socks.send(b"late").await;
        assert_eq!(socks.ends(SOON).await, (Vec::new(), Ended::Reset));
    }
}
