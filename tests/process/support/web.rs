//! A small web server on loopback: the thing to fetch.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::bytes;

/// Serves `length` bytes of stream `seed` for `GET /file`.
pub(crate) struct Web {
    /// Where.
    pub(crate) addr: SocketAddr,
    seed: u64,
    length: usize,
}

impl Web {
    /// Starts serving on a port of `host`.
    pub(crate) async fn start(host: IpAddr, seed: u64, length: usize) -> Self {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seed, length));
            }
        });
        Web { addr, seed, length }
    }

    /// Fetches the file over `stream`, byte for byte.
    pub(crate) async fn fetch(&self, stream: &mut TcpStream) {
        let request = format!("GET /file HTTP/1.1\r\nHost: {}\r\n\r\n", self.addr);
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = head(stream).await.expect("the web server answers");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        bytes::expect(stream, self.seed, self.length).await;
        bytes::expect_end(stream).await;
    }
}

async fn serve(mut stream: TcpStream, seed: u64, length: usize) -> Option<()> {
    let asked = head(&mut stream).await?;
    if !asked.starts_with("GET /file ") {
        return stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n")
            .await
            .ok();
    }
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.ok()?;
    bytes::send(&mut stream, seed, length).await;
    stream.shutdown().await.ok()
}

/// Reads exactly a head, up to its blank line.
pub(crate) async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
