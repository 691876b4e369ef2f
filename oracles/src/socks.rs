//! The application's side of a transport's SOCKS port, all of it in one piece: greeting, arguments and CONNECT.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::deadline::soon;

/// What a server may answer before it is cut off.
const MAX_ANSWER: u64 = 64 << 10;

/// A greeting that offers RFC 1929, the arguments in its user name, and a CONNECT to a host name.
pub fn to_name(args: &[u8], name: &[u8], port: u16) -> Vec<u8> {
    let mut bytes = greeting(args);
    bytes.extend([5, 1, 0, 3, length(name)]);
    bytes.extend(name);
    bytes.extend(port.to_be_bytes());
    bytes
}

/// The same, to an address.
pub fn to_addr(args: &[u8], addr: SocketAddr) -> Vec<u8> {
    let mut bytes = greeting(args);
    match addr {
        SocketAddr::V4(v4) => {
            bytes.extend([5, 1, 0, 1]);
            bytes.extend(v4.ip().octets());
        }
        SocketAddr::V6(v6) => {
            bytes.extend([5, 1, 0, 4]);
            bytes.extend(v6.ip().octets());
        }
    }
    bytes.extend(addr.port().to_be_bytes());
    bytes
}

fn greeting(args: &[u8]) -> Vec<u8> {
    if args.is_empty() {
        return vec![5, 1, 0];
    }
    let mut bytes = vec![5, 1, 2, 1, length(args)];
    bytes.extend(args);
    // A password of one NUL means that the user name was long enough for all of them (pt-spec 3.5).
    bytes.extend([1, 0]);
    bytes
}

fn length(bytes: &[u8]) -> u8 {
    u8::try_from(bytes.len()).expect("what these scenes send is short")
}

/// Says it, and reads to the end what comes back. A connection that is reset has no answer, which is one too.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the application, on loopback"
)]
pub async fn say(port: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = soon("a connection", TcpStream::connect(port)).await??;
    let mut answer = Vec::new();
    soon("an answer", async {
        if stream.write_all(bytes).await.is_ok() {
            let _ = (&mut stream)
                .take(MAX_ANSWER)
                .read_to_end(&mut answer)
                .await;
        }
    })
    .await?;
    Ok(answer)
}
