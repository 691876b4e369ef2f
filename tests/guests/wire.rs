//! What a transport asks of its network's end: FIN where others reset, and the lengths of its writes.

use crate::tunnel::{pair, program, within};
use ouzel::watm::{Connect, Grants, Io, Session, Stream, Wire};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

fn asking(wire: Wire) -> Grants {
    Grants {
        wire,
        ..Grants::default()
    }
}

/// A worker that traps: the application sees a reset, the network what was asked for, which is what a program's end sees
/// that just closes: FIN, unless something is unread.
#[tokio::test]
async fn a_lost_connection_ends_with_fin_where_that_is_asked_for() {
    for (always_fin, unread) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut app, inner) = pair().await;
        let (outer, mut network) = pair().await;
        let grants = asking(Wire {
            always_fin,
            ..Wire::default()
        });
        let mut session = Session::new(&program("trap"), grants).await.expect("made");
        session
            .dial(Stream::gated(inner, &[]), crate::tunnel::once(outer))
            .await
            .expect("dialled");
        session.inner().open();
        let run = tokio::spawn(session.run());
        // It traps at the first byte; what comes after it is not read by anybody.
        if unread {
            network.write_all(&[1; 5000]).await.expect("sent");
        }
        app.write_all(&[1; 5000]).await.expect("sent");
        let mut rest = Vec::new();
        let end = within("the application's end", app.read_to_end(&mut rest)).await;
        end.expect_err("a truncated stream must not look complete");
        let end = within("the network's end", network.read_to_end(&mut rest)).await;
        assert_eq!(end.is_ok(), always_fin && !unread, "{end:?}");
        drop((app, network));
        let outcome = within("the session", run).await.expect("no panic");
        outcome.result.expect_err("it trapped");
    }
}

/// Takes everything and notes how long each write was; says nothing.
struct Recorder(Arc<Mutex<Vec<usize>>>);

impl AsyncRead for Recorder {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.lock().expect("no panic").push(data.len());
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// `config_echo` writes a length and then its configuration, without a wait between the two.
#[tokio::test]
async fn writes_keep_their_lengths_where_that_is_asked_for() {
    for (whole_writes, expected) in [(false, vec![9]), (true, vec![4, 5])] {
        let (mut app, inner) = pair().await;
        let written = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&written);
        let connect: Connect = Box::new(move || {
            let recorder = Recorder(Arc::clone(&recorded));
            Box::pin(async move { Ok(Io::Any(Box::new(recorder))) })
        });
        let grants = Grants {
            conf: Some(b"hello".as_slice().into()),
            ..asking(Wire {
                whole_writes,
                ..Wire::default()
            })
        };
        let mut session = Session::new(&program("config_echo"), grants)
            .await
            .expect("made");
        session
            .dial(Stream::gated(inner, &[]), connect)
            .await
            .expect("dialled");
        session.inner().open();
        // The worker's first wait sends what was gathered.
        let run = tokio::spawn(session.run());
        app.shutdown().await.expect("ended");
        let sent = async {
            while written.lock().expect("no panic").iter().sum::<usize>() < 9 {
                tokio::task::yield_now().await;
            }
        };
        within("what it says", sent).await;
        assert_eq!(*written.lock().expect("no panic"), expected);
        run.abort();
    }
}
