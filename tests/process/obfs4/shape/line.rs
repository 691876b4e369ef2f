//! The line between a client and a bridge, with somebody on it who writes down how much passes and when. The test drives
//! it together with both far ends, so that what belongs together is known by what caused it: a burst is what passed
//! between an application's write and its arrival, not what passed between two pauses.

use std::future::Future;
use std::pin::pin;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::support::bytes;
use crate::support::deadline::soon;
use crate::support::pair::Pair;
use crate::support::socks;

use super::super::tap::Way;

/// What one read on the line gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// When.
    pub(crate) at: Instant,
    /// How much.
    pub(crate) bytes: usize,
}

/// One direction of the line.
#[derive(Default)]
struct Heard {
    pieces: Vec<Piece>,
    told: usize,
}

/// Both connections of the one on the line.
struct Line {
    client: TcpStream,
    bridge: TcpStream,
    up: Heard,
    down: Heard,
    block: Box<[u8]>,
}

/// A stream through both programs, and the line between them.
pub(crate) struct Conversation {
    application: TcpStream,
    orport: TcpStream,
    line: Line,
}

impl Conversation {
    /// Opens a stream of `pair` by way of the line.
    pub(crate) async fn open(pair: &Pair) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().into();
        let mut application = pin!(socks::open(pair.socks.addr, &target, &pair.bridge.args));
        let client = tokio::select! {
            refusal = &mut application => panic!("{:?} before it connected", refusal.err()),
            client = listener.accept() => client.unwrap().0,
        };
        let bridge = TcpStream::connect(pair.bridge.addr).await.unwrap();
        for stream in [&client, &bridge] {
            stream.set_nodelay(true).unwrap();
        }
        let mut line = Line {
            client,
            bridge,
            up: Heard::default(),
            down: Heard::default(),
            block: vec![0; 64 << 10].into(),
        };
        let opened = async { tokio::join!(application, pair.orport.accept()) };
        let (application, orport) = line.pass_until(opened).await;
        let application = application.unwrap_or_else(|refusal| {
            let (client, server) = (pair.client.story(), pair.server.story());
            panic!("{refusal:?}\nclient {client}\nserver {server}")
        });
        Conversation {
            application,
            orport,
            line,
        }
    }

    /// One write at one end; ends when the other has it.
    pub(crate) async fn write(&mut self, way: Way, length: usize) {
        let (from, to) = match way {
            Way::Up => (&mut self.application, &mut self.orport),
            Way::Down => (&mut self.orport, &mut self.application),
        };
        let payload = bytes::stream(1, length);
        let mut arrived = vec![0; length];
        let carried = async {
            tokio::try_join!(from.write_all(&payload), to.read_exact(&mut arrived)).unwrap();
        };
        soon("a write's arrival", self.line.pass_until(carried)).await;
        assert!(payload == arrived, "something else arrived");
    }

    /// The pieces that have passed since this was last asked.
    pub(crate) fn passed(&mut self, way: Way) -> &[Piece] {
        let heard = match way {
            Way::Up => &mut self.line.up,
            Way::Down => &mut self.line.down,
        };
        let told = std::mem::replace(&mut heard.told, heard.pieces.len());
        &heard.pieces[told..]
    }
}

/// How many bytes these are.
pub(crate) fn total(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.bytes).sum()
}

impl Line {
    /// Passes on what comes until `caused` is done, and what has been sent by then.
    async fn pass_until<F: Future>(&mut self, caused: F) -> F::Output {
        let mut caused = pin!(caused);
        let output = loop {
            tokio::select! {
                output = &mut caused => break output,
                ready = self.client.readable() => ready.unwrap(),
                ready = self.bridge.readable() => ready.unwrap(),
            }
            self.pass().await;
        };
        // A burst may have arrived by its payload while its padding is still here.
        loop {
            tokio::task::yield_now().await;
            if !self.pass().await {
                return output;
            }
        }
    }

    /// Passes on what is there, and says whether anything was. Whoever is to read it has buffers for far more, so the
    /// far ends need not be looked at meanwhile.
    async fn pass(&mut self) -> bool {
        let Line {
            client,
            bridge,
            up,
            down,
            block,
        } = self;
        let upwards = up.pass(client, bridge, block).await;
        let downwards = down.pass(bridge, client, block).await;
        upwards || downwards
    }
}

impl Heard {
    async fn pass(&mut self, from: &TcpStream, to: &mut TcpStream, block: &mut [u8]) -> bool {
        match from.try_read(block) {
            Ok(0) => panic!("an end after {} bytes", total(&self.pieces)),
            Ok(bytes) => {
                self.pieces.push(Piece {
                    at: Instant::now(),
                    bytes,
                });
                to.write_all(&block[..bytes]).await.unwrap();
                true
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => false,
            Err(e) => panic!("the line broke: {e}"),
        }
    }
}
