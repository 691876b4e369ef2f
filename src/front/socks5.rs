//! SOCKS5 as tor speaks it to a client transport (RFC 1928, RFC 1929, pt-spec 3.5).
//!
//! In: a stream from tor. Out: a [`Request`]: the bridge, and the bridge line's arguments, which travel
//! as user name and password. The reply is for the caller to send, when the transport is up. What can
//! go wrong is a [`Refused`], by then already answered as the protocol wants. The caller limits the
//! time. `Core` holds the rules and does no I/O.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::net::dial::Target;

/// What a client asked for.
#[derive(PartialEq, Eq)]
pub struct Request {
    /// The bridge.
    pub target: Target,
    /// The arguments, still encoded: user name and password put together, without tor's NUL.
    pub args: Vec<u8>,
    /// What came right behind the request: the first of the payload. At most [`BUFFER`] bytes; without
    /// any it holds no memory.
    pub early: Vec<u8>,
}

/// The bridge and its arguments are the user's secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("target", &self.target)
            .field("args", &format_args!("{} bytes", self.args.len()))
            .field("early", &format_args!("{} bytes", self.early.len()))
            .finish()
    }
}

/// Why there is no request. What RFC 1928 and 1929 have to say to the peer has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Refused {
    #[error("the connection ended during the SOCKS handshake")]
    Gone,
    #[error("the first byte is not SOCKS5's")]
    NotSocks5,
    #[error("none of the offered SOCKS authentication methods is known")]
    NoMethod,
    #[error("the SOCKS user name or password is malformed or empty")]
    Credentials,
    #[error("the transport arguments do not parse")]
    Arguments,
    #[error("the SOCKS request is malformed")]
    Malformed,
    #[error("the SOCKS command is not CONNECT")]
    Command,
    #[error("the SOCKS address type is not known")]
    AddressType,
}

/// How long a handshake may take, for callers. obfs4proxy has the same limit.
pub const LIMIT: Duration = Duration::from_secs(5);

/// How much is read at a time; the longest message of the handshake has 513 bytes.
pub const BUFFER: usize = 1024;

/// How long, and for how many bytes, a refused peer is listened to. Closing while its bytes are unread
/// would send an RST, which can overtake the reply.
const DRAIN_TIME: Duration = Duration::from_secs(1);
const DRAIN_BYTES: u64 = 64 * 1024;

/// Speaks the handshake up to and including the request.
///
/// `accepts` judges the syntax of the arguments, which belongs to another protocol but is answered
/// within this one. Bytes that belong to later messages may come with earlier ones.
pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mut accepts: impl FnMut(&[u8]) -> bool,
) -> Result<Request, Refused> {
    let mut core = Core::default();
    let mut input = Vec::with_capacity(BUFFER);
    loop {
        match core.step(&input, &mut accepts) {
            Step::More => {
                let room = BUFFER - input.len();
                let mut limited = (&mut *stream).take(room as u64);
                match limited.read_buf(&mut input).await {
                    Ok(0) | Err(_) => return Err(Refused::Gone),
                    Ok(_) => {}
                }
            }
            Step::Answer { consumed, answer } => {
                say(stream, &answer).await.map_err(|_| Refused::Gone)?;
                input.drain(..consumed);
            }
            Step::Done { consumed, target } => {
                return Ok(Request {
                    target,
                    args: core.args,
                    early: input[consumed..].to_vec(),
                });
            }
            Step::Refuse { answer, why } => {
                // The peer may be gone already; the reason is the same.
                let _ = say(stream, answer.as_slice()).await;
                return Err(why);
            }
        }
    }
}

/// The reply to a request (RFC 1928 section 6). tor ignores the address in it.
pub fn reply(rep: u8) -> [u8; 10] {
    [0x05, rep, 0x00, 0x01, 0, 0, 0, 0, 0, 0]
}

/// Sends a reply that says no, and closes so that it arrives.
pub async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, rep: u8) {
    let answer = reply(rep);
    if let Ok(Ok(())) = timeout(DRAIN_TIME, say(&mut stream, &answer)).await {
        close_after_reply(stream).await;
    }
}

/// Closes a connection on which the last word was said, within a second: it ends its own direction, and
/// lets the peer finish, so that no RST overtakes the word.
pub async fn close_after_reply<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let _ = timeout(DRAIN_TIME, async {
        stream.shutdown().await?;
        let mut rest = stream.take(DRAIN_BYTES);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    })
    .await;
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// The protocol without the stream: bytes in, the next move out.
#[derive(Default)]
struct Core {
    expect: Message,
    args: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
enum Message {
    #[default]
    Greeting,
    Credentials,
    Request,
}

/// The next move.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// The message is not complete, and nothing wrong with it so far.
    More,
    /// The message takes this many bytes and is answered; another one follows.
    Answer { consumed: usize, answer: [u8; 2] },
    /// The request takes this many bytes.
    Done { consumed: usize, target: Target },
    /// The end, after this answer.
    Refuse { answer: Answer, why: Refused },
}

/// The three shapes of a no, and none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Silence,
    Short([u8; 2]),
    Reply([u8; 10]),
}

impl Answer {
    fn as_slice(&self) -> &[u8] {
        match self {
            Answer::Silence => &[],
            Answer::Short(bytes) => bytes,
            Answer::Reply(bytes) => bytes,
        }
    }
}

const NO_AUTHENTICATION: u8 = 0x00;
const USER_PASSWORD: u8 = 0x02;

impl Core {
    /// Judges what has arrived of the current message.
    fn step(&mut self, input: &[u8], accepts: impl FnMut(&[u8]) -> bool) -> Step {
        let judged = match self.expect {
            Message::Greeting => self.greeting(input),
            Message::Credentials => self.credentials(input, accepts),
            Message::Request => request(input),
        };
        match judged {
            Ok(Some(step)) => step,
            Ok(None) => Step::More,
            Err((answer, why)) => Step::Refuse { answer, why },
        }
    }

    fn greeting(&mut self, input: &[u8]) -> Judged {
        let Some((&version, rest)) = input.split_first() else {
            return Ok(None);
        };
        if version != 0x05 {
            // HTTP, SOCKS4 or noise: an answer would be lost on it.
            return Err((Answer::Silence, Refused::NotSocks5));
        }
        let Some((methods, _)) = counted(rest) else {
            return Ok(None);
        };
        let method = if methods.contains(&USER_PASSWORD) {
            self.expect = Message::Credentials;
            USER_PASSWORD
        } else if methods.contains(&NO_AUTHENTICATION) {
            self.expect = Message::Request;
            NO_AUTHENTICATION
        } else {
            return Err((Answer::Short([0x05, 0xff]), Refused::NoMethod));
        };
        Ok(Some(Step::Answer {
            consumed: 2 + methods.len(),
            answer: [0x05, method],
        }))
    }

    fn credentials(&mut self, input: &[u8], mut accepts: impl FnMut(&[u8]) -> bool) -> Judged {
        let no = |why| Err((Answer::Short([0x01, 0x01]), why));
        let Some((&version, rest)) = input.split_first() else {
            return Ok(None);
        };
        if version != 0x01 || rest.first() == Some(&0) {
            return no(Refused::Credentials);
        }
        let Some((user, rest)) = counted(rest) else {
            return Ok(None);
        };
        if rest.first() == Some(&0) {
            return no(Refused::Credentials);
        }
        let Some((password, _)) = counted(rest) else {
            return Ok(None);
        };
        self.args = user.to_vec();
        // One NUL is how tor says that the user name holds everything.
        if password != [0] {
            self.args.extend_from_slice(password);
        }
        if !accepts(&self.args) {
            return no(Refused::Arguments);
        }
        self.expect = Message::Request;
        Ok(Some(Step::Answer {
            consumed: 3 + user.len() + password.len(),
            answer: [0x01, 0x00],
        }))
    }
}

/// What has been found out: a step, the wish for more, or a no.
type Judged = Result<Option<Step>, (Answer, Refused)>;

fn request(input: &[u8]) -> Judged {
    let no = |rep, why| Err((Answer::Reply(reply(rep)), why));
    let Some((&[version, command, reserved, kind], rest)) = input.split_first_chunk() else {
        return Ok(None);
    };
    if version != 0x05 || reserved != 0x00 {
        return no(0x01, Refused::Malformed);
    }
    if command != 0x01 {
        return no(0x07, Refused::Command);
    }
    let ip = |ip, port| Target::Ip(SocketAddr::new(ip, port));
    let target = match kind {
        0x01 => take(rest).map(|(v4, rest)| (Host::Ip(Ipv4Addr::from_octets(v4).into()), rest)),
        0x04 => take(rest).map(|(v6, rest)| (Host::Ip(Ipv6Addr::from_octets(v6).into()), rest)),
        0x03 => match counted(rest) {
            Some(([], _)) => return no(0x01, Refused::Malformed),
            Some((name, rest)) => match str::from_utf8(name) {
                Ok(name) => Some((Host::Name(name), rest)),
                Err(_) => return no(0x01, Refused::Malformed),
            },
            None => None,
        },
        _ => return no(0x08, Refused::AddressType),
    };
    let Some((host, (port, rest))) = target.and_then(|(host, rest)| Some((host, take(rest)?)))
    else {
        return Ok(None);
    };
    let port = u16::from_be_bytes(port);
    Ok(Some(Step::Done {
        consumed: input.len() - rest.len(),
        target: match host {
            Host::Ip(addr) => ip(addr, port),
            Host::Name(name) => Target::Name(name.to_owned(), port),
        },
    }))
}

enum Host<'a> {
    Ip(std::net::IpAddr),
    Name(&'a str),
}

fn take<const N: usize>(input: &[u8]) -> Option<([u8; N], &[u8])> {
    let (taken, rest) = input.split_first_chunk()?;
    Some((*taken, rest))
}

/// A field that begins with its length in one byte.
fn counted(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = input.split_first()?;
    rest.split_at_checked(usize::from(length))
}

#[cfg(test)]
mod tests;
