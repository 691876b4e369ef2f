//! The exchange with an ExtORPort, played as tor plays it and as nobody should.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests write the cookie and are the relay on loopback"
)]

use super::*;
use proptest::prelude::*;
use std::future::Future;
use tokio::io::{DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

/// Made with another implementation of HMAC, for the cookie 00..1f and the two nonces below.
const SERVER_HASH: &str = "66d0cc27562f57b8ee73def896c815f4cec0c2b82e48888abf342523fdc8fdbd";
const CLIENT_HASH: &str = "7d8dabf4f71fa0644473b25716ee9c968a699b79de922cdf2d04839674a3c5ec";
const CLIENT_NONCE: [u8; 32] = [0xaa; 32];
const SERVER_NONCE: [u8; 32] = [0x55; 32];

fn cookie() -> [u8; 32] {
    std::array::from_fn(|n| n as u8)
}

fn hex(text: &str) -> [u8; 32] {
    std::array::from_fn(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap())
}

fn peer() -> SocketAddr {
    "198.51.100.1:12345".parse().unwrap()
}

/// A test ends, whatever it finds.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("an end")
}

/// Our side of the whole exchange against a relay that is played.
async fn against<T, F: Future<Output = T>>(
    relay: impl FnOnce(DuplexStream) -> F,
) -> (Result<DuplexStream, Failure>, T) {
    let (mut ours, theirs) = duplex(4096);
    let exchange = async move {
        authenticate(&mut ours, &CLIENT_NONCE, || Ok(cookie())).await?;
        introduce(&mut ours, peer(), "plain").await?;
        Ok(ours)
    };
    soon(async { tokio::join!(exchange, relay(theirs)) }).await
}

/// The relay up to and including its status byte.
async fn authenticate_us(relay: &mut DuplexStream, status: u8) {
    relay.write_all(&[1, 0]).await.unwrap();
    let mut heard = [0; 33];
    relay.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard[0], 1);
    assert_eq!(heard[1..], CLIENT_NONCE);
    relay.write_all(&hex(SERVER_HASH)).await.unwrap();
    relay.write_all(&SERVER_NONCE).await.unwrap();
    let mut hash = [0; 32];
    relay.read_exact(&mut hash).await.unwrap();
    assert_eq!(hash, hex(CLIENT_HASH));
    relay.write_all(&[status]).await.unwrap();
}

async fn hear_introduction(relay: &mut DuplexStream) -> Vec<u8> {
    let mut heard = Vec::new();
    while !heard.ends_with(&[0, 0, 0, 0]) {
        heard.push(relay.read_u8().await.unwrap());
    }
    heard
}

#[tokio::test]
async fn the_relay_hears_of_the_client_and_nothing_else_before_okay() {
    let (stream, heard) = against(|mut relay| async move {
        authenticate_us(&mut relay, 1).await;
        let heard = hear_introduction(&mut relay).await;
        // Commands from the future, with bodies, are ignored.
        relay.write_all(&[0x10, 0x7f, 0, 2, 1, 2]).await.unwrap();
        let long = [&[0x7f, 0xff, 0xff, 0xff][..], &[9; 0xffff]].concat();
        relay.write_all(&long).await.unwrap();
        let silent = timeout(SHORT, relay.read_u8()).await;
        assert!(silent.is_err(), "something came before OKAY: {silent:?}");
        relay.write_all(b"\x10\x00\x00\x01!payload").await.unwrap();
        heard
    })
    .await;
    let expected = b"\x00\x01\x00\x12198.51.100.1:12345\x00\x02\x00\x05plain\x00\x00\x00\x00";
    assert_eq!(heard, expected);
    let (mut stream, mut rest) = (stream.unwrap(), Vec::new());
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"payload");
}

#[tokio::test]
async fn methods_are_read_to_their_end() {
    for offered in [&[1, 0][..], &[2, 1, 0], &[1, 2, 3, 0], &[1, 1, 0]] {
        let mut stream = offered;
        assert_eq!(choose_method(&mut stream).await, Ok(()));
        assert!(stream.is_empty());
    }
    let longest = [&[7; 254][..], &[1, 0]].concat();
    assert_eq!(choose_method(&mut &longest[..]).await, Ok(()));
    let too_long = [&[7; 255][..], &[1, 0]].concat();
    for offered in [&[0][..], &[2, 0], &[], &[1], &too_long] {
        let failure = choose_method(&mut &*offered).await.unwrap_err();
        assert!(matches!(failure, Failure::OrPort(_)));
    }
}

#[tokio::test]
async fn a_relay_that_does_not_know_the_cookie_gets_no_hash() {
    for wrong in 0..32 {
        let (result, heard) = against(|mut relay| async move {
            relay.write_all(&[1, 0]).await.unwrap();
            let mut hash = hex(SERVER_HASH);
            hash[wrong] ^= 0x80;
            relay.write_all(&hash).await.unwrap();
            relay.write_all(&SERVER_NONCE).await.unwrap();
            let mut heard = Vec::new();
            relay.read_to_end(&mut heard).await.unwrap();
            heard
        })
        .await;
        assert!(result.is_err());
        assert_eq!(heard.len(), 33, "the method and the nonce");
    }
}

#[tokio::test]
async fn refusals() {
    let (result, ()) = against(|mut relay| async move {
        authenticate_us(&mut relay, 0).await;
    })
    .await;
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("accept the cookie")
    );

    let (result, ()) = against(|mut relay| async move {
        authenticate_us(&mut relay, 1).await;
        hear_introduction(&mut relay).await;
        relay.write_all(&[0x10, 0x01, 0, 0]).await.unwrap();
    })
    .await;
    assert!(result.unwrap_err().to_string().contains("denied"));

    // tor closes without a word at a hash it does not like.
    for part in [1, 2, 40, 66] {
        let (result, ()) = against(|mut relay| async move {
            let said = [&[1, 0][..], &hex(SERVER_HASH), &SERVER_NONCE].concat();
            relay.write_all(&said[..part]).await.unwrap();
            relay.shutdown().await.unwrap();
            let _ = relay.read_to_end(&mut Vec::new()).await;
        })
        .await;
        assert!(result.unwrap_err().to_string().contains("closed"));
    }

    // A body that ends before its length says.
    let (result, ()) = against(|mut relay| async move {
        authenticate_us(&mut relay, 1).await;
        hear_introduction(&mut relay).await;
        relay.write_all(&[0x10, 0, 0, 5, 1]).await.unwrap();
    })
    .await;
    assert!(result.unwrap_err().to_string().contains("closed"));
}

#[tokio::test]
async fn a_missing_cookie_is_missed_only_when_it_is_needed() {
    let (mut ours, mut relay) = duplex(4096);
    relay.write_all(&[1, 0]).await.unwrap();
    relay.write_all(&[0; 64]).await.unwrap();
    let missing = || Err(refused("no cookie"));
    let failure = authenticate(&mut ours, &CLIENT_NONCE, missing).await;
    assert_eq!(failure, Err(refused("no cookie")));
    drop(ours);
    let mut heard = Vec::new();
    relay.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard.len(), 33);
}

#[test]
fn cookies() {
    let good = [&COOKIE_HEADER[..], &cookie()].concat();
    assert_eq!(parse_cookie(&good), Some(cookie()));
    let mut other = good.clone();
    other[3] = b'e';
    let longer = [&good[..], b"\n"].concat();
    for bad in [&[][..], &good[..63], &good[..32], &longer, &other] {
        assert_eq!(parse_cookie(bad), None);
    }
}

#[test]
fn cookie_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cookie");
    let good = [&COOKIE_HEADER[..], &cookie()].concat();
    let text = |path: &Path| read_cookie(path).unwrap_err().to_string();
    assert!(text(&path).contains("cannot read"));
    assert!(text(folder.path()).contains("cannot read"));
    std::fs::write(&path, [&good[..], &[0; 100_000]].concat()).unwrap();
    assert!(text(&path).contains("does not hold"));
    assert_eq!(read_small_file(&path).unwrap().len(), 65);
    std::fs::write(&path, &good).unwrap();
    assert_eq!(read_cookie(&path), Ok(cookie()));
    // No path and no content in what is said.
    assert!(!text(&folder.path().join("secret-name")).contains("secret-name"));
}

#[test]
fn addresses_as_tor_takes_them() {
    let said = |peer: &str| {
        let frames = introduction(peer.parse().unwrap(), "t");
        let text = String::from_utf8(frames).unwrap();
        text.strip_prefix("\0\x01\0")
            .map(|t| t[1..].split('\0').next().unwrap().to_owned())
    };
    assert_eq!(said("1.2.3.4:5678").unwrap(), "1.2.3.4:5678");
    assert_eq!(said("[1:2::3]:5678").unwrap(), "[1:2::3]:5678");
    assert_eq!(said("[::ffff:1.2.3.4]:5678").unwrap(), "1.2.3.4:5678");
    assert_eq!(said("[fe80::1%3]:5678").unwrap(), "[fe80::1]:5678");
    assert_eq!(said("1.2.3.4:0"), None);
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

#[tokio::test]
async fn a_plain_orport_hears_payload_only() {
    let (listener, addr) = listener().await;
    let relay = async {
        let (mut relay, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        relay.read_to_end(&mut heard).await.unwrap();
        heard
    };
    let ours = async {
        let mut stream = OrPort::Plain(addr)
            .connect(&Dial::default(), peer(), "plain")
            .await
            .unwrap();
        assert!(stream.nodelay().unwrap());
        stream.write_all(b"payload").await.unwrap();
    };
    let (heard, ()) = soon(async { tokio::join!(relay, ours) }).await;
    assert_eq!(heard, b"payload");
}

#[tokio::test]
async fn the_whole_way_over_tcp_with_a_cookie_written_late() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cookie");
    let (listener, addr) = listener().await;
    let orport = OrPort::Extended {
        addr,
        cookie: path.clone(),
    };
    let relay = async {
        let (mut relay, _) = listener.accept().await.unwrap();
        relay.write_all(&[1, 0]).await.unwrap();
        let mut nonce = [0; 33];
        relay.read_exact(&mut nonce).await.unwrap();
        std::fs::write(&path, [&COOKIE_HEADER[..], &cookie()].concat()).unwrap();
        let nonce: [u8; 32] = nonce[1..].try_into().unwrap();
        let ours = hash(&cookie(), SERVER_TO_CLIENT, &nonce, &SERVER_NONCE);
        relay.write_all(&ours).await.unwrap();
        relay.write_all(&SERVER_NONCE).await.unwrap();
        let mut heard = [0; 32];
        relay.read_exact(&mut heard).await.unwrap();
        let expected = hash(&cookie(), CLIENT_TO_SERVER, &nonce, &SERVER_NONCE);
        assert_eq!(heard, expected);
        relay
            .write_all(b"\x01\x10\x00\x00\x00payload")
            .await
            .unwrap();
        nonce
    };
    let dial = Dial::default();
    let ours = orport.connect(&dial, peer(), "plain");
    let (stream, first) = soon(async { tokio::join!(ours, relay) }).await;
    let mut heard = [0; 7];
    let mut stream = stream.unwrap();
    soon(stream.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"payload");
    assert_ne!(first, [0; 32], "the nonce is random");
}

#[tokio::test]
async fn a_relay_that_is_silent_or_gone() {
    let (listener, silent) = listener().await;
    let begin = Instant::now();
    let extended = OrPort::Extended {
        addr: silent,
        cookie: PathBuf::from("/nowhere"),
    };
    let dial = Dial::default();
    let late = extended.connect_within(SHORT, &dial, peer(), "plain").await;
    assert!(late.unwrap_err().to_string().contains("in time"));
    assert!(begin.elapsed() < LONG);

    drop(listener);
    for orport in [extended, OrPort::Plain(silent)] {
        let failure = orport.connect(&dial, peer(), "plain").await.unwrap_err();
        let text = failure.to_string();
        assert!(matches!(failure, Failure::OrPort(_)));
        assert!(
            text.contains("is tor running?") && !text.contains("127.0.0.1"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_proxy_is_not_for_the_relay() {
    let (listener, addr) = listener().await;
    let (_proxy, proxy) = self::listener().await;
    let dial = Dial {
        proxy: crate::net::proxy::Proxy::parse(&format!("socks5://{proxy}")).ok(),
        ..Dial::default()
    };
    assert!(dial.proxy.is_some());
    let orport = OrPort::Plain(addr);
    let stream = orport.connect(&dial, peer(), "plain").await.unwrap();
    let (_, accepted) = soon(listener.accept()).await.unwrap();
    assert_eq!(stream.local_addr().unwrap(), accepted);
}

proptest! {
    #[test]
    fn any_relay_is_judged(bytes in prop::collection::vec(any::<u8>(), 0..200), good in any::<bool>()) {
        let start = [&[1, 0][..], &hex(SERVER_HASH), &SERVER_NONCE, &[1]].concat();
        let bytes = if good { [start, bytes].concat() } else { bytes };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (result, _) = runtime.block_on(async {
            let (mut ours, mut relay) = duplex(4096);
            relay.write_all(&bytes).await.unwrap();
            relay.shutdown().await.unwrap();
            let result = match authenticate(&mut ours, &CLIENT_NONCE, || Ok(cookie())).await {
                Ok(()) => introduce(&mut ours, peer(), "plain").await,
                Err(failure) => Err(failure),
            };
            (result, relay)
        });
        if let Err(failure) = result {
            prop_assert!(matches!(failure, Failure::OrPort(_)));
        }
    }
}
