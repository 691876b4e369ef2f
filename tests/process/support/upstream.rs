//! An upstream proxy that notes every byte it is told, and says what the test wants it to say.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::deadline::soon;

/// How the proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HTTP CONNECT.
    Http,
    /// SOCKS5, choosing this method.
    Socks5(u8),
    /// SOCKS4 and 4a.
    Socks4,
}

/// What one connection to the proxy said before its payload.
#[derive(Debug)]
pub(crate) struct Visit {
    /// Where it came from.
    pub(crate) from: SocketAddr,
    /// All bytes up to the end of its request.
    pub(crate) said: Vec<u8>,
}

/// A proxy that accepts everybody.
pub(crate) struct Upstream {
    /// Where.
    pub(crate) addr: SocketAddr,
    visits: mpsc::Receiver<Visit>,
}

impl Upstream {
    /// Starts a proxy that answers every request with `answer` and, where there is one, connects to `onward`
    /// whatever it was asked for: a name that exists nowhere will do.
    pub(crate) async fn start(kind: Kind, answer: Vec<u8>, onward: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, visits) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((mut stream, from)) = listener.accept().await {
                let (tell, answer) = (tell.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut said = Vec::new();
                    let whole = kind.hear(&mut stream, &mut said).await.is_some();
                    tell.send(Visit { from, said }).await.ok()?;
                    if !whole {
                        return None;
                    }
                    stream.write_all(&answer).await.ok()?;
                    let Some(onward) = onward else {
                        // What it does after a refusal is its own matter; we wait for it to go.
                        let mut rest = Vec::new();
                        return stream.read_to_end(&mut rest).await.ok().map(drop);
                    };
                    let mut other = TcpStream::connect(onward).await.ok()?;
                    copy_bidirectional(&mut stream, &mut other).await.ok()?;
                    Some(())
                });
            }
        });
        Upstream { addr, visits }
    }

    /// The next connection's request.
    pub(crate) async fn visit(&mut self) -> Visit {
        soon("a visit to the upstream proxy", self.visits.recv())
            .await
            .expect("the proxy runs")
    }
}

impl Kind {
    /// The answer that lets a client in.
    pub(crate) fn welcome(self) -> Vec<u8> {
        match self {
            Kind::Http => b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n".to_vec(),
            Kind::Socks5(_) => self.reply(0),
            Kind::Socks4 => self.reply(90),
        }
    }

    /// The answer with this code.
    pub(crate) fn reply(self, code: u8) -> Vec<u8> {
        match self {
            Kind::Http => format!("HTTP/1.1 {}03 No\r\n\r\n", code).into_bytes(),
            Kind::Socks5(_) => vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0],
            Kind::Socks4 => vec![0, code, 0, 0, 0, 0, 0, 0],
        }
    }

    /// Reads a whole request, noting it as it comes.
    async fn hear(self, stream: &mut TcpStream, said: &mut Vec<u8>) -> Option<()> {
        match self {
            Kind::Http => {
                while !said.ends_with(b"\r\n\r\n") {
                    take(stream, said, 1).await?;
                }
            }
            Kind::Socks5(method) => {
                take(stream, said, 2).await?;
                let count = usize::from(*said.last()?);
                take(stream, said, count).await?;
                stream.write_all(&[5, method]).await.ok()?;
                if method == 2 {
                    for skip in [1, 0] {
                        take(stream, said, skip + 1).await?;
                        let length = usize::from(*said.last()?);
                        take(stream, said, length).await?;
                    }
                    stream.write_all(&[1, 0]).await.ok()?;
                }
                take(stream, said, 4).await?;
                let length = match said.last()? {
                    1 => 4,
                    4 => 16,
                    _ => {
                        take(stream, said, 1).await?;
                        usize::from(*said.last()?)
                    }
                };
                take(stream, said, length + 2).await?;
            }
            Kind::Socks4 => {
                take(stream, said, 8).await?;
                let named = said[4..7] == [0, 0, 0] && said[7] != 0;
                for _ in 0..if named { 2 } else { 1 } {
                    take(stream, said, 1).await?;
                    while said.last() != Some(&0) {
                        take(stream, said, 1).await?;
                    }
                }
            }
        }
        Some(())
    }
}

async fn take(stream: &mut TcpStream, said: &mut Vec<u8>, n: usize) -> Option<()> {
    let at = said.len();
    said.resize(at + n, 0);
    match stream.read_exact(&mut said[at..]).await {
        Ok(_) => Some(()),
        Err(_) => {
            said.truncate(at);
            None
        }
    }
}
