//! The SOCKS5 client that tor is, towards a pluggable transport's listener.
//!
//! In: the listener's address, the bridge's address and its arguments. Out: a connected stream, or
//! the REP byte of the refusal. What can go wrong besides: arguments too long for tor, or turned
//! down, or a listener that does not speak SOCKS5.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::escape;

/// Connects through a client's SOCKS5 listener as tor does: one step at a time, `00` alone without
/// arguments, otherwise `00 02` with the arguments in RFC 1929's two fields (pt-spec 3.5).
///
/// The inner error is the REP byte of the reply; arguments that were turned down are an outer
/// `PermissionDenied`, ones that tor would not send an `InvalidInput`.
pub async fn socks_connect(
    proxy: SocketAddr,
    target: SocketAddr,
    args: &[(String, String)],
) -> io::Result<Result<TcpStream, u8>> {
    let credentials = credentials(args)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "this is tor's end: the listener is the transport's own, on loopback"
    )]
    let mut stream = TcpStream::connect(proxy).await?;
    stream.set_nodelay(true)?;
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let hello: &[u8] = match credentials {
        Some(_) => &[5, 2, 0, 2],
        None => &[5, 1, 0],
    };
    stream.write_all(hello).await?;
    let mut choice = [0; 2];
    stream.read_exact(&mut choice).await?;
    match (choice, &credentials) {
        ([5, 0], _) => {}
        ([5, 2], Some(credentials)) => {
            stream.write_all(credentials).await?;
            stream.read_exact(&mut choice).await?;
            if choice != [1, 0] {
                let what = "the SOCKS listener turned the arguments down";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
            }
        }
        _ => {
            return Err(invalid(
                "the SOCKS listener chose a method that was not offered",
            ));
        }
    }
    let mut request = vec![5, 1, 0];
    match target {
        SocketAddr::V4(v4) => {
            request.push(1);
            request.extend(v4.ip().octets());
        }
        SocketAddr::V6(v6) => {
            request.push(4);
            request.extend(v6.ip().octets());
        }
    }
    request.extend(target.port().to_be_bytes());
    stream.write_all(&request).await?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await?;
    let mut bound = vec![
        0;
        2 + match reply {
            [5, _, _, 1] => 4,
            [5, _, _, 4] => 16,
            [5, _, _, 3] => usize::from(stream.read_u8().await?),
            _ => return Err(invalid("not a SOCKS5 reply")),
        }
    ];
    stream.read_exact(&mut bound).await?;
    Ok(match reply[1] {
        0 => Ok(stream),
        rep => Err(rep),
    })
}

/// The RFC 1929 request that carries the arguments; `None` without any.
fn credentials(args: &[(String, String)]) -> io::Result<Option<Vec<u8>>> {
    // tor escapes these two, and an `=` not at all.
    let pairs: Vec<String> = args
        .iter()
        .map(|(k, v)| escape(&format!("{k}={v}"), r";\"))
        .collect();
    let all = pairs.join(";").into_bytes();
    if all.is_empty() {
        return Ok(None);
    }
    let (user, password) = all.split_at(all.len().min(255));
    let password = if password.is_empty() { &[0] } else { password };
    let too_long = |_| {
        let what = "more than 510 bytes of arguments: tor does not take such a bridge line";
        io::Error::new(io::ErrorKind::InvalidInput, what)
    };
    let mut request = vec![1, user.len() as u8];
    request.extend(user);
    request.push(u8::try_from(password.len()).map_err(too_long)?);
    request.extend(password);
    Ok(Some(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> Vec<(String, String)> {
        vec![(key.to_owned(), value.to_owned())]
    }

    #[test]
    fn arguments_are_escaped_and_split_as_tor_does() {
        assert_eq!(credentials(&[]).unwrap(), None);
        let mut args = pair("cert", r"ab;c\d=e=f");
        args.extend(pair("iat-mode", "1"));
        let said = br"cert=ab\;c\\d=e=f;iat-mode=1";
        let expected = [&[1, said.len() as u8][..], said, &[1, 0]].concat();
        assert_eq!(credentials(&args).unwrap(), Some(expected));

        let full = credentials(&pair("k", &"v".repeat(253))).unwrap().unwrap();
        assert_eq!((full[1], &full[257..]), (255, &[1, 0][..]));
        let split = credentials(&pair("k", &"v".repeat(254))).unwrap().unwrap();
        assert_eq!((split[1], &split[257..]), (255, &[1, b'v'][..]));
        assert!(credentials(&pair("k", &"v".repeat(508))).is_ok());
        let error = credentials(&pair("k", &"v".repeat(509))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    /// A listener that expects some bytes and answers others, step by step.
    async fn scripted(steps: Vec<(Vec<u8>, Vec<u8>)>) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for (expected, answer) in steps {
                let mut read = vec![0; expected.len()];
                stream.read_exact(&mut read).await.unwrap();
                if read != expected {
                    return;
                }
                stream.write_all(&answer).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn every_reply_is_told_apart() {
        let target: SocketAddr = "[::1]:258".parse().unwrap();
        let mut request = vec![5, 1, 0, 4];
        request.extend([0; 15]);
        request.extend([1, 1, 2]);
        let hello = (vec![5, 1, 0], vec![5, 0]);

        let mut ok = vec![5, 0, 0, 3, 1, b'x', 0, 0];
        ok.extend(b"first");
        let proxy = scripted(vec![hello.clone(), (request.clone(), ok)]).await;
        let mut stream = socks_connect(proxy, target, &[]).await.unwrap().unwrap();
        let mut first = [0; 5];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"first");

        let refused = vec![5, 5, 0, 1, 0, 0, 0, 0, 0, 0];
        let proxy = scripted(vec![hello, (request, refused)]).await;
        let reply = socks_connect(proxy, target, &[]).await.unwrap();
        assert_eq!(reply.map(drop), Err(5));

        let steps = vec![
            (vec![5, 2, 0, 2], vec![5, 2]),
            (b"\x01\x03a=b\x01\0".to_vec(), vec![1, 1]),
        ];
        let proxy = scripted(steps).await;
        let turned_down = socks_connect(proxy, target, &pair("a", "b")).await;
        assert_eq!(
            turned_down.unwrap_err().kind(),
            io::ErrorKind::PermissionDenied
        );

        let proxy = scripted(vec![(vec![5, 1, 0], vec![5, 255])]).await;
        let none = socks_connect(proxy, target, &[]).await;
        assert_eq!(none.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
