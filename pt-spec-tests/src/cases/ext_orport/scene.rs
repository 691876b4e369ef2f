//! What every case here begins with: a server in front of an Extended ORPort, a client, and an application that comes.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::bench::Bench;
use crate::instruments::orport::{Conversation, ExtOrPort, Script};
use crate::instruments::pair::Pair;
use crate::instruments::parent::Launch;
use crate::instruments::wire::{Cut, Ended, SOON, hex, read_exactly, read_to_end, write_all};
use crate::verdict::{Failure, Verdict, ensure};

/// What the application says first.
pub(super) const HELLO: &[u8] = b"the application speaks first";

/// What the bridge says first.
pub(super) const WELCOME: &[u8] = b"the bridge answers";

/// goptlib gives the exchange 5 s, the specification gives no number: a busy machine and another number both fit.
pub(super) const EXCHANGE: Duration = Duration::from_secs(20);

/// A client and a server that knows an Extended ORPort.
pub(in crate::cases) struct Scene {
    pub(in crate::cases) pair: Pair,
    pub(in crate::cases) ext: ExtOrPort,
}

impl Scene {
    /// Starts both as tor does.
    pub(in crate::cases) async fn start(bench: &Bench) -> Verdict<Scene> {
        Scene::start_with(bench, |server| server).await
    }

    /// Starts both, the server in a way of the case's choosing.
    pub(super) async fn start_with(
        bench: &Bench,
        change: impl FnOnce(Launch) -> Launch,
    ) -> Verdict<Scene> {
        let ext = ExtOrPort::listen(bench.scratch()).await?;
        let server = |launch: Launch| change(extended(launch, &ext));
        let pair = Pair::start_with(bench, server, |client| client).await?;
        Ok(Scene { pair, ext })
    }

    /// An application comes and speaks.
    pub(in crate::cases) async fn application(&self) -> Verdict<TcpStream> {
        let mut app = self.pair.dial(self.pair.bridge.addr).await?;
        // What came of it is the ORPort's to see.
        let _ = write_all(&mut app, HELLO, SOON).await;
        Ok(app)
    }

    /// An application comes, and the server brings it to the Extended ORPort.
    pub(super) async fn visit(&self) -> Verdict<(TcpStream, Conversation)> {
        let app = self.application().await?;
        Ok((app, self.ext.accept(SOON).await?))
    }

    /// An application comes, and the server has said everything up to DONE.
    pub(super) async fn introduced(&self) -> Verdict<(TcpStream, Conversation)> {
        let (app, mut server) = self.visit().await?;
        authenticated(&mut server, &Script::default()).await?;
        introduced(&mut server).await?;
        Ok((app, server))
    }

    /// Finds out that the next application is carried as if nothing had been before.
    pub(in crate::cases) async fn serves(&self) -> Verdict {
        let app = self.application().await?;
        let server = self.ext.welcome().await?;
        carries(app, server).await
    }
}

/// A server that is told of an Extended ORPort.
pub(super) fn extended(server: Launch, ext: &ExtOrPort) -> Launch {
    server
        .set("TOR_PT_EXTENDED_SERVER_PORT", ext.addr().to_string())
        .set("TOR_PT_AUTH_COOKIE_FILE", ext.cookie_file())
}

/// Plays tor's side of the authentication; that the server does not go along is a deviation.
pub(super) async fn authenticated(server: &mut Conversation, script: &Script) -> Verdict {
    let authentication = server.authenticate(script).await;
    authentication.map_err(|cut| broken("during the authentication", &cut))
}

/// Reads up to DONE; that it does not come is a deviation.
pub(super) async fn introduced(server: &mut Conversation) -> Verdict {
    let introduction = server.introduction().await;
    introduction.map_err(|cut| broken("before DONE", &cut))
}

/// Finds out that payload goes both ways after OKAY.
pub(super) async fn carries(mut app: TcpStream, mut server: Conversation) -> Verdict {
    expect(
        &mut server.stream,
        HELLO,
        "the application's bytes at the bridge",
    )
    .await?;
    let _ = write_all(&mut server.stream, WELCOME, SOON).await;
    expect(&mut app, WELCOME, "the bridge's bytes at the application").await
}

/// Finds out that these are the next bytes.
pub(super) async fn expect(stream: &mut TcpStream, wanted: &[u8], what: &str) -> Verdict {
    match read_exactly(stream, wanted.len(), SOON).await {
        Ok(got) => ensure!(
            got == wanted,
            "{what} are {} instead of {}",
            hex(&got),
            hex(wanted)
        ),
        Err(cut) => {
            return Err(Failure::Deviation(format!(
                "{what}: the connection is {cut}"
            )));
        }
    }
    Ok(())
}

/// Finds out that the server ends the connection to the Extended ORPort and says nothing more on it.
pub(super) async fn left(server: &mut Conversation, after: &str) -> Verdict {
    let (got, ended) = read_to_end(&mut server.stream, EXCHANGE).await;
    ensure!(
        got.is_empty(),
        "after {after} the server says {}",
        hex(&got)
    );
    ensure!(
        closed(ended),
        "{EXCHANGE:?} after {after} the connection to the Extended ORPort is {ended}"
    );
    Ok(())
}

/// Finds out that the application's connection ends without a byte.
pub(super) async fn turned_away(app: &mut TcpStream, after: &str) -> Verdict {
    let (got, ended) = read_to_end(app, EXCHANGE).await;
    ensure!(
        got.is_empty(),
        "after {after} the application receives {}",
        hex(&got)
    );
    ensure!(
        closed(ended),
        "{EXCHANGE:?} after {after} the application's connection is {ended}"
    );
    Ok(())
}

/// In order or by a reset.
pub(super) fn closed(ended: Ended) -> bool {
    matches!(ended, Ended::Eof | Ended::Reset)
}

fn broken(when: &str, cut: &Cut) -> Failure {
    Failure::Deviation(format!(
        "{when} the connection to the Extended ORPort is {cut}"
    ))
}
