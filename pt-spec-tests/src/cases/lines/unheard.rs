//! A stdout that nobody reads any more: what a process has to say must not keep it from its work.

use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{Instant, timeout_at};

use super::mischief::PATIENT;
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::negotiation::{Args, Method, Negotiation};
use crate::instruments::output::Output;
use crate::instruments::parent::Launch;
use crate::instruments::process::Pt;
use crate::instruments::socks::{self, Target};
use crate::instruments::upstream::dead_address;
use crate::instruments::wire::{A_WHILE, SOON, accept, hex, read_exactly, read_to_end, write_all};
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.3/client-whose-stdout-is-full",
        line: 76,
        level: Level::Should,
        side: Side::Both,
        requirement: "A client whose stdout is full, since nobody reads it, answers on its SOCKS port and carries bytes as before.",
        reference: "pt-spec 3.3.4: LOG is for information alone; Arti reads no more than it has room for",
        limit: PATIENT,
        check: run!(full_client),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3/server-whose-stdout-is-full",
        line: 76,
        level: Level::Should,
        side: Side::Both,
        requirement: "A server whose stdout is full, since nobody reads it, carries bytes as before.",
        reference: "pt-spec 3.3.4: LOG is for information alone",
        limit: PATIENT,
        check: run!(full_server),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3/client-whose-stdout-is-closed",
        line: 76,
        level: Level::Should,
        side: Side::Both,
        requirement: "A client whose stdout was closed behind it does not die of SIGPIPE or of an error, and carries bytes as before.",
        reference: "POSIX write: EPIPE and SIGPIPE; a parent that has read DONE may close the pipe",
        limit: PATIENT,
        check: run!(closed_client),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3/server-whose-stdout-is-closed",
        line: 76,
        level: Level::Should,
        side: Side::Both,
        requirement: "A server whose stdout was closed behind it does not die of SIGPIPE or of an error, and carries bytes as before.",
        reference: "POSIX write: EPIPE and SIGPIPE; a parent that has read DONE may close the pipe",
        limit: PATIENT,
        check: run!(closed_server),
        ..Case::BASE
    },
];

/// More than one reason for a line; a process that waits for its stdout waits at the first.
const OCCASIONS: usize = 8;

/// A process after its negotiation.
struct Party {
    pt: Pt,
    method: Method,
    /// Both ends of a stdout of ours, so that it is neither read nor closed.
    _stdout: Option<(pipe::Receiver, pipe::Sender)>,
}

async fn full_client(bench: &Bench) -> Verdict {
    works(bench, Party::heard, Party::full).await
}

async fn full_server(bench: &Bench) -> Verdict {
    works(bench, Party::full, Party::heard).await
}

async fn closed_client(bench: &Bench) -> Verdict {
    works(bench, Party::heard, Party::closed).await
}

async fn closed_server(bench: &Bench) -> Verdict {
    works(bench, Party::closed, Party::heard).await
}

/// Starts a server and a client, each in its way, gives both of them occasions to say something, and expects a tunnel.
async fn works(
    bench: &Bench,
    server: impl AsyncFnOnce(&Bench, Launch) -> Verdict<Party>,
    client: impl AsyncFnOnce(&Bench, Launch) -> Verdict<Party>,
) -> Verdict {
    // Nobody listens there yet, which is something to speak about.
    let orport = TcpSocket::new_v4()?;
    orport.bind(([127, 0, 0, 1], 0).into())?;
    let mut server = server(bench, bench.server(orport.local_addr()?)).await?;
    let mut args = server.method.args.clone();
    args.extend(bench.subject().bridge_args.iter().cloned());
    let mut client = client(bench, bench.client()).await?;
    let nobody = dead_address()?;
    for _ in 0..OCCASIONS {
        socks::open(client.method.addr, &args, &Target::Ip(nobody.addr()), SOON).await?;
        // The way through is refused at its end.
        let through = Target::Ip(server.method.addr);
        let (mut app, _) = socks::open(client.method.addr, &args, &through, SOON).await?;
        // It may be over already.
        let _ = write_all(&mut app, b"nobody is there", SOON).await;
        read_to_end(&mut app, A_WHILE).await;
    }
    client.pt.must_run().await?;
    server.pt.must_run().await?;
    let orport = orport.listen(16)?;
    carries(&client, &server, &args, &orport).await
}

/// Expects a tunnel through both.
async fn carries(client: &Party, server: &Party, args: &Args, orport: &TcpListener) -> Verdict {
    const WORDS: &[u8] = b"from the application to the bridge";
    let target = Target::Ip(server.method.addr);
    let (mut app, reply) = socks::open(client.method.addr, args, &target, SOON).await?;
    ensure!(
        reply.code == 0,
        "the SOCKS port refuses the bridge: {reply}"
    );
    if let Err(ended) = write_all(&mut app, WORDS, SOON).await {
        deviation!("the SOCKS connection took no byte after its reply: {ended}");
    }
    let end = Instant::now() + SOON;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut tor = accept(orport, "a connection to the ORPort", left).await?;
        match read_exactly(&mut tor, WORDS.len(), left).await {
            Ok(got) if got == WORDS => return Ok(()),
            // Somebody who was turned away is late.
            _ if Instant::now() < end => {}
            Ok(got) => deviation!("at the ORPort arrives {}", hex(&got)),
            Err(cut) => deviation!("the bytes do not arrive at the ORPort: {cut}"),
        }
    }
}

impl Party {
    /// A process that is listened to.
    async fn heard(_: &Bench, launch: Launch) -> Verdict<Party> {
        let ready = launch.ready().await?;
        Ok(Party {
            pt: ready.pt,
            method: ready.method,
            _stdout: None,
        })
    }

    /// A process whose stdout is closed after its negotiation.
    async fn closed(bench: &Bench, launch: Launch) -> Verdict<Party> {
        let party = Party::heard(bench, launch).await?;
        party.pt.stdout().close().await;
        Ok(party)
    }

    /// A process whose stdout has no room for a single byte after its negotiation.
    async fn full(bench: &Bench, launch: Launch) -> Verdict<Party> {
        let path = fifo(bench)?;
        let receiver = pipe::OpenOptions::new().open_receiver(&path)?;
        let sender = pipe::OpenOptions::new().open_sender(&path)?;
        let kept = pipe::OpenOptions::new().open_receiver(&path)?;
        let redirect = [
            "/bin/sh",
            "-c",
            "exec \"$0\" \"$@\" > \"$PT_SPEC_TESTS_STDOUT\"",
        ];
        let pt = launch
            .set("PT_SPEC_TESTS_STDOUT", &path)
            .through(&redirect)
            .start()
            .await?;
        let output = Output::read(receiver);
        let said = negotiation(&output).await?;
        let method = said.method(bench.transport())?.clone();
        output.close().await;
        fill(&sender)?;
        Ok(Party {
            pt,
            method,
            _stdout: Some((kept, sender)),
        })
    }
}

/// Reads a negotiation that does not come by way of the process's own pipe.
async fn negotiation(output: &Output) -> Verdict<Negotiation> {
    let mut said = Negotiation::default();
    let end = Instant::now() + SOON;
    for n in 0.. {
        match timeout_at(end, output.line(n)).await {
            Ok(Some(line)) if said.take(&line.text()) => break,
            Ok(Some(_)) => {}
            _ => deviation!(
                "the negotiation did not end within {SOON:?}; so far: {:?}",
                said.lines
            ),
        }
    }
    Ok(said)
}

fn fifo(bench: &Bench) -> Verdict<PathBuf> {
    let path = bench.fresh_path("stdout");
    make(&path)?;
    Ok(path)
}

fn make(path: &Path) -> std::io::Result<()> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    Ok(())
}

/// Writes to the pipe until it takes nothing more.
fn fill(pipe: &pipe::Sender) -> Verdict {
    for size in [4096, 1] {
        loop {
            match pipe.try_write(&vec![b'x'; size]) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(Failure::from(error)),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_pipe_takes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fifo");
        make(&path).expect("a FIFO");
        let _reader = pipe::OpenOptions::new()
            .open_receiver(&path)
            .expect("opens");
        let sender = pipe::OpenOptions::new()
            .open_sender(&path)
            .expect("has a reader");
        fill(&sender).expect("fills");
        let full = sender.try_write(b"x").expect_err("no room");
        assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock);
    }
}
