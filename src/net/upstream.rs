//! Asking an upstream proxy for a connection: HTTP `CONNECT`, SOCKS5, SOCKS4a.
//!
//! In: a connection to the proxy, and the target. Out: the same connection, on which the next byte is
//! the target's: not one byte more than the proxy's answer is read. What can go wrong is named as if
//! the connection had been direct where the proxy says enough, and otherwise as the proxy's failure.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use fast_socks5::client::{Config, Socks5Stream};
use fast_socks5::util::target_addr::TargetAddr;
use fast_socks5::{AuthenticationMethod, ReplyError, Socks5Command, SocksError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::dial::Target;
use super::proxy::{Proxy, Scheme};
use crate::error::Failure;

/// The longest head of an HTTP answer; proxies that explain themselves at length do so in the body.
const MAX_HTTP_HEAD: usize = 16 * 1024;
const MAX_HTTP_HEADERS: usize = 64;

/// Asks for the connection and waits for the answer. The caller limits the time.
pub async fn ask(stream: &mut TcpStream, proxy: &Proxy, target: &Target) -> Result<(), Failure> {
    match proxy.scheme {
        Scheme::Http => http(stream, proxy, target).await,
        Scheme::Socks5 => socks5(stream, proxy, target).await,
        Scheme::Socks4a => socks4a(stream, proxy, target).await,
    }
}

fn failed(text: impl Into<String>) -> Failure {
    Failure::Proxy(text.into())
}

fn broke_off(_: io::Error) -> Failure {
    failed("closed the connection without an answer")
}

// ---- HTTP (RFC 9110 section 9.3.6)

async fn http(stream: &mut TcpStream, proxy: &Proxy, target: &Target) -> Result<(), Failure> {
    let request = http_request(proxy, target);
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(broke_off)?;
    let mut head = Vec::new();
    loop {
        let status = http_answer(stream, &mut head).await?;
        match status {
            // Interim answers come before the one that counts.
            100..=199 => head.clear(),
            200..=299 => return Ok(()),
            403 | 405 => return Err(Failure::Forbidden),
            407 => {
                return Err(failed(match proxy.user {
                    Some(_) => "did not accept the user name and password (HTTP 407)",
                    None => "wants a user name and a password (HTTP 407)",
                }));
            }
            504 => return Err(Failure::DialTimeout),
            _ => {
                return Err(failed(format!(
                    "could not connect to the bridge (HTTP {status})"
                )));
            }
        }
    }
}

fn http_request(proxy: &Proxy, target: &Target) -> String {
    // A name has been checked to hold no byte that could end the line.
    let host = match target {
        Target::Ip(addr) => without_scope(*addr).to_string(),
        Target::Name(name, port) => format!("{name}:{port}"),
    };
    let mut request = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n");
    if let Some(user) = &proxy.user {
        let password = proxy.password.as_deref().unwrap_or_default();
        let credentials = BASE64.encode(format!("{user}:{password}"));
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(&credentials);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request
}

/// Reads one head to its blank line and no further: it looks first and takes what belongs to the head.
async fn http_answer(stream: &mut TcpStream, head: &mut Vec<u8>) -> Result<u16, Failure> {
    let mut window = vec![0; 1024];
    loop {
        let seen = stream.peek(&mut window).await.map_err(broke_off)?;
        if seen == 0 {
            return Err(broke_off(io::ErrorKind::UnexpectedEof.into()));
        }
        let before = head.len();
        head.extend_from_slice(&window[..seen]);
        let (length, status) = match http_status(head)? {
            Some((length, status)) => (length, Some(status)),
            None => (head.len(), None),
        };
        stream
            .read_exact(&mut window[..length - before])
            .await
            .map_err(broke_off)?;
        if let Some(status) = status {
            return Ok(status);
        }
        if head.len() > MAX_HTTP_HEAD {
            return Err(failed("gave an HTTP answer without an end"));
        }
    }
}

/// The head's length and status, once it is whole.
fn http_status(head: &[u8]) -> Result<Option<(usize, u16)>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HTTP_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(length)) => {
            let status = response.code.expect("a complete head has a status");
            Ok(Some((length, status)))
        }
        Err(_) => Err(failed("does not speak HTTP")),
    }
}

fn without_scope(mut addr: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut addr {
        v6.set_scope_id(0);
        v6.set_flowinfo(0);
    }
    addr
}

// ---- SOCKS5 (RFC 1928, RFC 1929)

async fn socks5(stream: &mut TcpStream, proxy: &Proxy, target: &Target) -> Result<(), Failure> {
    let credentials = match (&proxy.user, &proxy.password) {
        (Some(username), Some(password)) => Some(AuthenticationMethod::Password {
            username: username.clone(),
            password: password.clone(),
        }),
        _ => None,
    };
    let addr = match target {
        Target::Ip(addr) => TargetAddr::Ip(*addr),
        Target::Name(name, port) => TargetAddr::Domain(name.clone(), *port),
    };
    let stream = KnownReplies {
        stream,
        position: None,
    };
    let mut socks = Socks5Stream::use_stream(stream, credentials, Config::default())
        .await
        .map_err(|error| socks5_failure(&error))?;
    socks.get_socket_mut().position = Some(0);
    match socks.request(Socks5Command::TCPConnect, addr).await {
        Ok(_) => Ok(()),
        Err(error) => Err(socks5_failure(&error)),
    }
}

fn socks5_failure(error: &SocksError) -> Failure {
    // None of these texts may come from the library: it puts names and addresses into them.
    match error {
        SocksError::ReplyError(reply) => match reply {
            ReplyError::ConnectionNotAllowed => Failure::Forbidden,
            ReplyError::NetworkUnreachable => Failure::NetworkUnreachable,
            ReplyError::HostUnreachable => Failure::HostUnreachable,
            ReplyError::ConnectionRefused => Failure::Refused,
            ReplyError::TtlExpired | ReplyError::ConnectionTimeout => Failure::DialTimeout,
            ReplyError::CommandNotSupported | ReplyError::AddressTypeNotSupported => {
                failed("does not support this kind of connection or address")
            }
            ReplyError::Succeeded | ReplyError::GeneralFailure => {
                failed("could not connect to the bridge (general SOCKS failure)")
            }
        },
        SocksError::AuthMethodUnacceptable(_) => {
            failed("wants another user name and password, or another way to give them")
        }
        SocksError::AuthenticationRejected(_) => {
            failed("did not accept the user name and password")
        }
        SocksError::UnsupportedSocksVersion(_) => failed("does not speak SOCKS5"),
        _ => failed("broke off the SOCKS5 handshake"),
    }
}

/// A stream on which every reply of a proxy is one of RFC 1928's: the library panics at others, and a
/// byte from the network must not be able to do that. It counts the bytes of the reply; the second one
/// is the code.
struct KnownReplies<'a> {
    stream: &'a mut TcpStream,
    /// How many bytes of the reply have passed; nothing before the request.
    position: Option<usize>,
}

impl AsyncRead for KnownReplies<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut *self.stream).poll_read(context, buffer))?;
        if let Some(position) = &mut self.position {
            let new = &mut buffer.filled_mut()[before..];
            if let Some(code) = 1_usize
                .checked_sub(*position)
                .and_then(|at| new.get_mut(at))
                && *code > 0x08
            {
                *code = 0x01;
            }
            *position += new.len();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for KnownReplies<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(context)
    }
}

// ---- SOCKS4a

async fn socks4a(stream: &mut TcpStream, proxy: &Proxy, target: &Target) -> Result<(), Failure> {
    let request = socks4a_request(proxy, target);
    stream.write_all(&request).await.map_err(broke_off)?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).await.map_err(broke_off)?;
    match answer[..2] {
        [0, 0x5a] => Ok(()),
        [0, 0x5b] => Err(failed(
            "rejected the connection, or could not make it (SOCKS4 code 91)",
        )),
        [0, 0x5c | 0x5d] => Err(failed("did not accept the user name")),
        _ => Err(failed("does not speak SOCKS4a")),
    }
}

fn socks4a_request(proxy: &Proxy, target: &Target) -> Vec<u8> {
    let (addr, port, name) = match target {
        // 0.0.0.x announces a name, so an address of that kind has to be one.
        Target::Ip(SocketAddr::V4(v4)) if v4.ip().octets()[..3] != [0; 3] => {
            (v4.ip().octets(), v4.port(), None)
        }
        // There is no IPv6 in SOCKS4; as a name it works with proxies whose resolver reads addresses.
        Target::Ip(addr) => ([0, 0, 0, 1], addr.port(), Some(addr.ip().to_string())),
        Target::Name(name, port) => ([0, 0, 0, 1], *port, Some(name.clone())),
    };
    let mut request = vec![0x04, 0x01];
    request.extend_from_slice(&port.to_be_bytes());
    request.extend_from_slice(&addr);
    request.extend_from_slice(proxy.user.as_deref().unwrap_or_default().as_bytes());
    request.push(0);
    if let Some(name) = name {
        request.extend_from_slice(name.as_bytes());
        request.push(0);
    }
    request
}

#[cfg(test)]
mod tests;
