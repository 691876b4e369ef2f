//! The upstream proxy, as tor names it in `TOR_PT_PROXY` (pt-spec 3.2.2).
//!
//! In: the text. Out: a [`Proxy`], which holds secrets and an address and shows neither. Every text
//! that is not a usable proxy is a [`ProxyError`]: a connection must not go around a proxy that was
//! meant, so nothing here is guessed and nothing is ignored.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The protocol spoken with the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `CONNECT` of HTTP/1.1, with Basic authentication if there is a user name.
    Http,
    /// SOCKS5, with RFC 1929 authentication if there is a user name.
    Socks5,
    /// SOCKS4a, with the user name as its user id.
    Socks4a,
}

/// A proxy that every outgoing connection of a client goes through.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// What is spoken with it.
    pub scheme: Scheme,
    /// Where it is. Never a name: looking one up would be a leak.
    pub addr: SocketAddr,
    /// The user name; never empty. SOCKS5 has both or neither, SOCKS4a has no password.
    pub user: Option<String>,
    /// The password; for HTTP it may be empty.
    pub password: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("scheme", &self.scheme)
            .field("addr", &"[scrubbed]")
            .field("user", &self.user.as_ref().map(|_| "[scrubbed]"))
            .finish_non_exhaustive()
    }
}

/// Why a text is no usable proxy. It is said in a `PROXY-ERROR` line and quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum ProxyError {
    #[error("the proxy is not UTF-8 text")]
    NotText,
    #[error("the proxy is not of the form scheme://[user[:password]@]address:port")]
    NotAUri,
    #[error("the proxy's scheme is none of http, socks5, socks4a")]
    Scheme,
    #[error("the proxy's address is not an IP address (IPv6 in brackets) and a port")]
    Address,
    #[error("a socks5 proxy takes a user name and a password of 1 to 255 bytes each, or neither")]
    Socks5Credentials,
    #[error("a socks4a proxy takes a user name of 1 to 255 bytes at most, and no password")]
    Socks4aCredentials,
    #[error("the http proxy's password has no user name")]
    HttpCredentials,
}

impl Proxy {
    /// Reads `scheme://[user[:password]@]ip:port`.
    ///
    /// tor writes user name and password as they are, without percent-encoding. So the address is
    /// what follows the *last* `@`, the user name ends at the *first* `:`, and nothing is decoded.
    pub fn parse(text: &str) -> Result<Proxy, ProxyError> {
        let (scheme, rest) = text.split_once("://").ok_or(ProxyError::NotAUri)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "socks5" => Scheme::Socks5,
            "socks4a" => Scheme::Socks4a,
            _ => return Err(ProxyError::Scheme),
        };
        let (user, password, addr) = match rest.rsplit_once('@') {
            None => (None, None, rest),
            Some((userinfo, addr)) => match userinfo.split_once(':') {
                None => (Some(userinfo), None, addr),
                Some((user, password)) => (Some(user), Some(password), addr),
            },
        };
        check_credentials(scheme, user, password)?;
        Ok(Proxy {
            scheme,
            addr: parse_address(addr).ok_or(ProxyError::Address)?,
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
        })
    }
}

fn check_credentials(
    scheme: Scheme,
    user: Option<&str>,
    password: Option<&str>,
) -> Result<(), ProxyError> {
    // Both SOCKS versions give a length one byte or end at a NUL.
    let fits = |text: &str| (1..=255).contains(&text.len()) && !text.contains('\0');
    match (scheme, user, password) {
        (_, None, None) => Ok(()),
        (Scheme::Http, Some(""), _) => Err(ProxyError::HttpCredentials),
        (Scheme::Http, ..) => Ok(()),
        (Scheme::Socks5, Some(user), Some(password)) if fits(user) && fits(password) => Ok(()),
        (Scheme::Socks5, ..) => Err(ProxyError::Socks5Credentials),
        (Scheme::Socks4a, Some(user), None) if fits(user) => Ok(()),
        (Scheme::Socks4a, ..) => Err(ProxyError::Socks4aCredentials),
    }
}

fn parse_address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let ip = match host.strip_prefix('[') {
        Some(host) => IpAddr::V6(host.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?),
        None => IpAddr::V4(host.parse().ok()?),
    };
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let port = port.parse().ok().filter(|&port| port != 0)?;
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proxy(scheme: Scheme, user: Option<&str>, password: Option<&str>, addr: &str) -> Proxy {
        Proxy {
            scheme,
            addr: addr.parse().unwrap(),
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
        }
    }

    #[test]
    fn what_tor_sends() {
        use Scheme::{Http, Socks4a, Socks5};
        let good = [
            (
                "socks5://127.0.0.1:1080",
                proxy(Socks5, None, None, "127.0.0.1:1080"),
            ),
            (
                "socks5://u:s@r:p%20w/d@127.0.0.1:1",
                proxy(Socks5, Some("u"), Some("s@r:p%20w/d"), "127.0.0.1:1"),
            ),
            (
                "http://user:pa:ss@[::1]:8080",
                proxy(Http, Some("user"), Some("pa:ss"), "[::1]:8080"),
            ),
            (
                "http://user@10.0.0.1:65535",
                proxy(Http, Some("user"), None, "10.0.0.1:65535"),
            ),
            (
                "http://user:@10.0.0.1:3128",
                proxy(Http, Some("user"), Some(""), "10.0.0.1:3128"),
            ),
            (
                "socks4a://us@er@10.0.0.1:9050",
                proxy(Socks4a, Some("us@er"), None, "10.0.0.1:9050"),
            ),
            (
                "SOCKS4A://10.0.0.1:9050",
                proxy(Socks4a, None, None, "10.0.0.1:9050"),
            ),
        ];
        for (text, expected) in good {
            // assert! and not assert_eq!, which would print two scrubbed and so equal values.
            assert!(Proxy::parse(text) == Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy() {
        let long = "u".repeat(256);
        let bad = [
            ("", ProxyError::NotAUri),
            ("garbage", ProxyError::NotAUri),
            ("127.0.0.1:1080", ProxyError::NotAUri),
            ("://127.0.0.1:1080", ProxyError::Scheme),
            ("socks4://127.0.0.1:1080", ProxyError::Scheme),
            ("https://127.0.0.1:1080", ProxyError::Scheme),
            ("http://", ProxyError::Address),
            ("http://127.0.0.1", ProxyError::Address),
            ("http://127.0.0.1:", ProxyError::Address),
            ("http://127.0.0.1:0", ProxyError::Address),
            ("http://127.0.0.1:+80", ProxyError::Address),
            ("http://127.0.0.1:65536", ProxyError::Address),
            ("http://127.0.0.1:80/", ProxyError::Address),
            ("http://localhost:80", ProxyError::Address),
            ("http://::1:80", ProxyError::Address),
            ("http://[127.0.0.1]:80", ProxyError::Address),
            ("http://[::1]", ProxyError::Address),
            ("http://[::1%lo]:80", ProxyError::Address),
            ("http://@127.0.0.1:80", ProxyError::HttpCredentials),
            ("http://:pw@127.0.0.1:80", ProxyError::HttpCredentials),
            ("socks5://u@127.0.0.1:80", ProxyError::Socks5Credentials),
            ("socks5://u:@127.0.0.1:80", ProxyError::Socks5Credentials),
            ("socks5://:p@127.0.0.1:80", ProxyError::Socks5Credentials),
            ("socks5://@127.0.0.1:80", ProxyError::Socks5Credentials),
            (
                &format!("socks5://{long}:p@127.0.0.1:80"),
                ProxyError::Socks5Credentials,
            ),
            ("socks4a://u:p@127.0.0.1:80", ProxyError::Socks4aCredentials),
            ("socks4a://@127.0.0.1:80", ProxyError::Socks4aCredentials),
            (
                &format!("socks4a://{long}@127.0.0.1:80"),
                ProxyError::Socks4aCredentials,
            ),
        ];
        for (text, expected) in bad {
            assert!(Proxy::parse(text) == Err(expected), "{text}");
        }
    }

    #[test]
    fn secrets_and_address_are_not_shown() {
        let shown = format!("{:?}", Proxy::parse("socks5://alice:s3cret@10.1.2.3:1080"));
        for secret in ["alice", "s3cret", "10.1.2.3", "1080"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "(socks5|socks4a|http)?(://)?[\\PC]{0,30}(127.0.0.1|\\[::1\\])?(:[0-9]{0,6})?") {
            let _ = Proxy::parse(&text);
        }

        #[test]
        fn credentials_arrive_as_written(user in "[^:@\0]{1,20}", password in "[^\0]{1,40}") {
            let parsed = Proxy::parse(&format!("socks5://{user}:{password}@192.0.2.1:99")).unwrap();
            prop_assert_eq!(parsed.user, Some(user));
            prop_assert_eq!(parsed.password, Some(password));
        }
    }
}
