//! The reference: what a pluggable transport costs when it transforms nothing.
//!
//! In: the environment of a PT, half of it. Out: a PT called `copy` that moves bytes with tokio's
//! `copy_bidirectional`, 64 KiB each way: the same path, the same SOCKS exchange, the same two hops.
//! What can go wrong: nothing that a connection of its own does not end with.

use std::io::{Read, Write};
use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

/// The method name that it answers to.
pub(crate) const TRANSPORT: &str = "copy";

const BUFFER: usize = 64 * 1024;

/// Runs until stdin closes.
pub(crate) fn serve(role: &str) -> anyhow::Result<()> {
    let orport: Option<SocketAddr> = match role {
        "client" => None,
        "server" => {
            let orport = std::env::var("TOR_PT_ORPORT").context("no ORPort given")?;
            Some(orport.parse()?)
        }
        other => bail!("no such role: {other}"),
    };
    let (ended, end) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while let Ok(1..) = std::io::stdin().read(&mut ignored) {}
        drop(ended);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = listen(orport) => result,
            _ = end => Ok(()),
        }
    });
    runtime.shutdown_background();
    result
}

async fn listen(orport: Option<SocketAddr>) -> anyhow::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen(4096)?;
    let address = listener.local_addr()?;
    let lines = match orport {
        None => format!("VERSION 1\nCMETHOD {TRANSPORT} socks5 {address}\nCMETHODS DONE\n"),
        Some(_) => format!("VERSION 1\nSMETHOD {TRANSPORT} {address}\nSMETHODS DONE\n"),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "these are the only lines that it says"
    )]
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(lines.as_bytes())?;
    stdout.flush()?;
    drop(stdout);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // How a connection ended is for its two ends to judge.
            let _ = relay(stream, orport).await;
        });
    }
}

async fn relay(mut near: TcpStream, orport: Option<SocketAddr>) -> anyhow::Result<()> {
    near.set_nodelay(true)?;
    let target = match orport {
        Some(orport) => orport,
        None => socks_request(&mut near).await?,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the reference has no upstream proxy to go around"
    )]
    let mut far = TcpStream::connect(target).await?;
    far.set_nodelay(true)?;
    if orport.is_none() {
        near.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    }
    copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER, BUFFER).await?;
    Ok(())
}

/// The server half of what the load generator asks: no arguments, an IPv4 address.
async fn socks_request(stream: &mut TcpStream) -> anyhow::Result<SocketAddr> {
    let mut hello = [0; 3];
    stream.read_exact(&mut hello).await?;
    stream.write_all(&[5, 0]).await?;
    let mut request = [0; 10];
    stream.read_exact(&mut request).await?;
    match (hello, request) {
        ([5, 1, 0], [5, 1, 0, 1, a, b, c, d, high, low]) => Ok(SocketAddr::from((
            [a, b, c, d],
            u16::from_be_bytes([high, low]),
        ))),
        _ => bail!("not what the load generator sends"),
    }
}
