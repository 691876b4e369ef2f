//! A web server and a browser of a few lines: HTTP/1.1 with one request per connection.
//!
//! In: a listener or a stream. Out: a greeting, or content of any size whose SHA-256 is known on
//! either side. What can go wrong: a stream that breaks, stalls or speaks something else.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// No byte for this long means that none will come.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Longest request or response head; ours are a tenth of it.
const HEAD_LIMIT: usize = 2048;

const GREETING: &str = "Hello from behind the bridge.";

/// What there is to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// A line of text.
    Greeting,
    /// The content.
    Content,
}

impl Page {
    fn path(self) -> &'static str {
        match self {
            Page::Greeting => "/",
            Page::Content => "/content",
        }
    }
}

/// Random bytes of any length that cost no memory: one block, numbered anew each time it is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    seed: [u8; 32],
    bytes: u64,
}

impl Content {
    /// That many bytes.
    pub(super) fn new(bytes: u64) -> anyhow::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("this machine gives no random bytes")?;
        Ok(Content { seed, bytes })
    }

    /// Their SHA-256. It gives way after each block, so that dropping it ends it.
    pub(super) async fn digest(self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut blocks = self.blocks();
        while let Some(block) = blocks.next() {
            hash.update(block);
            tokio::task::yield_now().await;
        }
        hash.finalize().into()
    }

    fn blocks(self) -> Blocks {
        // Hashing is a stretcher of seeds that is at hand.
        let stretch = (0_u32..8192).flat_map(|n| {
            let mut hash = Sha256::new();
            hash.update(self.seed);
            hash.update(n.to_be_bytes());
            <[u8; 32]>::from(hash.finalize())
        });
        Blocks {
            block: stretch.collect(),
            number: u64::from_be_bytes(*self.seed.first_chunk().expect("it is 32 bytes long")),
            left: self.bytes,
        }
    }
}

/// The content in order.
struct Blocks {
    block: Vec<u8>,
    number: u64,
    left: u64,
}

impl Blocks {
    fn next(&mut self) -> Option<&[u8]> {
        self.block[..8].copy_from_slice(&self.number.to_be_bytes());
        self.number = self.number.wrapping_add(1);
        let length = self
            .block
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= length as u64;
        (length > 0).then(|| &self.block[..length])
    }
}

/// A running web server; it ends when this is dropped.
pub(super) struct Server {
    accepting: AbortHandle,
}

impl Server {
    pub(super) fn start(listener: TcpListener, content: Content) -> Self {
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A request that breaks off is the browser's to notice.
                tokio::spawn(async move { serve(stream, content).await });
            }
        });
        Server {
            accepting: accepting.abort_handle(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, content: Content) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let (head, _) = timeout(STALL_LIMIT, read_head(&mut stream)).await??;
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&head)?;
    let wanted = [Page::Greeting, Page::Content]
        .into_iter()
        .find(|page| request.method == Some("GET") && request.path == Some(page.path()));
    let (status, length) = match wanted {
        Some(Page::Greeting) => ("200 OK", GREETING.len() as u64),
        Some(Page::Content) => ("200 OK", content.bytes),
        None => ("404 Not Found", 0),
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    match wanted {
        Some(Page::Greeting) => stream.write_all(GREETING.as_bytes()).await?,
        Some(Page::Content) => {
            let mut blocks = content.blocks();
            while let Some(block) = blocks.next() {
                stream.write_all(block).await?;
            }
        }
        None => {}
    }
    stream.shutdown().await?;
    // Closing with unread bytes would turn the end into a reset.
    let _ = timeout(STALL_LIMIT, stream.read(&mut [0])).await;
    Ok(())
}

/// A response whose head has been read.
#[derive(Debug)]
pub(super) struct Response {
    stream: TcpStream,
    early: Vec<u8>,
    length: u64,
}

/// Sends a request and reads the head of the response.
pub(super) async fn fetch(mut stream: TcpStream, page: Page) -> anyhow::Result<Response> {
    let path = page.path();
    let request = format!("GET {path} HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let head = timeout(STALL_LIMIT, read_head(&mut stream)).await;
    let (head, early) = head.context("no response within 30 s")??;
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    response
        .parse(&head)
        .context("the response is not HTTP: the transport damages data")?;
    ensure!(
        response.code == Some(200),
        "the web server does not know {path}"
    );
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok())
        .context("the response has no length")?;
    Ok(Response {
        stream,
        early,
        length,
    })
}

impl Response {
    /// Reads the body as a short text.
    pub(super) async fn text(self) -> anyhow::Result<String> {
        let mut text = Vec::new();
        self.body(|part| text.extend_from_slice(&part[..part.len().min(HEAD_LIMIT)]))
            .await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Reads the body to its end: its length and SHA-256. `progress` hears how far it has got.
    pub(super) async fn digest(
        self,
        mut progress: impl FnMut(u64),
    ) -> anyhow::Result<(u64, [u8; 32])> {
        let mut hash = Sha256::new();
        let mut done = 0;
        self.body(|part| {
            hash.update(part);
            done += part.len() as u64;
            progress(done);
        })
        .await?;
        Ok((done, hash.finalize().into()))
    }

    async fn body(mut self, mut each: impl FnMut(&[u8])) -> anyhow::Result<()> {
        let length = self.length;
        let mut left = length;
        let mut take = |part: &[u8]| {
            left = left
                .checked_sub(part.len() as u64)
                .context("more bytes arrived than were announced")?;
            each(part);
            anyhow::Ok(left)
        };
        let mut left = take(&self.early)?;
        let mut buffer = vec![0; 256 * 1024];
        while left > 0 {
            let count = timeout(STALL_LIMIT, self.stream.read(&mut buffer)).await;
            let count = count.context("no byte arrived for 30 s")??;
            ensure!(
                count > 0,
                "the stream ended {left} of {length} bytes too early"
            );
            left = take(&buffer[..count])?;
        }
        Ok(())
    }
}

/// Reads up to and with the empty line; what came after it is the second half.
async fn read_head(stream: &mut TcpStream) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = vec![0; HEAD_LIMIT];
    let mut filled = 0;
    loop {
        let count = stream.read(&mut head[filled..]).await?;
        ensure!(count > 0, "the stream ended within a head");
        filled += count;
        let end = head[..filled].windows(4).position(|w| w == b"\r\n\r\n");
        if let Some(end) = end {
            let early = head[end + 4..filled].to_vec();
            head.truncate(end + 4);
            return Ok((head, early));
        }
        if filled == HEAD_LIMIT {
            bail!("no end of the head within {HEAD_LIMIT} bytes");
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test connects to its own listener"
)]
mod tests {
    use super::*;

    async fn serving(bytes: u64) -> (Server, std::net::SocketAddr, Content) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let content = Content::new(bytes).unwrap();
        (Server::start(listener, content), address, content)
    }

    #[tokio::test]
    async fn what_is_fetched_is_what_is_served() {
        let bytes = 1_000_003;
        let (_server, address, content) = serving(bytes).await;
        let stream = TcpStream::connect(address).await.unwrap();
        let page = fetch(stream, Page::Greeting).await.unwrap();
        assert_eq!(page.text().await.unwrap(), GREETING);

        let stream = TcpStream::connect(address).await.unwrap();
        let response = fetch(stream, Page::Content).await.unwrap();
        let last = std::cell::Cell::new(0);
        let digest = response.digest(|done| last.set(done)).await.unwrap();
        assert_eq!(digest, (bytes, content.digest().await));
        assert_eq!(last.get(), bytes);
    }

    #[tokio::test]
    async fn an_unknown_page_is_an_error() {
        let (_server, address, _) = serving(1).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /x HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }

    #[tokio::test]
    async fn a_body_that_is_cut_short_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort";
            stream.write_all(answer).await.unwrap();
        });
        let stream = TcpStream::connect(address).await.unwrap();
        let response = fetch(stream, Page::Content).await.unwrap();
        let error = response.digest(|_| ()).await.unwrap_err();
        assert_eq!(error.to_string(), "the stream ended 4 of 9 bytes too early");
    }

    #[tokio::test]
    async fn two_contents_differ() {
        let a = Content::new(5).unwrap().digest().await;
        let b = Content::new(5).unwrap().digest().await;
        assert_ne!(a, b);
    }
}
