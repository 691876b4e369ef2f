//! The three protocols against proxies that play along, refuse, or speak nonsense.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests are the proxy on loopback"
)]

use super::*;
use proptest::prelude::*;
use std::future::Future;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

fn proxy(text: &str) -> Proxy {
    Proxy::parse(text).unwrap()
}

fn v4() -> Target {
    Target::Ip("192.0.2.7:443".parse().unwrap())
}

fn v6() -> Target {
    Target::Ip("[2001:db8::7]:443".parse().unwrap())
}

fn name() -> Target {
    Target::Name("bridge.example".into(), 443)
}

/// Asks through a connection whose other end is played by `play`; gives what both found.
async fn with_proxy<T, F: Future<Output = T>>(
    proxy: &Proxy,
    target: &Target,
    play: impl FnOnce(TcpStream) -> F,
) -> (Result<TcpStream, Failure>, T) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut ours = TcpStream::connect(addr).await.unwrap();
    let (theirs, _) = listener.accept().await.unwrap();
    let both = async { tokio::join!(ask(&mut ours, proxy, target), play(theirs)) };
    let (asked, played) = timeout(LONG, both).await.expect("an end");
    if let Err(failure) = &asked {
        let text = failure.to_string();
        for secret in ["192.0.2", "bridge.example", "alice", "s3cret"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    (asked.map(|()| ours), played)
}

/// Reads what is there until it ends in `end`.
async fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut heard = Vec::new();
    while !heard.ends_with(end) {
        heard.push(stream.read_u8().await.unwrap());
    }
    heard
}

/// What the target said right behind the answer, to the last byte.
async fn rest(stream: Result<TcpStream, Failure>) -> Vec<u8> {
    let mut rest = Vec::new();
    let mut stream = stream.unwrap();
    let read = timeout(LONG, stream.read_to_end(&mut rest)).await;
    read.expect("an end").unwrap();
    rest
}

async fn answer_http(
    proxy: &Proxy,
    target: &Target,
    answer: &[u8],
) -> (Result<TcpStream, Failure>, String) {
    let (asked, request) = with_proxy(proxy, target, |mut stream| async move {
        let request = read_until(&mut stream, b"\r\n\r\n").await;
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        request
    })
    .await;
    (asked, String::from_utf8(request).unwrap())
}

#[tokio::test]
async fn http_connects_and_takes_no_byte_of_the_payload() {
    let answer = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\npayload\r\n\r\n";
    let (asked, request) = answer_http(&proxy("http://10.0.0.1:80"), &v4(), answer).await;
    assert_eq!(
        request,
        "CONNECT 192.0.2.7:443 HTTP/1.1\r\nHost: 192.0.2.7:443\r\n\r\n"
    );
    assert_eq!(rest(asked).await, b"payload\r\n\r\n");

    let with_user = proxy("http://alice:s3:cret@10.0.0.1:80");
    let (asked, request) = answer_http(&with_user, &name(), answer).await;
    assert_eq!(
        request,
        "CONNECT bridge.example:443 HTTP/1.1\r\nHost: bridge.example:443\r\n\
         Proxy-Authorization: Basic YWxpY2U6czM6Y3JldA==\r\n\r\n"
    );
    assert_eq!(rest(asked).await, b"payload\r\n\r\n");

    let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200\r\n\r\nx";
    let (asked, request) = answer_http(&with_user, &v6(), interim).await;
    assert!(request.starts_with("CONNECT [2001:db8::7]:443 HTTP/1.1\r\n"));
    assert_eq!(rest(asked).await, b"x");
}

#[tokio::test]
async fn http_in_pieces() {
    let head = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    let (asked, ()) = with_proxy(
        &proxy("http://10.0.0.1:80"),
        &v4(),
        |mut stream| async move {
            stream.set_nodelay(true).unwrap();
            read_until(&mut stream, b"\r\n\r\n").await;
            for byte in head {
                stream.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            stream.write_all(b"payload").await.unwrap();
        },
    )
    .await;
    assert_eq!(rest(asked).await, b"payload");

    // A head larger than the window it is read through.
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\npayload", "x".repeat(5000));
    let (asked, _) = answer_http(&proxy("http://10.0.0.1:80"), &v4(), long.as_bytes()).await;
    assert_eq!(rest(asked).await, b"payload");
}

#[tokio::test]
async fn http_refusals_have_names() {
    let anonymous = proxy("http://10.0.0.1:80");
    for (status, expected) in [
        ("403 Forbidden", Failure::Forbidden),
        ("405 Method Not Allowed", Failure::Forbidden),
        ("504 Gateway Time-out", Failure::DialTimeout),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let (asked, _) = answer_http(&anonymous, &v4(), answer.as_bytes()).await;
        assert_eq!(asked.unwrap_err(), expected);
    }
    let endless = [&b"HTTP/1.1 200 OK\r\nA: "[..], &[b'x'; 40_000]].concat();
    let answers: [(&[u8], &str); 7] = [
        (b"HTTP/1.1 407 No\r\n\r\n", "407"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "502"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "302"),
        (b"SSH-2.0-OpenSSH\r\n", "HTTP"),
        (b"\x05\x00", "HTTP"),
        (b"HTTP/1.1 200 OK\r\n", "closed"),
        (&endless, "without an end"),
    ];
    for (answer, word) in answers {
        let (asked, ()) = with_proxy(&anonymous, &v4(), |mut stream| async move {
            read_until(&mut stream, b"\r\n\r\n").await;
            // The asker may give up before it has everything.
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        })
        .await;
        let failure = asked.unwrap_err();
        assert!(
            matches!(&failure, Failure::Proxy(text) if text.contains(word)),
            "{failure:?}"
        );
    }
}

#[test]
fn a_head_is_complete_at_its_last_byte_only() {
    let head = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    for at in 0..head.len() {
        assert_eq!(http_status(&head[..at]), Ok(None), "{at}");
    }
    assert_eq!(http_status(head), Ok(Some((head.len(), 200))));
    let more = [&head[..], b"more"].concat();
    assert_eq!(http_status(&more), Ok(Some((head.len(), 200))));
}

proptest! {
    #[test]
    fn any_head_is_judged(head in prop::collection::vec(any::<u8>(), 0..80), http in any::<bool>()) {
        let head = if http { [&b"HTTP/1.1 "[..], &head].concat() } else { head };
        if let Ok(Some((length, _))) = http_status(&head) {
            prop_assert!(length <= head.len());
        }
    }
}

/// A SOCKS5 proxy: greeting and credentials are compared, the request is returned.
async fn play_socks5(mut stream: TcpStream, credentials: Option<&[u8]>, reply: &[u8]) -> Vec<u8> {
    let methods: &[u8] = if credentials.is_some() {
        &[5, 2, 0, 2]
    } else {
        &[5, 1, 0]
    };
    let mut greeting = vec![0; methods.len()];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(greeting, methods);
    if let Some(credentials) = credentials {
        stream.write_all(&[5, 2]).await.unwrap();
        let mut heard = vec![0; credentials.len()];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, credentials);
        stream.write_all(&[1, 0]).await.unwrap();
    } else {
        stream.write_all(&[5, 0]).await.unwrap();
    }
    let mut request = vec![0; 5];
    stream.read_exact(&mut request).await.unwrap();
    let more = match request[3] {
        1 => 5,
        4 => 17,
        _ => usize::from(request[4]) + 2,
    };
    let mut tail = vec![0; more];
    stream.read_exact(&mut tail).await.unwrap();
    request.extend(tail);
    // The asker may stop reading at the code.
    let _ = stream.write_all(reply).await;
    let _ = stream.shutdown().await;
    request
}

#[tokio::test]
async fn socks5_connects_and_takes_no_byte_of_the_payload() {
    let ok_v4 = [&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"payload"].concat();
    let ok_name = [&[5, 0, 0, 3, 2][..], b"ab", &[0, 1], b"payload"].concat();
    let ok_v6 = [&[5, 0, 0, 4][..], &[0; 18], b"payload"].concat();

    let anonymous = proxy("socks5://10.0.0.1:80");
    let (asked, request) = with_proxy(&anonymous, &v4(), |s| play_socks5(s, None, &ok_v4)).await;
    assert_eq!(request, [5, 1, 0, 1, 192, 0, 2, 7, 1, 187]);
    assert_eq!(rest(asked).await, b"payload");

    let alice = proxy("socks5://alice:s3cret@10.0.0.1:80");
    let credentials = b"\x01\x05alice\x06s3cret";
    let (asked, request) = with_proxy(&alice, &name(), |s| {
        play_socks5(s, Some(credentials), &ok_name)
    })
    .await;
    let expected = [&[5, 1, 0, 3, 14][..], b"bridge.example", &[1, 187]].concat();
    assert_eq!(request, expected);
    assert_eq!(rest(asked).await, b"payload");

    let (asked, request) = with_proxy(&anonymous, &v6(), |s| play_socks5(s, None, &ok_v6)).await;
    assert_eq!(request[..4], [5, 1, 0, 4]);
    assert_eq!(request.len(), 22);
    assert_eq!(rest(asked).await, b"payload");
}

#[tokio::test]
async fn socks5_replies_mean_what_they_mean_without_a_proxy() {
    let anonymous = proxy("socks5://10.0.0.1:80");
    for code in 1..=255 {
        let answer = [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        let (asked, _) = with_proxy(&anonymous, &v4(), |s| play_socks5(s, None, &answer)).await;
        let failure = asked.unwrap_err();
        match code {
            2 => assert_eq!(failure, Failure::Forbidden),
            3 => assert_eq!(failure, Failure::NetworkUnreachable),
            4 => assert_eq!(failure, Failure::HostUnreachable),
            5 => assert_eq!(failure, Failure::Refused),
            6 => assert_eq!(failure, Failure::DialTimeout),
            _ => assert!(matches!(failure, Failure::Proxy(_)), "{code}: {failure:?}"),
        }
    }
}

#[tokio::test]
async fn socks5_proxies_that_go_wrong() {
    let alice = proxy("socks5://alice:s3cret@10.0.0.1:80");
    let answers: [(&[u8], &str); 7] = [
        (b"\x05\xff", "wants"),
        (b"\x05\x02\x01\x01", "did not accept"),
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak"),
        (b"\x05", "broke off"),
        (b"", "broke off"),
        (b"\x05\x00\x05\x00\x00\x07", "broke off"),
        (b"\x05\x00\x04\x00\x00\x01", "does not speak"),
    ];
    for (answer, word) in answers {
        let (asked, _) = with_proxy(&alice, &v4(), |mut stream| async move {
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            // Kept until the end: a close with unread bytes would reset the connection.
            stream
        })
        .await;
        let failure = asked.unwrap_err();
        assert!(
            matches!(&failure, Failure::Proxy(text) if text.contains(word)),
            "{failure:?}"
        );
    }
}

async fn answer_socks4a(
    proxy: &Proxy,
    target: &Target,
    length: usize,
    answer: &[u8],
) -> (Result<TcpStream, Failure>, Vec<u8>) {
    with_proxy(proxy, target, |mut stream| async move {
        let mut request = vec![0; length];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        request
    })
    .await
}

#[tokio::test]
async fn socks4a_connects_and_takes_no_byte_of_the_payload() {
    let ok = b"\x00\x5a\x00\x00\x00\x00\x00\x00payload";
    let anonymous = proxy("socks4a://10.0.0.1:80");
    let alice = proxy("socks4a://alice@10.0.0.1:80");
    let zero = Target::Ip("0.0.0.9:443".parse().unwrap());
    let cases: [(&Proxy, Target, &[u8]); 5] = [
        (&anonymous, v4(), b"\x04\x01\x01\xbb\xc0\x00\x02\x07\x00"),
        (&alice, v4(), b"\x04\x01\x01\xbb\xc0\x00\x02\x07alice\x00"),
        (
            &alice,
            name(),
            b"\x04\x01\x01\xbb\x00\x00\x00\x01alice\x00bridge.example\x00",
        ),
        (
            &anonymous,
            v6(),
            b"\x04\x01\x01\xbb\x00\x00\x00\x01\x002001:db8::7\x00",
        ),
        (
            &anonymous,
            zero,
            b"\x04\x01\x01\xbb\x00\x00\x00\x01\x000.0.0.9\x00",
        ),
    ];
    for (proxy, target, expected) in cases {
        let (asked, request) = answer_socks4a(proxy, &target, expected.len(), ok).await;
        assert_eq!(request, expected);
        assert_eq!(rest(asked).await, b"payload");
    }
}

#[tokio::test]
async fn socks4a_refusals_have_names() {
    let anonymous = proxy("socks4a://10.0.0.1:80");
    let answers: [(&[u8], &str); 5] = [
        (b"\x00\x5b\x00\x00\x00\x00\x00\x00", "rejected"),
        (b"\x00\x5c\x00\x00\x00\x00\x00\x00", "user name"),
        (b"\x00\x5d\x00\x00\x00\x00\x00\x00", "user name"),
        (b"HTTP/1.1 400", "does not speak"),
        (b"\x00\x5a", "closed"),
    ];
    for (answer, word) in answers {
        let (asked, _) = answer_socks4a(&anonymous, &v4(), 9, answer).await;
        let failure = asked.unwrap_err();
        assert!(
            matches!(&failure, Failure::Proxy(text) if text.contains(word)),
            "{failure:?}"
        );
    }
}
