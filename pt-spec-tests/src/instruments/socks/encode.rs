//! The client's SOCKS5 messages as bytes: RFC 1928, RFC 1929 and the arguments of pt-spec 3.5.
//!
//! In: what to say. Out: its bytes. A field that is longer than its length byte can tell is sent whole behind a length
//! of 255.

use std::net::{IpAddr, SocketAddr};

use crate::instruments::negotiation::Args;

/// What fits into each field of RFC 1929.
const FIELD: usize = 255;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// ATYP 1 or 4.
    Ip(SocketAddr),
    /// ATYP 3.
    Name(String, u16),
    /// Any ATYP, and all bytes behind it.
    Raw {
        /// The ATYP byte.
        atyp: u8,
        /// Address and port, or whatever stands in their place.
        bytes: Vec<u8>,
    },
}

impl From<SocketAddr> for Target {
    fn from(addr: SocketAddr) -> Self {
        Target::Ip(addr)
    }
}

/// The greeting: the methods offered (RFC 1928 section 3).
pub fn greeting(methods: &[u8]) -> Vec<u8> {
    [&[5, length(methods)], methods].concat()
}

/// User name and password (RFC 1929 section 2).
pub fn credentials(user: &[u8], pass: &[u8]) -> Vec<u8> {
    [&[1, length(user)], user, &[length(pass)], pass].concat()
}

/// A request (RFC 1928 section 4); CONNECT is command 1.
pub fn request(command: u8, target: &Target) -> Vec<u8> {
    let mut message = vec![5, command, 0];
    match target {
        Target::Ip(addr) => {
            match addr.ip() {
                IpAddr::V4(ip) => {
                    message.push(1);
                    message.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    message.push(4);
                    message.extend(ip.octets());
                }
            }
            message.extend(addr.port().to_be_bytes());
        }
        Target::Name(name, port) => {
            message.extend([3, length(name.as_bytes())]);
            message.extend(name.as_bytes());
            message.extend(port.to_be_bytes());
        }
        Target::Raw { atyp, bytes } => {
            message.push(*atyp);
            message.extend(bytes);
        }
    }
    message
}

/// A CONNECT request.
pub fn connect(target: &Target) -> Vec<u8> {
    request(1, target)
}

/// Arguments as text: `k=v;k=v`. tor escapes only `;` and `\`, so a `=` inside a value stays as it is.
pub fn encode(args: &Args) -> Vec<u8> {
    let mut text = Vec::new();
    for (key, value) in args {
        if !text.is_empty() {
            text.push(b';');
        }
        escape(&mut text, key);
        text.push(b'=');
        escape(&mut text, value);
    }
    text
}

/// The RFC 1929 message in which tor sends arguments: up to 255 bytes all in the user name, with a NUL for a password;
/// else the first 255 and the rest. `None` where tor sends no such message: without arguments, and for more than 510
/// bytes.
pub fn tor_arguments(args: &Args) -> Option<Vec<u8>> {
    let text = encode(args);
    match text.split_at_checked(FIELD) {
        _ if text.is_empty() => None,
        None | Some((_, [])) => Some(credentials(&text, &[0])),
        Some((user, pass)) => (pass.len() <= FIELD).then(|| credentials(user, pass)),
    }
}

fn length(field: &[u8]) -> u8 {
    u8::try_from(field.len()).unwrap_or(u8::MAX)
}

fn escape(text: &mut Vec<u8>, word: &str) {
    for byte in word.bytes() {
        if matches!(byte, b';' | b'\\') {
            text.push(b'\\');
        }
        text.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads `k=v;k=v` with backslashes, as a transport does.
    fn decode(text: &[u8]) -> Args {
        let mut args = Args::new();
        let mut key: Option<Vec<u8>> = None;
        let mut word = Vec::new();
        let mut bytes = text.iter().copied();
        loop {
            match bytes.next() {
                Some(b'\\') => word.push(bytes.next().expect("nothing dangles")),
                Some(b'=') if key.is_none() => key = Some(std::mem::take(&mut word)),
                Some(byte) if byte != b';' => word.push(byte),
                end => {
                    let key = key.take().expect("every pair has a =");
                    let text = |bytes| String::from_utf8(bytes).expect("UTF-8 as before");
                    args.push((text(key), text(std::mem::take(&mut word))));
                    if end.is_none() {
                        return args;
                    }
                }
            }
        }
    }

    fn one(value: &str) -> Args {
        vec![("k".to_owned(), value.to_owned())]
    }

    #[test]
    fn messages_are_those_of_the_rfcs() {
        assert_eq!(greeting(&[0, 2]), [5, 2, 0, 2]);
        assert_eq!(credentials(b"a", b""), [1, 1, b'a', 0]);
        let target = Target::Ip("127.0.0.1:258".parse().expect("an address"));
        assert_eq!(connect(&target), [5, 1, 0, 1, 127, 0, 0, 1, 1, 2]);
        let target = Target::Name("xy".to_owned(), 1);
        assert_eq!(request(2, &target), [5, 2, 0, 3, 2, b'x', b'y', 0, 1]);
        let target = Target::Ip("[::1]:1".parse().expect("an address"));
        assert_eq!(connect(&target).len(), 22);
        let raw = Target::Raw {
            atyp: 9,
            bytes: vec![7],
        };
        assert_eq!(connect(&raw), [5, 1, 0, 9, 7]);
    }

    #[test]
    fn arguments_go_into_one_field_or_two() {
        assert_eq!(tor_arguments(&Args::new()), None);
        assert_eq!(encode(&one(r"a=b;c\")), br"k=a=b\;c\\");
        for (value, user, pass) in [(253, 255, 1), (254, 255, 1), (508, 255, 255)] {
            let message = tor_arguments(&one(&"x".repeat(value))).expect("fits");
            assert_eq!(usize::from(message[1]), user);
            assert_eq!(usize::from(message[2 + user]), pass);
            assert_eq!(message.len(), 3 + user + pass);
            assert_eq!(
                message[3 + user] == 0,
                value == 253,
                "a NUL only where nothing is left"
            );
        }
        assert_eq!(tor_arguments(&one(&"x".repeat(509))), None);
    }

    proptest! {
        #[test]
        fn arguments_survive_the_way(
            args in prop::collection::vec(("[a-z-]{1,8}", r"[ -~é;=\\]{0,20}"), 1..8)
        ) {
            let text = encode(&args);
            prop_assert_eq!(&decode(&text), &args);
            let message = tor_arguments(&args).expect("short enough");
            let (user, rest) = message[2..].split_at(message[1].into());
            let pass = if rest == [1, 0] { &[] } else { &rest[1..] };
            prop_assert_eq!([user, pass].concat(), text);
        }

        #[test]
        fn length_bytes_are_right_as_far_as_they_can_be(
            user in prop::collection::vec(any::<u8>(), 0..300),
            pass in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let message = credentials(&user, &pass);
            prop_assert_eq!(message.len(), 3 + user.len() + pass.len());
            prop_assert_eq!(usize::from(message[1]), user.len().min(255));
            prop_assert_eq!(usize::from(message[2 + user.len()]), pass.len().min(255));
        }
    }
}
