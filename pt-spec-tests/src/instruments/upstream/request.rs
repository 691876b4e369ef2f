//! What a client says to an upstream proxy, written down byte by byte while it is understood.
//!
//! In: a connection. Out: a [`Visit`]. Can go wrong: it breaks off or is no request of the proxy's kind; the visit then
//! holds what came and is not whole. Bounded: [`HEAD`] bytes.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::{Behaviour, GARBAGE, Kind, Manner};
use crate::instruments::wire::hex;

/// A request is shorter.
const HEAD: usize = 16 << 10;

/// What one connection to the proxy said before its payload.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Where it came from.
    pub from: SocketAddr,
    /// All bytes up to the end of its request.
    pub said: Vec<u8>,
    /// Whether it was a whole request of the proxy's kind; never so where the proxy answers with garbage.
    pub whole: bool,
    /// What it asked for, as `host:port`; IPv6 addresses in brackets. Empty where it did not come so far.
    pub target: String,
    /// The user name, where there was one.
    pub user: Option<String>,
    /// The password, where there was one.
    pub password: Option<String>,
    /// SOCKS5: the methods offered.
    pub methods: Vec<u8>,
    /// HTTP: the request line and the header lines, without their ends.
    pub lines: Vec<String>,
}

impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.whole {
            ""
        } else {
            " (no whole request)"
        };
        write!(f, "{} from {}{whole}", hex(&self.said), self.from)
    }
}

impl Visit {
    /// HTTP: the value of the first header with this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.lines.iter().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(super) fn new(from: SocketAddr) -> Visit {
        Visit {
            from,
            said: Vec::new(),
            whole: false,
            target: String::new(),
            user: None,
            password: None,
            methods: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// Hears a request and answers its steps, but not the request itself. `None`: it broke off, or it is none, or it
    /// was the proxy that broke it off.
    pub(super) async fn hear(&mut self, stream: &mut TcpStream, manner: &Manner) -> Option<()> {
        match manner.kind {
            Kind::Http => self.http(stream, manner).await,
            Kind::Socks5(method) => self.socks5(stream, method, manner).await,
            Kind::Socks4a => self.socks4(stream, manner).await,
        }
    }

    async fn http(&mut self, stream: &mut TcpStream, manner: &Manner) -> Option<()> {
        while !self.said.ends_with(b"\r\n\r\n") {
            self.take(stream, 1).await?;
        }
        let head = String::from_utf8_lossy(&self.said).into_owned();
        self.lines = head.trim_end().split("\r\n").map(str::to_owned).collect();
        if let Some(basic) = self.header("proxy-authorization").and_then(basic) {
            (self.user, self.password) = basic;
        }
        let mut words = self.lines.first()?.split(' ');
        let (method, target) = (words.next()?, words.next()?.to_owned());
        let version = words.next()?;
        if method != "CONNECT" || !version.starts_with("HTTP/1.") || words.next().is_some() {
            return None;
        }
        self.target = target;
        garbage(stream, manner).await
    }

    async fn socks5(&mut self, stream: &mut TcpStream, method: u8, manner: &Manner) -> Option<()> {
        let greeting = self.take(stream, 2).await?;
        self.methods = self.take(stream, greeting[1].into()).await?;
        garbage(stream, manner).await?;
        manner.say(stream, &[5, method]).await;
        if greeting[0] != 5 || !self.methods.contains(&method) {
            return None;
        }
        if method == 2 {
            let version = self.take(stream, 1).await?;
            self.user = Some(text(&self.field(stream).await?));
            self.password = Some(text(&self.field(stream).await?));
            let refused = version != [1] || manner.behaviour == Behaviour::RefuseCredentials;
            manner.say(stream, &[1, refused.into()]).await;
            if refused {
                return None;
            }
        }
        let request = self.take(stream, 4).await?;
        let host = match request[3] {
            1 => Ipv4Addr::from(self.array::<4>(stream).await?).to_string(),
            4 => format!("[{}]", Ipv6Addr::from(self.array::<16>(stream).await?)),
            3 => text(&self.field(stream).await?),
            _ => return None,
        };
        let port = u16::from_be_bytes(self.array(stream).await?);
        self.target = format!("{host}:{port}");
        (request[..3] == [5, 1, 0]).then_some(())
    }

    async fn socks4(&mut self, stream: &mut TcpStream, manner: &Manner) -> Option<()> {
        let [version, command, p0, p1, ip @ ..] = self.array::<8>(stream).await?;
        let user = self.word(stream).await?;
        self.user = (!user.is_empty()).then_some(user);
        let host = match ip {
            // An address that cannot be stands for a name (SOCKS4a).
            [0, 0, 0, last] if last != 0 => self.word(stream).await?,
            ip => Ipv4Addr::from(ip).to_string(),
        };
        self.target = format!("{host}:{}", u16::from_be_bytes([p0, p1]));
        garbage(stream, manner).await?;
        (version == 4 && command == 1).then_some(())
    }

    async fn take(&mut self, stream: &mut TcpStream, count: usize) -> Option<Vec<u8>> {
        let start = self.said.len();
        while self.said.len() < start + count {
            let mut buffer = [0; 255];
            let room = (start + count - self.said.len()).min(buffer.len());
            let n = stream.read(&mut buffer[..room]).await.ok()?;
            if n == 0 || self.said.len() + n > HEAD {
                return None;
            }
            self.said.extend_from_slice(&buffer[..n]);
        }
        Some(self.said[start..].to_vec())
    }

    async fn array<const N: usize>(&mut self, stream: &mut TcpStream) -> Option<[u8; N]> {
        self.take(stream, N).await?.try_into().ok()
    }

    /// A length and that many bytes.
    async fn field(&mut self, stream: &mut TcpStream) -> Option<Vec<u8>> {
        let [length] = self.array(stream).await?;
        self.take(stream, length.into()).await
    }

    /// Text up to a NUL.
    async fn word(&mut self, stream: &mut TcpStream) -> Option<String> {
        let start = self.said.len();
        while self.take(stream, 1).await? != [0] {}
        Some(text(&self.said[start..self.said.len() - 1]))
    }
}

/// Says garbage in place of the first answer where that is wanted; nothing more is understood after it.
async fn garbage(stream: &mut TcpStream, manner: &Manner) -> Option<()> {
    if manner.behaviour != Behaviour::Garbage {
        return Some(());
    }
    manner.say(stream, GARBAGE).await;
    None
}

/// User and password of `Basic …` (RFC 7617).
fn basic(value: &str) -> Option<(Option<String>, Option<String>)> {
    let pair = text(&STANDARD.decode(value.strip_prefix("Basic ")?).ok()?);
    Some(match pair.split_once(':') {
        Some((user, password)) => (Some(user.to_owned()), Some(password.to_owned())),
        None => (Some(pair), None),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
