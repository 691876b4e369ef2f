//! An upstream proxy that writes down what it is told, and does what a case wants.
//!
//! In: connections of a client that was given `TOR_PT_PROXY`. Out: a [`Visit`] for each, as soon as its request is
//! whole or has broken off. Can go wrong: a request that is none is a visit that says so.

mod nowhere;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use nowhere::{Blackhole, DeadAddress, blackhole, dead_address};
pub use request::Visit;

use super::socks::segments;
use super::wire::{SOON, dial, due, listen, read_to_end};
use crate::verdict::{Failure, Verdict, deviation};

/// The most connections at once; further ones wait to be accepted.
const CONNECTIONS: usize = 256;

/// Visits that no case has asked for yet; more than any case causes.
const WAITING: usize = 1024;

/// How long a connection is held that gets no answer: longer than any case lasts.
const HELD: Duration = Duration::from_secs(600);

/// What no proxy answers, whatever it speaks.
const GARBAGE: &[u8] = b"\xff\xfe garbage \x00\x01\r\n\r\n and more of it\r\n\r\n";

/// How the proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTP CONNECT (RFC 9110 section 9.3.6).
    Http,
    /// SOCKS5, choosing this method: 0, 2 (user name and password) or 255 (none of them).
    Socks5(u8),
    /// SOCKS4 and 4a.
    Socks4a,
}

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Grants it and connects to this address, whatever was asked for: a name that exists nowhere will do.
    Relay(SocketAddr),
    /// Refuses it with this code (the HTTP status, the SOCKS5 reply, the SOCKS4 reply) and closes after the client.
    Refuse(u16),
    /// Refuses the user name and password of SOCKS5; in the other kinds it hangs.
    RefuseCredentials,
    /// Hears the request and never answers.
    Hang,
    /// Closes every connection as soon as it is there.
    CloseAtOnce,
    /// Answers the first message with bytes that are no answer.
    Garbage,
}

/// A proxy on a free port of 127.0.0.1. It stops when it goes out of scope.
#[derive(Debug)]
pub struct Upstream {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    visits: Mutex<mpsc::Receiver<Visit>>,
    _tasks: JoinSet<()>,
}

/// What all connections have in common.
#[derive(Clone)]
struct Manner {
    kind: Kind,
    behaviour: Behaviour,
    bytewise: bool,
    tell: mpsc::Sender<Visit>,
}

impl Upstream {
    /// Starts a proxy.
    pub async fn start(kind: Kind, behaviour: Behaviour) -> Verdict<Upstream> {
        Upstream::with_answers(kind, behaviour, false).await
    }

    /// Starts a proxy whose answers come in segments of one byte.
    pub async fn start_bytewise(kind: Kind, behaviour: Behaviour) -> Verdict<Upstream> {
        Upstream::with_answers(kind, behaviour, true).await
    }

    async fn with_answers(kind: Kind, behaviour: Behaviour, bytewise: bool) -> Verdict<Upstream> {
        let (listener, addr) = listen().await?;
        let connections = Arc::new(AtomicUsize::new(0));
        let (tell, visits) = mpsc::channel(WAITING);
        let manner = Manner {
            kind,
            behaviour,
            bytewise,
            tell,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, manner, connections.clone()));
        Ok(Upstream {
            addr,
            connections,
            visits: Mutex::new(visits),
            _tasks: tasks,
        })
    }

    /// Where.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next connection's request.
    pub async fn visit(&self, within: Duration) -> Verdict<Visit> {
        let next = async { self.visits.lock().await.recv().await };
        due("a request to the upstream proxy", within, next)
            .await?
            .ok_or_else(|| {
                Failure::Instrument("the upstream proxy of the suite has stopped".to_owned())
            })
    }

    /// Finds out that nobody connects in `window`, and that nobody has but those whose visits were taken.
    pub async fn unused(&self, window: Duration) -> Verdict {
        let next = async { self.visits.lock().await.recv().await };
        if let Ok(Some(visit)) = timeout(window, next).await {
            deviation!("the upstream proxy was dialled, which it should not have been: {visit}");
        }
        Ok(())
    }

    /// How many connections there have been.
    pub fn connections_so_far(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, manner: Manner, count: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, from)) = listener.accept().await {
        count.fetch_add(1, Ordering::Relaxed);
        // Answers byte by byte are to be segments of a byte.
        let _ = stream.set_nodelay(true);
        connections.spawn(manner.clone().serve(stream, from));
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
    }
}

impl Manner {
    async fn serve(self, mut stream: TcpStream, from: SocketAddr) {
        let mut visit = Visit::new(from);
        if self.behaviour != Behaviour::CloseAtOnce {
            let hearing = visit.hear(&mut stream, &self);
            visit.whole = timeout(SOON, hearing).await.ok().flatten().is_some();
        }
        let whole = visit.whole;
        // A case that has gone has no use for it.
        let _ = self.tell.send(visit).await;
        match self.behaviour {
            Behaviour::CloseAtOnce => return,
            Behaviour::Relay(onward) if whole => {
                let Ok(mut far) = dial(onward).await else {
                    return;
                };
                self.say(&mut stream, &self.kind.granted()).await;
                let _ = copy_bidirectional(&mut stream, &mut far).await;
                return;
            }
            Behaviour::Refuse(code) if whole => {
                self.say(&mut stream, &self.kind.refused(code)).await;
                let _ = stream.shutdown().await;
            }
            _ => {}
        }
        // What it does after this is its own matter; closing with something unread would be a reset.
        let _ = read_to_end(&mut stream, HELD).await;
    }

    /// Says something, for as long as it is listened to.
    async fn say(&self, stream: &mut TcpStream, bytes: &[u8]) {
        if self.bytewise {
            let _ = segments::bytewise(stream, bytes).await;
        } else {
            let _ = stream.write_all(bytes).await;
        }
    }
}

impl Kind {
    /// The answer that lets a client in.
    fn granted(self) -> Vec<u8> {
        match self {
            Kind::Http => b"HTTP/1.1 200 Connection established\r\nVia: 1.1 suite\r\n\r\n".to_vec(),
            Kind::Socks5(_) => self.refused(0),
            Kind::Socks4a => self.refused(90),
        }
    }

    /// The answer with this code.
    fn refused(self, code: u16) -> Vec<u8> {
        let byte = u8::try_from(code).unwrap_or(u8::MAX);
        match self {
            Kind::Http => format!("HTTP/1.1 {code} No\r\nContent-Length: 0\r\n\r\n").into_bytes(),
            Kind::Socks5(_) => vec![5, byte, 0, 1, 0, 0, 0, 0, 0, 0],
            Kind::Socks4a => vec![0, byte, 0, 0, 0, 0, 0, 0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruments::socks::{Socks, Target, connect, credentials, greeting};
    use crate::instruments::wire::{A_WHILE, Ended, read_exactly};

    /// An address that says `hello` to whoever comes.
    async fn greeter() -> SocketAddr {
        let (listener, addr) = listen().await.expect("a free port");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(b"hello").await.expect("room");
            }
        });
        addr
    }

    #[tokio::test]
    async fn http_is_heard_and_carried_on() {
        let relay = Behaviour::Relay(greeter().await);
        let proxy = Upstream::start_bytewise(Kind::Http, relay)
            .await
            .expect("a free port");
        let mut stream = dial(proxy.addr()).await.expect("listens");
        let request = b"CONNECT [::1]:9 HTTP/1.1\r\nHost: [::1]:9\r\n\
            proxy-authorization: Basic dTpzQHI6cCUyMHcvZA==\r\n\r\n";
        stream.write_all(request).await.expect("room");
        let visit = proxy.visit(SOON).await.expect("a request");
        assert!(visit.whole);
        assert_eq!(visit.said, request);
        assert_eq!(visit.from, stream.local_addr().expect("connected"));
        assert_eq!(visit.target, "[::1]:9");
        assert_eq!(visit.lines.len(), 3);
        assert_eq!(visit.header("host"), Some("[::1]:9"));
        assert_eq!(visit.user.as_deref(), Some("u"));
        assert_eq!(visit.password.as_deref(), Some("s@r:p%20w/d"));
        let granted = Kind::Http.granted();
        assert_eq!(
            read_exactly(&mut stream, granted.len(), SOON)
                .await
                .expect("all"),
            granted
        );
        assert_eq!(
            read_exactly(&mut stream, 5, SOON).await.expect("all"),
            b"hello"
        );
    }

    #[tokio::test]
    async fn socks5_is_heard_with_and_without_credentials() {
        let relay = Behaviour::Relay(greeter().await);
        let proxy = Upstream::start(Kind::Socks5(2), relay)
            .await
            .expect("a free port");
        let mut client = Socks::dial(proxy.addr()).await.expect("listens");
        let target = Target::Name("x.invalid".to_owned(), 443);
        client.send(&greeting(&[0, 2])).await;
        assert_eq!(client.read(2).await.expect("a method"), [5, 2]);
        client.send(&credentials(b"u", b"p")).await;
        assert_eq!(client.read(2).await.expect("a status"), [1, 0]);
        client.send(&connect(&target)).await;
        assert_eq!(client.reply().await.expect("a reply").code, 0);
        assert_eq!(client.read(5).await.expect("the far end"), b"hello");
        let visit = proxy.visit(SOON).await.expect("a request");
        assert_eq!(
            (visit.target.as_str(), visit.methods),
            ("x.invalid:443", vec![0, 2])
        );
        assert_eq!(
            (visit.user.as_deref(), visit.password.as_deref()),
            (Some("u"), Some("p"))
        );

        let proxy = Upstream::start(Kind::Socks5(0), Behaviour::Refuse(5))
            .await
            .expect("a port");
        let mut client = Socks::dial(proxy.addr()).await.expect("listens");
        client.send(&greeting(&[0])).await;
        assert_eq!(client.read(2).await.expect("a method"), [5, 0]);
        client
            .send(&connect(&Target::Ip(
                "[::1]:7".parse().expect("an address"),
            )))
            .await;
        assert_eq!(client.reply().await.expect("a reply").code, 5);
        assert_eq!(client.ends(SOON).await, (Vec::new(), Ended::Eof));
        let visit = proxy.visit(SOON).await.expect("a request");
        assert_eq!((visit.target.as_str(), visit.user), ("[::1]:7", None));
    }

    #[tokio::test]
    async fn socks4_is_heard_with_and_without_a_name() {
        let proxy = Upstream::start(Kind::Socks4a, Behaviour::Refuse(91))
            .await
            .expect("a port");
        let requests: [(&[u8], &str); 2] = [
            (
                b"\x04\x01\x01\xbb\x00\x00\x00\x01me\x00x.invalid\x00",
                "x.invalid:443",
            ),
            (b"\x04\x01\x01\xbb\x7f\x00\x00\x01me\x00", "127.0.0.1:443"),
        ];
        for (request, target) in requests {
            let mut client = Socks::dial(proxy.addr()).await.expect("listens");
            client.send(request).await;
            assert_eq!(client.read(8).await.expect("an answer")[..2], [0, 91]);
            let visit = proxy.visit(SOON).await.expect("a request");
            assert_eq!(
                (visit.target.as_str(), visit.user.as_deref()),
                (target, Some("me"))
            );
            assert_eq!(visit.said, request);
        }
    }

    #[tokio::test]
    async fn what_a_proxy_may_do_wrong_it_does() {
        let ask = async |kind, behaviour, message: &[u8]| {
            let proxy = Upstream::start(kind, behaviour).await.expect("a free port");
            let mut client = Socks::dial(proxy.addr()).await.expect("listens");
            client.send(message).await;
            let seen = client.ends(Duration::from_millis(100)).await;
            (seen, proxy)
        };
        let connect = b"CONNECT a:1 HTTP/1.1\r\n\r\n";
        let (seen, proxy) = ask(Kind::Http, Behaviour::Hang, connect).await;
        assert_eq!(seen, (Vec::new(), Ended::Silent));
        assert!(proxy.unused(A_WHILE).await.is_err());
        let (seen, _) = ask(Kind::Http, Behaviour::Garbage, connect).await;
        assert_eq!(seen, (GARBAGE.to_vec(), Ended::Silent));
        let (seen, _) = ask(Kind::Socks5(0), Behaviour::Garbage, &greeting(&[0])).await;
        assert_eq!(seen, (GARBAGE.to_vec(), Ended::Silent));
        let (seen, proxy) = ask(Kind::Http, Behaviour::CloseAtOnce, b"").await;
        assert_eq!(seen, (Vec::new(), Ended::Eof));
        assert_eq!(proxy.connections_so_far(), 1);
        let both = [greeting(&[2]), credentials(b"u", b"p")].concat();
        let (seen, proxy) = ask(Kind::Socks5(2), Behaviour::RefuseCredentials, &both).await;
        assert_eq!(seen.0, [5, 2, 1, 1]);
        assert_eq!(
            proxy.visit(SOON).await.expect("seen").user.as_deref(),
            Some("u")
        );
        let (_, proxy) = ask(Kind::Http, Behaviour::Hang, b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(!proxy.visit(SOON).await.expect("seen").whole);
        let proxy = Upstream::start(Kind::Http, Behaviour::Hang)
            .await
            .expect("a free port");
        proxy
            .unused(Duration::from_millis(50))
            .await
            .expect("nobody came");
    }
}
