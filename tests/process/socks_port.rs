//! The SOCKS5 port of a client (RFC 1928, RFC 1929, pt-spec 3.5), message by message.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::deadline::{soon, stays_pending};
use crate::support::pt::{Launch, Pt};
use crate::support::socks::{Raw, Refusal, Target, credentials, open, userpass};

/// A client with `plain`, and something to connect to.
struct Client {
    pt: Pt,
    addr: std::net::SocketAddr,
    far: TcpListener,
    target: Target,
}

impl Client {
    async fn start() -> Self {
        let pt = Launch::client("plain").ready().await;
        let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Client {
            addr: pt.method("plain").await.addr,
            target: far.local_addr().unwrap().into(),
            pt,
            far,
        }
    }

    async fn raw(&self) -> Raw {
        Raw::to(self.addr).await
    }

    /// A connection past its CONNECT's reply: the far end of it.
    async fn expect_open(&self, raw: &mut Raw) -> TcpStream {
        let reply = raw.take(10).await.unwrap();
        assert_eq!(reply, [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        soon("the far end", self.far.accept()).await.unwrap().0
    }
}

/// Asserts that the connection ends after exactly these bytes, and in order: with a FIN, not a reset.
async fn assert_ends_with(raw: &mut Raw, last: &[u8], what: &str) {
    let rest = raw.rest().await;
    assert_eq!(
        rest.unwrap_or_else(|e| panic!("{what}: {e}")),
        last,
        "{what}"
    );
}

#[tokio::test]
async fn methods_are_chosen_in_the_order_02_00() {
    let client = Client::start().await;
    for (offer, chosen) in [
        (&[5, 1, 0][..], 0),
        (&[5, 1, 2], 2),
        (&[5, 2, 0, 2], 2),
        (&[5, 2, 2, 0], 2),
        (&[5, 4, 1, 3, 0x80, 0], 0),
        (&[5, 5, 9, 1, 2, 3, 0], 2),
    ] {
        let mut raw = client.raw().await;
        raw.send(offer).await;
        assert_eq!(raw.take(2).await.unwrap(), [5, chosen], "{offer:?}");
    }
    let all: Vec<u8> = [5, 255].into_iter().chain(0..=254).collect();
    let mut raw = client.raw().await;
    raw.send(&all).await;
    assert_eq!(raw.take(2).await.unwrap(), [5, 2]);
}

#[tokio::test]
async fn no_acceptable_method_is_said_and_the_connection_closed() {
    let client = Client::start().await;
    for offer in [&[5, 1, 1][..], &[5, 2, 1, 3], &[5, 0]] {
        let mut raw = client.raw().await;
        raw.send(offer).await;
        assert_ends_with(&mut raw, &[5, 0xff], &format!("{offer:?}")).await;
    }
}

#[tokio::test]
async fn any_credentials_are_accepted_as_arguments() {
    let client = Client::start().await;
    let long_value = [b"k=".as_slice(), &[b'v'; 253]].concat();
    let split = [b"k=".as_slice(), &[b'v'; 508]].concat();
    for (user, password) in [
        (&b"k=v"[..], &[0][..]),
        (b"k=v;k2=v2", b"\0"),
        (b"k=v;k=second", b";more=here"),
        (b"cert=ab\\;c\\\\d=e=f", b"\0"),
        (b"k=a\\=b", b"\0"),
        (b"k=\\x", b"\0"),
        (b"k=", b"\0"),
        ("ключ=значение".as_bytes(), b"\0"),
        (&long_value, b"\0"),
        (&split[..255], &split[255..]),
    ] {
        let mut raw = client.raw().await;
        raw.send(&[5, 1, 2]).await;
        assert_eq!(raw.take(2).await.unwrap(), [5, 2]);
        raw.send(&userpass(user, password)).await;
        let said = String::from_utf8_lossy(user).into_owned();
        assert_eq!(raw.take(2).await.unwrap(), [1, 0], "{said}");
        raw.send(&client.target.connect()).await;
        client.expect_open(&mut raw).await;
    }
}

#[tokio::test]
async fn malformed_arguments_fail_in_the_authentication_step() {
    let client = Client::start().await;
    for (user, password) in [
        (&b"novalue"[..], &[0][..]),
        (b"=v", b"\0"),
        (b"k=v;", b"\0"),
        (b";k=v", b"\0"),
        (b"k=v;;k=v", b"\0"),
        (b"k=v\\", b"\0"),
        (b"k=v", b"junk;more"),
    ] {
        let mut raw = client.raw().await;
        raw.send(&[5, 1, 2]).await;
        raw.take(2).await.unwrap();
        raw.send(&userpass(user, password)).await;
        assert_ends_with(&mut raw, &[1, 1], &String::from_utf8_lossy(user)).await;
    }
    // Lengths of 0, and a sub-negotiation of another version.
    for message in [&[1, 0, 1, 0][..], &[1, 1, b'k', 0], &[2, 3, b'k']] {
        let mut raw = client.raw().await;
        raw.send(&[5, 1, 2]).await;
        raw.take(2).await.unwrap();
        raw.send(message).await;
        let rest = raw.rest().await.unwrap();
        assert!(
            rest.starts_with(&[1]) && rest[1] != 0,
            "{message:?}: {rest:?}"
        );
    }
}

#[tokio::test]
async fn every_split_of_the_conversation_works() {
    let client = Client::start().await;
    let mut whole = vec![5, 2, 0, 2];
    whole.extend(credentials(b"k=v"));
    whole.extend(client.target.connect());
    whole.extend(b"payload");
    for at in 1..whole.len() {
        let mut raw = client.raw().await;
        raw.send(&whole[..at]).await;
        // The second part goes out as a segment of its own when the answer to the first has come, or, where the
        // first part asks for none, as soon as it may.
        let mut answers = Vec::new();
        if at >= 4 {
            answers.extend(raw.take(2).await.unwrap());
        }
        raw.send(&whole[at..]).await;
        answers.extend(raw.take(14 - answers.len()).await.unwrap());
        assert_eq!(answers[..5], [5, 2, 1, 0, 5], "split at {at}");
        assert_eq!(answers[5], 0, "split at {at}");
        let (mut far, _) = soon("the far end", client.far.accept()).await.unwrap();
        let mut payload = [0; 7];
        soon("the payload", far.read_exact(&mut payload))
            .await
            .unwrap();
        assert_eq!(&payload, b"payload", "split at {at}");
    }
}

#[tokio::test]
async fn one_byte_at_a_time_works() {
    let client = Client::start().await;
    let mut raw = client.raw().await;
    let mut whole = vec![5, 2, 0, 2];
    whole.extend(credentials(b"key=value"));
    whole.extend(client.target.connect());
    for byte in whole {
        raw.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(raw.take(4).await.unwrap(), [5, 2, 1, 0]);
    client.expect_open(&mut raw).await;
}

#[tokio::test]
async fn payload_behind_the_connect_is_the_first_payload() {
    let client = Client::start().await;
    let mut raw = client.raw().await;
    let mut whole = vec![5, 1, 0];
    whole.extend(client.target.connect());
    // More than one read of any likely buffer.
    let payload = crate::support::bytes::stream(3, 200_000);
    whole.extend(&payload);
    let sending = async {
        raw.0.write_all(&whole).await.unwrap();
        raw.take(12).await.unwrap()
    };
    let receiving = async {
        let (mut far, _) = client.far.accept().await.unwrap();
        let mut got = vec![0; payload.len()];
        far.read_exact(&mut got).await.unwrap();
        got
    };
    let (answers, got) = soon("both", async { tokio::join!(sending, receiving) }).await;
    assert_eq!(answers[..4], [5, 0, 5, 0]);
    assert!(got == payload, "the payload arrived changed");
}

#[tokio::test]
async fn only_connect_is_served() {
    let client = Client::start().await;
    for (request, rep) in [
        (&[5, 2, 0, 1, 127, 0, 0, 1, 0, 9][..], 7),
        (&[5, 3, 0, 1, 127, 0, 0, 1, 0, 9], 7),
        (&[5, 0xf0, 0, 1, 127, 0, 0, 1, 0, 9], 7),
        (&[4, 1, 0, 1, 127, 0, 0, 1, 0, 9], 1),
        (&[5, 1, 1, 1, 127, 0, 0, 1, 0, 9], 1),
        (&[5, 1, 0, 2, 127, 0, 0, 1, 0, 9], 8),
        (&[5, 1, 0, 0, 127, 0, 0, 1, 0, 9], 8),
        (&[5, 1, 0, 3, 0, 0, 9], 1),
    ] {
        let mut raw = client.raw().await;
        raw.send(&[5, 1, 0]).await;
        raw.take(2).await.unwrap();
        raw.send(request).await;
        let reply = [5, rep, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_ends_with(&mut raw, &reply, &format!("{request:?}")).await;
    }
}

#[tokio::test]
async fn all_three_address_types_are_dialled() {
    let client = Client::start().await;
    let port = client.far.local_addr().unwrap().port();
    open(client.addr, &client.target, b"")
        .await
        .expect("an IPv4 address");
    open(client.addr, &Target::name("127.0.0.1", port), b"")
        .await
        .expect("an address for a name");
    open(client.addr, &Target::name("localhost", port), b"")
        .await
        .expect("a name");
    let far6 = TcpListener::bind("[::1]:0").await.unwrap();
    let target = far6.local_addr().unwrap().into();
    open(client.addr, &target, b"")
        .await
        .expect("an IPv6 address");
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_is_reply_04() {
    let client = Client::start().await;
    // No label has 64 letters, so nobody is asked.
    let name = format!("{}.invalid", "a".repeat(64));
    let refusal = open(client.addr, &Target::name(&name, 443), b"").await;
    assert_eq!(refusal.unwrap_err(), Refusal::Reply(4));
    let line = client.pt.logs(&["resolve"]).await;
    assert!(!line.contains("aaaa"), "{line}");
}

#[tokio::test]
async fn strangers_are_sent_away_within_the_time_limit() {
    let client = Client::start().await;
    let limit = Duration::from_secs(12);
    for hello in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00",
        b"\x16\x03\x01\x02\x00",
        b"\x00",
    ] {
        let mut raw = client.raw().await;
        raw.send(hello).await;
        let rest = raw.rest_within(limit).await.unwrap();
        assert!(rest.len() <= 2, "no conversation: {rest:?}");
    }
}

#[tokio::test]
async fn a_handshake_that_stalls_is_given_up_after_five_seconds() {
    let client = Client::start().await;
    let mut stages = Vec::new();
    for said in [
        vec![],
        vec![5],
        vec![5, 1, 2],
        vec![5, 1, 2, 1, 3, b'k'],
        vec![5, 1, 0, 5, 1, 0],
    ] {
        let mut raw = client.raw().await;
        raw.send(&said).await;
        stages.push((said, raw));
    }
    // All of them together, so that the test waits once.
    let (_, first) = &mut stages[0];
    stays_pending(
        Duration::from_secs(3),
        "closed before a slow application could have spoken",
        first.rest_within(Duration::from_secs(60)),
    )
    .await;
    for (said, mut raw) in stages {
        let rest = raw.rest_within(Duration::from_secs(10)).await;
        assert!(rest.is_ok(), "{said:?}: {rest:?}");
    }
    // And it still serves.
    open(client.addr, &client.target, b"").await.unwrap();
}

#[tokio::test]
async fn an_application_that_leaves_in_the_middle_harms_nothing() {
    let client = Client::start().await;
    let mut whole = vec![5, 1, 2];
    whole.extend(credentials(b"k=v"));
    whole.extend(client.target.connect());
    for at in 0..=whole.len() {
        let mut raw = client.raw().await;
        raw.send(&whole[..at]).await;
        drop(raw);
    }
    open(client.addr, &client.target, b"").await.unwrap();
}

#[tokio::test]
async fn an_independent_socks_library_gets_along() {
    use fast_socks5::client::{Config, Socks5Stream};
    let client = Client::start().await;
    let port = client.far.local_addr().unwrap().port();
    let (addr, name) = (client.addr.to_string(), "localhost".to_owned());
    let mut near = soon(
        "without arguments",
        Socks5Stream::connect(&addr, name.clone(), port, Config::default()),
    )
    .await
    .unwrap();
    let (mut far, _) = client.far.accept().await.unwrap();
    near.write_all(b"hello").await.unwrap();
    let mut bytes = [0; 5];
    soon("hello", far.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"hello");

    let (user, password) = ("k=v;".to_owned() + "k2=", "v2".to_owned());
    soon(
        "with arguments",
        Socks5Stream::connect_with_password(
            addr.clone(),
            name.clone(),
            port,
            user,
            password,
            Config::default(),
        ),
    )
    .await
    .unwrap();
    let bad = soon(
        "with bad arguments",
        Socks5Stream::connect_with_password(
            addr,
            name,
            port,
            "nonsense".into(),
            "\0".into(),
            Config::default(),
        ),
    )
    .await;
    assert!(bad.is_err());
}
