//! tor's answers, its silence, and no tor at all (ext-orport-spec 3.1; pt-spec 2).

use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::orport::{Conversation, DENY, ExtOrPort, OKAY, Script, server_hash};
use crate::instruments::pair::{Bridge, Pair};
use crate::instruments::wire::{self, A_WHILE, Ended, SOON, hex, read_to_end, write_all};
use crate::verdict::{Failure, Verdict, deviation, ensure};

use super::authentication::impostor;
use super::scene::{self, EXCHANGE, HELLO, Scene, carries, closed, expect, left, turned_away};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "extor-3.1/body-of-okay",
        line: 122,
        side: Side::Both,
        requirement: "OKAY is obeyed whatever its body is; none of the body reaches the client.",
        reference: "ext-orport-spec 3.1, OKAY: body ignored",
        check: run!(body_of_okay),
        ..Case::BASE
    },
    Case {
        id: "extor-3.1/deny",
        line: 122,
        side: Side::Both,
        requirement: "After DENY the server sends tor nothing and ends the client's connection.",
        reference: "ext-orport-spec 3.1, DENY: tor would prefer not to get more traffic from this address",
        check: run!(deny),
        ..Case::BASE
    },
    Case {
        id: "extor-3.1/unknown-commands",
        line: 122,
        side: Side::Both,
        requirement: "A command that is neither OKAY nor DENY is ignored with its body, and the server goes on waiting.",
        reference: "ext-orport-spec 3.1: parties MUST ignore command codes that they do not understand",
        check: run!(unknown_commands),
        ..Case::BASE
    },
    Case {
        id: "tor-ext_orport/end-is-a-refusal",
        line: 122,
        level: Level::Real,
        side: Side::Both,
        requirement: "When tor closes the connection in place of an answer, at whatever point, the client's connection ends too.",
        reference: "tor closes without a status byte at a ClientHash that it does not like, and without DENY at frames that it does not like",
        check: run!(end_is_a_refusal),
        ..Case::BASE
    },
    Case {
        id: "extor-2/limit-for-the-exchange",
        line: 123,
        level: Level::Should,
        side: Side::Both,
        limit: Duration::from_secs(60),
        requirement: "A tor that stays silent at any point of the exchange is given up after some seconds, and the client's connection with it.",
        reference: "goptlib gives the exchange 5 s",
        reading: "Any limit up to 20 s passes: no text names one, and tor's own patience is longer. That of goptlib is 5 s.",
        check: run!(limit_for_the_exchange),
    },
    Case {
        id: "extor-2/limit-is-for-all-of-it",
        line: 123,
        level: Level::Should,
        side: Side::Both,
        limit: Duration::from_secs(60),
        requirement: "The limit is for the exchange as a whole: a byte now and then does not lengthen it.",
        reference: "goptlib sets one deadline for the exchange",
        reading: "Any limit up to 20 s passes: no text names one, and tor's own patience is longer. That of goptlib is 5 s.",
        check: run!(limit_is_for_all),
    },
    Case {
        id: "pt-2/tor-is-dialled-after-the-handshake",
        line: 125,
        level: Level::Should,
        side: Side::Server,
        requirement: "A connection whose transport handshake has not succeeded does not make the server dial tor.",
        reference: "obfs4proxy and lyrebird dial after the handshake; a prober would otherwise cause connections, and tor would count it as a client",
        check: run!(dialled_after_the_handshake),
        ..Case::BASE
    },
    Case {
        id: "pt-2/extended-port-is-dialled-after-the-handshake",
        line: 125,
        level: Level::Should,
        side: Side::Server,
        limit: Duration::from_secs(60),
        requirement: "A connection whose transport handshake has not succeeded does not make the server dial the Extended ORPort.",
        reference: "obfs4proxy and lyrebird dial after the handshake; tor would be told of a client that is none",
        reading: "A transport that takes any bytes for payload has no handshake.",
        check: run!(extended_dialled_after_the_handshake),
    },
    Case {
        id: "pt-2/refusing-orport-ends-the-client",
        line: 126,
        level: Level::Should,
        side: Side::Both,
        requirement: "When the ORPort refuses the server, the client's connection ends.",
        reference: "pt-spec 2: the server forwards to the ORPort; where it cannot, nobody else will answer",
        check: run!(refusing_orport_ends_the_client),
        ..Case::BASE
    },
    Case {
        id: "pt-2/refusing-orport-is-survived",
        line: 126,
        level: Level::Should,
        side: Side::Both,
        requirement: "A server whose ORPort refuses lives on, and serves as soon as the ORPort is there.",
        reference: "pt-spec 2; tor closes its ORPort while it restarts",
        check: run!(refusing_orport_is_survived),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3.4/refusing-orport-is-logged-sparingly",
        line: 126,
        level: Level::Should,
        side: Side::Both,
        requirement: "A refusing ORPort does not make a LOG line for every client: 20 clients in a row make 5 at most.",
        reference: "pt-spec 3.3.4: tor copies LOG lines into its own log",
        reading: "Five leave room for a limiter by time and for the first failures of each side.",
        check: run!(logged_sparingly),
        ..Case::BASE
    },
];

async fn body_of_okay(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    for body in [&b"x"[..], &[0; 5000]] {
        let (app, mut server) = scene.introduced().await?;
        server.answer(OKAY, body).await;
        carries(app, server).await?;
    }
    Ok(())
}

async fn deny(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    for body in [&b""[..], b"go away"] {
        let (mut app, mut server) = scene.introduced().await?;
        server.answer(DENY, body).await;
        left(&mut server, "DENY").await?;
        turned_away(&mut app, "DENY").await?;
    }
    scene.serves().await
}

async fn unknown_commands(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    // CONTROL, which is reserved; the next free one; the far end of the numbers; the longest body.
    let commands: [(u16, &[u8]); 4] = [
        (0x1002, b"reserved"),
        (0x1003, b"x"),
        (0xffff, b""),
        (0x7777, &[7; 0xffff]),
    ];
    for (command, body) in commands {
        let (app, mut server) = scene.introduced().await?;
        server.answer(command, body).await;
        let ended = server.wait_for_early(A_WHILE).await;
        let early = std::mem::take(&mut server.early);
        ensure!(
            early.is_empty(),
            "after command {command:#06x} the server sends {}",
            hex(&early)
        );
        ensure!(
            ended == Ended::Silent,
            "after command {command:#06x} the connection is {ended}"
        );
        server.answer(OKAY, b"").await;
        carries(app, server).await?;
    }
    Ok(())
}

/// How far tor goes along.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Nothing,
    Types,
    Hash,
    Done,
}

const STAGES: [Stage; 4] = [Stage::Nothing, Stage::Types, Stage::Hash, Stage::Done];

/// An application comes, and tor goes along up to a stage.
async fn up_to(scene: &Scene, stage: Stage) -> Verdict<(TcpStream, Conversation)> {
    if let Stage::Done = stage {
        return scene.introduced().await;
    }
    let (app, mut server) = scene.visit().await?;
    let cookie = scene.ext.cookie();
    match stage {
        Stage::Types => drop(write_all(&mut server.stream, &[1, 0], SOON).await),
        Stage::Hash => {
            impostor(&mut server, |theirs, ours| {
                server_hash(&cookie, theirs, ours)
            })
            .await?;
        }
        Stage::Nothing | Stage::Done => {}
    }
    Ok((app, server))
}

async fn end_is_a_refusal(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    for stage in STAGES {
        let (mut app, server) = up_to(&scene, stage).await?;
        drop(server);
        turned_away(&mut app, &format!("tor's end at the stage {stage:?}")).await?;
    }
    scene.serves().await
}

async fn limit_for_the_exchange(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let mut waiting = Vec::new();
    for stage in STAGES {
        let (app, server) = up_to(&scene, stage).await?;
        waiting.push((stage, app, server, Instant::now() + EXCHANGE));
    }
    for (stage, mut app, mut server, end) in waiting {
        // What the server said before is its part of the exchange.
        let rest = end.saturating_duration_since(Instant::now());
        let (_, ended) = read_to_end(&mut server.stream, rest).await;
        ensure!(
            closed(ended),
            "at the stage {stage:?} of a silent tor the connection is {ended} after {EXCHANGE:?}"
        );
        turned_away(&mut app, &format!("tor's silence at the stage {stage:?}")).await?;
    }
    scene.serves().await
}

async fn limit_is_for_all(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let (_app, mut server) = scene.visit().await?;
    let end = Instant::now() + EXCHANGE;
    while Instant::now() < end {
        let _ = write_all(&mut server.stream, &[2], SOON).await;
        let (got, ended) = read_to_end(&mut server.stream, Duration::from_millis(500)).await;
        ensure!(
            got.is_empty(),
            "before the types end the server says {}",
            hex(&got)
        );
        if closed(ended) {
            return scene.serves().await;
        }
    }
    deviation!(
        "{EXCHANGE:?} of an authentication type every half second, and the connection is open"
    )
}

/// What probers send; none is the beginning of a conversation.
const GARBAGE: [&[u8]; 4] = [b"", b"\0", b"GET / HTTP/1.0\r\n\r\n", &[0xa5; 3000]];

async fn dialled_after_the_handshake(bench: &Bench) -> Verdict {
    let bridge = bench.bridge().await?;
    let _probes = probe(bridge.door).await?;
    let mut dialled = 0;
    let mut payload = false;
    while let Ok(mut tor) = bridge.orport.accept(A_WHILE).await {
        dialled += 1;
        // Which of the probes it was does not matter: a transport that takes one of them for payload has no handshake.
        payload |= !read_to_end(&mut tor, A_WHILE).await.0.is_empty();
    }
    not_dialled(dialled, payload, "ORPort")
}

async fn extended_dialled_after_the_handshake(bench: &Bench) -> Verdict {
    let ext = ExtOrPort::listen(bench.scratch()).await?;
    let bridge = Bridge::start(bench, |server| scene::extended(server, &ext)).await?;
    let _probes = probe(bridge.door).await?;
    let mut dialled = 0;
    let mut payload = false;
    while let Ok(mut server) = ext.accept(A_WHILE).await {
        dialled += 1;
        // How well it introduces itself is for other cases.
        if server.authenticate(&Script::default()).await.is_ok()
            && server.introduction().await.is_ok()
        {
            server.answer(OKAY, b"").await;
            payload |= !read_to_end(&mut server.stream, A_WHILE).await.0.is_empty();
        }
    }
    not_dialled(dialled, payload, "Extended ORPort")
}

/// Sends every kind of garbage, on a connection each, which stay open.
async fn probe(door: SocketAddr) -> Verdict<Vec<TcpStream>> {
    let mut probes = Vec::new();
    for garbage in GARBAGE {
        let mut probe = wire::dial(door).await?;
        let _ = write_all(&mut probe, garbage, SOON).await;
        probes.push(probe);
    }
    Ok(probes)
}

fn not_dialled(dialled: usize, payload: bool, port: &str) -> Verdict {
    if payload {
        return Err(Failure::NotApplicable(
            "the transport has no handshake: it takes any bytes for payload".to_owned(),
        ));
    }
    ensure!(
        dialled == 0,
        "{dialled} of {} probes made the server dial the {port}",
        GARBAGE.len()
    );
    Ok(())
}

/// An ORPort that refuses, on a port that nobody else can have, until it listens.
struct Refusing {
    socket: Socket,
    addr: SocketAddr,
}

impl Refusing {
    fn new() -> Verdict<Refusing> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        let addr = socket.local_addr()?.as_socket();
        let addr = addr.ok_or_else(|| Failure::Instrument("no address".to_owned()))?;
        Ok(Refusing { socket, addr })
    }

    fn listen(self) -> Verdict<TcpListener> {
        self.socket.listen(16)?;
        self.socket.set_nonblocking(true)?;
        Ok(TcpListener::from_std(self.socket.into())?)
    }

    async fn pair(&self, bench: &Bench) -> Verdict<Pair> {
        let orport = self.addr.to_string();
        Pair::start_with(
            bench,
            |server| server.set("TOR_PT_ORPORT", orport),
            |client| client,
        )
        .await
    }
}

/// An application comes and speaks.
async fn visitor(pair: &Pair) -> Verdict<TcpStream> {
    let mut app = pair.dial(pair.bridge.addr).await?;
    let _ = write_all(&mut app, HELLO, SOON).await;
    Ok(app)
}

async fn refusing_orport_ends_the_client(bench: &Bench) -> Verdict {
    let orport = Refusing::new()?;
    let pair = orport.pair(bench).await?;
    turned_away(&mut visitor(&pair).await?, "a refusing ORPort").await
}

async fn refusing_orport_is_survived(bench: &Bench) -> Verdict {
    let orport = Refusing::new()?;
    let mut pair = orport.pair(bench).await?;
    for _ in 0..3 {
        // That it ends is another case's matter.
        read_to_end(&mut visitor(&pair).await?, A_WHILE).await;
    }
    pair.bridge.server.must_run().await?;
    let orport = orport.listen()?;
    let _app = visitor(&pair).await?;
    let mut tor = wire::accept(&orport, "a connection to the ORPort that is back", SOON).await?;
    expect(&mut tor, HELLO, "the application's bytes at the ORPort").await
}

async fn logged_sparingly(bench: &Bench) -> Verdict {
    let orport = Refusing::new()?;
    let pair = orport.pair(bench).await?;
    for _ in 0..20 {
        // That it ends is another case's matter.
        read_to_end(&mut visitor(&pair).await?, A_WHILE).await;
    }
    // Lines of one pipe come in order: whatever the last failure made is on its way.
    tokio::time::sleep(A_WHILE).await;
    for (side, pt) in [("server", &pair.bridge.server), ("client", &pair.client)] {
        let lines = pt.after_negotiation();
        let logs = lines.iter().filter(|line| line.starts_with("LOG ")).count();
        ensure!(logs <= 5, "the {side} made {logs} LOG lines: {lines:?}");
    }
    Ok(())
}
