//! The handshake in every split, against peers that are wrong in every way they can be.

use super::*;
use proptest::prelude::*;
use tokio::io::duplex;
use tokio::net::TcpListener;
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(20);

/// What a whole conversation comes to: all that was said, and the end.
type Outcome = (Vec<u8>, Result<Request, Refused>);

/// Feeds the core the input in pieces.
fn converse<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    accepts: impl Fn(&[u8]) -> bool,
) -> Outcome {
    let mut core = Core::default();
    let (mut input, mut said) = (Vec::new(), Vec::new());
    let mut pieces = pieces.into_iter();
    let mut done = None;
    loop {
        match core.step(&input, &accepts) {
            Step::More => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => break,
            },
            Step::Answer { consumed, answer } => {
                said.extend_from_slice(&answer);
                input.drain(..consumed);
            }
            Step::Done { consumed, target } => {
                input.drain(..consumed);
                done = Some(target);
                break;
            }
            Step::Refuse { answer, why } => {
                said.extend_from_slice(answer.as_slice());
                return (said, Err(why));
            }
        }
    }
    input.extend(pieces.flatten());
    let request = done.map(|target| Request {
        target,
        args: core.args,
        early: input,
    });
    (said, request.ok_or(Refused::Gone))
}

fn all(input: &[u8]) -> Outcome {
    converse([input], |_| true)
}

fn request_for(target: Target, args: &[u8], early: &[u8]) -> Result<Request, Refused> {
    Ok(Request {
        target,
        args: args.to_vec(),
        early: early.to_vec(),
    })
}

fn ip(text: &str) -> Target {
    Target::Ip(text.parse().unwrap())
}

fn credentials(user: &[u8], password: &[u8]) -> Vec<u8> {
    let (u, p) = (user.len() as u8, password.len() as u8);
    [&[1, u], user, &[p], password].concat()
}

const CONNECT_V4: &[u8] = &[5, 1, 0, 1, 192, 0, 2, 7, 0x01, 0xbb];

#[test]
fn tor_without_arguments() {
    let (said, request) = all(&[&[5, 1, 0], CONNECT_V4].concat());
    assert_eq!(said, [5, 0]);
    assert_eq!(request, request_for(ip("192.0.2.7:443"), b"", b""));
}

#[test]
fn tor_with_arguments() {
    let long = [b'x'; 255];
    let cases: [(&[u8], &[u8], Vec<u8>); 4] = [
        (b"a=1;b=2", b"\0", b"a=1;b=2".to_vec()),
        (&long, b"\0", long.to_vec()),
        (&long, b"yz", [&long[..], b"yz"].concat()),
        (b"a=1", b"\0\0", b"a=1\0\0".to_vec()),
    ];
    for (user, password, args) in cases {
        let auth = credentials(user, password);
        let (said, request) = all(&[&[5, 2, 0, 2], &auth[..], CONNECT_V4].concat());
        assert_eq!(said, [5, 2, 1, 0]);
        assert_eq!(request, request_for(ip("192.0.2.7:443"), &args, b""));
    }
}

#[test]
fn the_longest_arguments_fit() {
    let auth = credentials(&[b'u'; 255], &[b'p'; 255]);
    let (said, request) = all(&[&[5, 1, 2], &auth[..], CONNECT_V4].concat());
    assert_eq!(said, [5, 2, 1, 0]);
    assert_eq!(request.unwrap().args.len(), 510);
}

#[test]
fn all_address_types() {
    let v6 = [&[5, 1, 0, 4][..], &[0; 15], &[1, 0, 80]].concat();
    let name = [&[5, 1, 0, 3, 11][..], b"example.com", &[0, 80]].concat();
    for (request, target) in [
        (v6, ip("[::1]:80")),
        (name, Target::Name("example.com".into(), 80)),
    ] {
        let (said, request) = all(&[&[5, 1, 0][..], &request, b"early"].concat());
        assert_eq!(said, [5, 0]);
        assert_eq!(request, request_for(target, b"", b"early"));
    }
}

#[test]
fn methods() {
    let choice = |greeting: &[u8]| all(greeting).0;
    assert_eq!(choice(&[5, 1, 0]), [5, 0]);
    assert_eq!(choice(&[5, 1, 2]), [5, 2]);
    assert_eq!(choice(&[5, 2, 0, 2]), [5, 2]);
    assert_eq!(choice(&[5, 4, 9, 2, 1, 0]), [5, 2]);
    for none in [&[5, 0][..], &[5, 1, 1], &[5, 2, 9, 0xff]] {
        let no = (vec![5, 0xff], Err(Refused::NoMethod));
        assert_eq!(all(none), no);
    }
}

#[test]
fn refusals() {
    let not_socks = [&b"GET / HTTP/1.1\r\n\r\n"[..], &[4, 1, 0, 80], &[0]];
    for input in not_socks {
        assert_eq!(all(input), (vec![], Err(Refused::NotSocks5)));
    }
    let malformed_credentials = [&[5][..], &[1, 0], &[1, 0, 1, b'x'], &[1, 1, b'x', 0]];
    for auth in malformed_credentials {
        let (said, why) = all(&[&[5, 1, 2], auth].concat());
        assert_eq!(
            (&said[..], why),
            (&[5, 2, 1, 1][..], Err(Refused::Credentials))
        );
    }
    let requests: [(&[u8], u8, Refused); 9] = [
        (&[4, 1, 0, 1], 0x01, Refused::Malformed),
        (&[5, 1, 1, 1], 0x01, Refused::Malformed),
        (&[5, 0, 0, 1], 0x07, Refused::Command),
        (&[5, 2, 0, 1], 0x07, Refused::Command),
        (&[5, 3, 0, 1], 0x07, Refused::Command),
        (&[5, 1, 0, 0], 0x08, Refused::AddressType),
        (&[5, 1, 0, 2], 0x08, Refused::AddressType),
        (&[5, 1, 0, 3, 0], 0x01, Refused::Malformed),
        (&[5, 1, 0, 3, 1, 0xff, 0, 80], 0x01, Refused::Malformed),
    ];
    for (request, rep, why) in requests {
        let said = [&[5, 0][..], &reply(rep)].concat();
        let outcome = all(&[&[5, 1, 0], request].concat());
        assert_eq!(outcome, (said, Err(why)), "{request:?}");
    }
}

#[test]
fn arguments_are_judged_inside_the_authentication() {
    let auth = credentials(b"bad", b"\0");
    let input = [&[5, 1, 2], &auth[..], CONNECT_V4].concat();
    let (said, why) = converse([&input[..]], |args| args != b"bad");
    assert_eq!((said, why), (vec![5, 2, 1, 1], Err(Refused::Arguments)));
}

#[test]
fn a_request_does_not_show_itself() {
    let request = request_for(ip("192.0.2.77:443"), b"cert=secret", b"early").unwrap();
    let shown = format!("{request:?}");
    for secret in ["77", "443", "secret", "115"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn the_reply_has_ten_bytes() {
    assert_eq!(reply(0), [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(reply(5)[1], 5);
}

#[test]
fn every_split_of_it_is_the_same() {
    let auth = credentials(b"cert=abc;iat-mode=0", b"\0");
    let name = [&[5, 1, 0, 3, 11][..], b"example.com", &[0, 80]].concat();
    let bad = [5, 9, 0, 1];
    for request in [CONNECT_V4, &name, &bad] {
        let input = [&[5, 2, 0, 2], &auth[..], request, b"payload"].concat();
        let whole = all(&input);
        for at in 0..=input.len() {
            let (one, two) = input.split_at(at);
            assert_eq!(converse([one, two], |_| true), whole, "split at {at}");
        }
        assert_eq!(converse(input.chunks(1), |_| true), whole);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_judged_alike_in_any_split(
        start in prop::sample::select(vec![vec![], vec![5, 1, 0], vec![5, 1, 2], vec![5, 1, 2, 1, 1, 65, 1, 66]]),
        rest in prop::collection::vec(prop_oneof![any::<u8>(), 0..6_u8], 0..40),
        at in any::<prop::sample::Index>(),
    ) {
        let input = [start, rest].concat();
        let whole = all(&input);
        let (one, two) = input.split_at(at.index(input.len() + 1));
        prop_assert_eq!(converse([one, two], |_| true), whole);
    }
}

#[tokio::test]
async fn one_byte_at_a_time_over_a_stream() {
    let (mut tor, mut ours) = duplex(1);
    let auth = credentials(b"a=1", b"\0");
    let input = [&[5, 2, 0, 2], &auth[..], CONNECT_V4].concat();
    let speak = async {
        let (mut read, mut write) = tokio::io::split(&mut tor);
        let mut said = [0; 4];
        let (sent, heard) = tokio::join!(write.write_all(&input), read.read_exact(&mut said));
        sent.unwrap();
        heard.unwrap();
        said
    };
    let (said, request) = tokio::join!(speak, handshake(&mut ours, |_| true));
    assert_eq!(said, [5, 2, 1, 0]);
    let request = request.unwrap();
    assert_eq!(request.early.capacity(), 0);
    assert_eq!(Ok(request), request_for(ip("192.0.2.7:443"), b"a=1", b""));
}

#[tokio::test]
async fn what_comes_early_is_kept_or_left_in_the_stream() {
    let (mut tor, mut ours) = duplex(100_000);
    let payload: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
    let input = [&[5, 1, 0], CONNECT_V4, &payload].concat();
    tor.write_all(&input).await.unwrap();
    let request = handshake(&mut ours, |_| true).await.unwrap();
    drop(tor);
    assert!(request.early.len() <= BUFFER);
    let mut arrived = request.early;
    ours.read_to_end(&mut arrived).await.unwrap();
    assert_eq!(arrived, payload);
}

#[tokio::test]
async fn a_peer_that_leaves() {
    for input in [&[][..], &[5], &[5, 1, 0, 5, 1]] {
        let (mut tor, mut ours) = duplex(100);
        tor.write_all(input).await.unwrap();
        tor.shutdown().await.unwrap();
        assert_eq!(handshake(&mut ours, |_| true).await, Err(Refused::Gone));
    }
}

/// A peer that still sends when it is refused: the reply arrives all the same, and then the end.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test is the application on loopback"
)]
async fn the_refusal_arrives_whatever_is_on_the_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut tor = tokio::net::TcpStream::connect(addr).await.unwrap();
    let (ours, _) = listener.accept().await.unwrap();
    tor.write_all(&[b'x'; 20_000]).await.unwrap();
    // The peer reads only when all is over. A reset would be on its socket by then.
    timeout(LONG, refuse(ours, 5)).await.unwrap();
    assert!(tor.take_error().unwrap().is_none(), "a reset came");
    let mut heard = Vec::new();
    let read = timeout(LONG, tor.read_to_end(&mut heard)).await;
    read.unwrap().unwrap();
    assert_eq!(heard, reply(5));
}

#[tokio::test]
async fn a_peer_that_stays_is_left_after_a_second() {
    let (mut tor, ours) = duplex(64);
    let begin = Instant::now();
    close_after_reply(ours).await;
    assert!(begin.elapsed() >= DRAIN_TIME && begin.elapsed() < LONG);
    assert_eq!(tor.read(&mut [0; 8]).await.unwrap(), 0);

    // Nor can it keep us by sending: the drain has its limit in bytes.
    let (mut tor, ours) = duplex(1024);
    let flood = async { while tor.write_all(&[0; 1024]).await.is_ok() {} };
    timeout(LONG, async { tokio::join!(flood, close_after_reply(ours)) })
        .await
        .unwrap();
}
