//! Dialling on loopback: nothing here leaves the machine, and no name is looked up but `localhost`.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests are the other ends on loopback"
)]

use super::*;
use crate::net::proxy::Scheme;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SHORT: Duration = Duration::from_millis(50);

const LONG: Duration = Duration::from_secs(20);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("an end")
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A port that refuses.
async fn closed() -> SocketAddr {
    listener().await.1
}

/// A port that answers nothing: its queue is full, so the kernel drops what comes.
async fn silent() -> (SocketAddr, Vec<TcpStream>, TcpListener) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(SHORT * 4, TcpStream::connect(addr)).await {
        queued.push(stream.unwrap());
        assert!(queued.len() < 100, "the queue has no end");
    }
    (addr, queued, listener)
}

fn within(timeout: Duration) -> Dial {
    Dial {
        timeout,
        ..Dial::default()
    }
}

fn behind(scheme: Scheme, addr: SocketAddr) -> Dial {
    Dial {
        proxy: Some(Proxy {
            scheme,
            addr,
            user: None,
            password: None,
        }),
        ..within(Duration::from_secs(5))
    }
}

#[track_caller]
fn fails(result: Result<TcpStream, Failure>) -> Failure {
    let failure = result.expect_err("no connection");
    let text = failure.to_string();
    assert!(
        !text.contains("127.0.0.1") && !text.contains("192.0.2"),
        "{text}"
    );
    failure
}

#[tokio::test]
async fn a_direct_connection_is_ready_to_use() {
    let (listener, addr) = listener().await;
    let mut stream = Dial::default().connect(&Target::Ip(addr)).await.unwrap();
    let (mut peer, _) = soon(listener.accept()).await.unwrap();
    assert!(stream.nodelay().unwrap());
    assert!(SockRef::from(&stream).keepalive().unwrap());
    stream.write_all(b"ping").await.unwrap();
    let mut heard = [0; 4];
    soon(peer.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"ping");
}

#[tokio::test]
async fn names_and_other_spellings() {
    let (listener, addr) = listener().await;
    let mapped = format!("[::ffff:127.0.0.1]:{}", addr.port());
    for target in [
        Target::Name("localhost".into(), addr.port()),
        Target::Name("127.0.0.1".into(), addr.port()),
        Target::Ip(mapped.parse().unwrap()),
    ] {
        let stream = Dial::default().connect(&target).await.unwrap();
        let (_, peer) = soon(listener.accept()).await.unwrap();
        assert_eq!(stream.local_addr().unwrap(), peer);
    }
}

#[tokio::test]
async fn what_is_no_name_is_not_looked_up() {
    let long = "a".repeat(256);
    for bad in [
        "",
        "a b",
        "a\r\nX: y",
        "é",
        "a/b",
        "a@b",
        "\0",
        "::1%lo",
        &long,
    ] {
        let target = Target::Name(bad.into(), 80);
        for dial in [Dial::default(), behind(Scheme::Http, closed().await)] {
            assert_eq!(fails(dial.connect(&target).await), Failure::Unresolved);
        }
    }
}

#[tokio::test]
async fn refused_and_silent() {
    let refused = Dial::default().connect(&Target::Ip(closed().await)).await;
    assert_eq!(fails(refused), Failure::Refused);

    let (addr, _queued, _listener) = silent().await;
    let late = within(SHORT).connect(&Target::Ip(addr)).await;
    assert_eq!(fails(late), Failure::DialTimeout);
}

#[tokio::test]
async fn the_addresses_of_a_name_are_tried_in_order_and_share_the_time() {
    let (_listener, good) = listener().await;
    let (hole, _queued, _silent) = silent().await;
    let dial = Dial::default();
    let end = Instant::now() + Duration::from_secs(2);
    let addrs = [closed().await, hole, good];
    let stream = dial.first_of(&addrs, end).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), good);
    assert!(Instant::now() < end, "the hole took the good one's share");

    let end = Instant::now() + Duration::from_millis(500);
    let none = dial.first_of(&[hole, closed().await], end).await;
    assert_eq!(fails(none), Failure::Refused);
    assert_eq!(fails(dial.first_of(&[], end).await), Failure::Unresolved);
}

#[test]
fn a_missing_ip_version_hides_no_other_failure() {
    use Failure::{NetworkUnreachable, Refused, Unresolved};
    for (before, now, said) in [
        (Unresolved, NetworkUnreachable, NetworkUnreachable),
        (NetworkUnreachable, Refused, Refused),
        (Refused, NetworkUnreachable, Refused),
        (Failure::DialTimeout, Refused, Refused),
    ] {
        assert_eq!(more_telling(before, now), said);
    }
}

#[tokio::test]
async fn a_bind_address_is_used_except_on_this_machine() {
    let (_listener, addr) = listener().await;
    let dial = Dial {
        // From the documentation's range, so on no machine.
        bind_v4: Some(Ipv4Addr::new(192, 0, 2, 1)),
        bind_v6: Some("2001:db8::1".parse().unwrap()),
        ..within(Duration::from_secs(5))
    };
    assert!(dial.connect(&Target::Ip(addr)).await.is_ok());
    // Binding fails before anything is sent.
    let outside = Target::Ip("192.0.2.2:9".parse().unwrap());
    let failure = fails(dial.connect(&outside).await);
    assert_eq!(failure, Failure::BindAddress);

    let source = |text: &str| dial.source(text.parse().unwrap());
    assert_eq!(source("127.9.9.9"), None);
    assert_eq!(source("0.0.0.0"), None);
    assert_eq!(source("::1"), None);
    assert_eq!(source("198.51.100.1"), dial.bind_v4.map(IpAddr::V4));
    assert_eq!(source("2001:db8::2"), dial.bind_v6.map(IpAddr::V6));

    // The proxy is a destination like any other.
    let outside = Dial {
        proxy: behind(Scheme::Http, "192.0.2.2:9".parse().unwrap()).proxy,
        ..dial
    };
    let outside = outside.connect(&Target::Ip(addr)).await;
    assert_eq!(fails(outside), Failure::BindAddress);
}

#[cfg(target_os = "linux")]
#[test]
fn errors_of_the_source_address_are_told_apart() {
    use rustix::io::Errno;

    let bound = Dial {
        bind_v4: Some(Ipv4Addr::LOCALHOST),
        ..Dial::default()
    };
    let far: SocketAddr = "192.0.2.2:9".parse().unwrap();
    let near: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let told = |dial: &Dial, errno: Errno, addr| {
        let error = io::Error::from_raw_os_error(errno.raw_os_error());
        dial.failure(&error, addr)
    };
    // What Linux says of a loopback source and a far destination.
    assert_eq!(told(&bound, Errno::INVAL, far), Failure::BindAddress);
    assert_eq!(told(&bound, Errno::ADDRNOTAVAIL, far), Failure::BindAddress);
    assert!(matches!(told(&bound, Errno::INVAL, near), Failure::Host(_)));
    let unbound = told(&Dial::default(), Errno::ADDRNOTAVAIL, far);
    assert_eq!(unbound, Failure::NetworkUnreachable);
    let no_ipv6 = io::Error::from_raw_os_error(Errno::AFNOSUPPORT.raw_os_error());
    assert_eq!(no_socket(&no_ipv6), Failure::NetworkUnreachable);
    let full = io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
    assert_eq!(no_socket(&full), Failure::Descriptors);
}

#[tokio::test]
async fn nothing_goes_around_a_proxy_that_fails() {
    let (target, addr) = listener().await;
    let (hole, _queued, _silent) = silent().await;
    for scheme in [Scheme::Http, Scheme::Socks5, Scheme::Socks4a] {
        let dead = behind(scheme, closed().await);
        let names = Target::Name("localhost".into(), addr.port());
        for to in [Target::Ip(addr), names] {
            let failure = fails(dead.connect(&to).await);
            assert!(matches!(failure, Failure::Proxy(_)), "{failure:?}");
        }

        let slow = Dial {
            timeout: SHORT,
            ..behind(scheme, hole)
        };
        let failure = fails(slow.connect(&Target::Ip(addr)).await);
        assert!(matches!(failure, Failure::Proxy(_)), "{failure:?}");

        // A proxy that takes the connection and says nothing may be waiting for the bridge.
        let (_mute, mute) = listener().await;
        let waiting = Dial {
            timeout: SHORT,
            ..behind(scheme, mute)
        };
        let failure = fails(waiting.connect(&Target::Ip(addr)).await);
        assert_eq!(failure, Failure::DialTimeout);
    }
    let arrived = timeout(SHORT, target.accept()).await;
    assert!(arrived.is_err(), "a connection went around the proxy");
}

#[test]
fn dialling_may_move_between_threads() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let (dial, target) = (Dial::default(), Target::Name("localhost".into(), 1));
    drop(is_send(dial.connect(&target)));
}

#[test]
fn a_target_does_not_show_itself() {
    for target in [
        Target::Ip("192.0.2.77:443".parse().unwrap()),
        Target::Ip("[2001:db8::77]:443".parse().unwrap()),
        Target::Name("bridge.example".into(), 443),
    ] {
        let shown = format!("{target:?}");
        for secret in ["77", "443", "bridge"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
