//! What a guest prints reaches whoever wants to hear it, in bounded lines, and nobody else.

use crate::tunnel::{once, pair, program, within};
use ouzel::watm::{Grants, Output, Session, Stream};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Output for Heard {
    fn line(&self, text: &str) {
        self.0.lock().expect("not poisoned").push(text.to_owned());
    }
}

async fn bytes_beside_prints(output: Option<Arc<dyn Output>>) {
    let (mut app, inner) = pair().await;
    let (outer, mut network) = pair().await;
    let grants = Grants {
        output,
        ..Grants::default()
    };
    let mut session = Session::new(&program("printer"), grants)
        .await
        .expect("an instance");
    session
        .dial(Stream::gated(inner, &[]), once(outer))
        .await
        .expect("the handshake");
    session.inner().open();
    let run = tokio::spawn(session.run());
    within("bytes beside prints", async {
        app.write_all(b"bytes").await.expect("sent");
        app.shutdown().await.expect("ended");
        let mut got = Vec::new();
        network.read_to_end(&mut got).await.expect("all of it");
        assert_eq!(got, b"bytes");
        drop((app, network));
        run.await.expect("no panic").result.expect("a clean end");
    })
    .await;
}

#[tokio::test]
pub(crate) async fn a_flood_of_prints_disturbs_no_bytes_and_comes_in_lines() {
    bytes_beside_prints(None).await;
    let heard = Arc::new(Heard::default());
    bytes_beside_prints(Some(Arc::clone(&heard) as _)).await;
    let lines = heard.0.lock().expect("not poisoned");
    assert_eq!(lines[0], "a line to 192.0.2.1:443");
    assert_eq!(lines[1], "half a line");
    assert_eq!(lines[2], " [31mred and bad \u{fffd}\u{fffd}");
    assert_eq!(lines[3].len(), 512 + "...".len());
    assert_eq!(lines.len(), 4 + 10_000);
    assert_eq!(lines[10_003], "line 9999");
}
