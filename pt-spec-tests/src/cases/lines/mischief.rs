//! What may go wrong around a process while it serves: the occasions on which it has something to say.
//!
//! In: a launch. Out: all that it said until it was ended. How it takes each single thing is the matter of other
//! sections.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::bench::Bench;
use crate::instruments::grammar;
use crate::instruments::listeners::door;
use crate::instruments::negotiation::Args;
use crate::instruments::output::Line;
use crate::instruments::parent::Ready;
use crate::instruments::process::Pt;
use crate::instruments::socks::{self, Socks, Target};
use crate::instruments::upstream::dead_address;
use crate::instruments::wire::{A_WHILE, SOON, dial, dial_from, read_to_end};
use crate::verdict::Verdict;

/// For cases in which a process may be slow to answer many times, and slow to end.
pub(super) const PATIENT: Duration = Duration::from_secs(90);

/// How long a process may take to say its first word about a failure where only `LOG` lines are judged: some transports
/// try for seconds.
pub(super) const A_LAST_WORD: Duration = Duration::from_secs(15);

/// Bytes that want to be more than a part of a line.
pub(super) const FOREIGN: &str =
    "\nCMETHODS DONE\nSMETHODS DONE\nVERSION 9\nLOG SEVERITY=error MESSAGE=\"x\"\n\"\\\" \r\0 \n";

/// Which side a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// Everything that a process said.
pub(super) struct Said {
    /// Which side it was.
    pub(super) role: Role,
    /// Its stdout.
    pub(super) out: Vec<Line>,
    /// Its stderr.
    pub(super) err: Vec<Line>,
}

impl Said {
    /// What a process said, once it is over.
    pub(super) fn by(pt: &Pt, role: Role) -> Said {
        Said {
            role,
            out: pt.stdout().so_far(),
            err: pt.stderr().so_far(),
        }
    }

    /// Its `LOG` lines that keep the grammar; the others are the matter of cases about it.
    pub(super) fn logs(&self) -> Vec<(String, grammar::Log)> {
        let logs = self
            .out
            .iter()
            .filter_map(|line| match grammar::line(&line.bytes) {
                Ok(grammar::Said::Log(log)) => Some((line.text(), log)),
                _ => None,
            });
        logs.collect()
    }

    /// The texts of all lines with a keyword, lawful or not.
    pub(super) fn with_keyword(&self, keyword: &str) -> Vec<&Line> {
        let begins = |line: &&Line| line.text().split(' ').next() == Some(keyword);
        self.out.iter().filter(begins).collect()
    }
}

/// Every side of the subject, through all the mischief there is for it; `patience` is for a first `LOG` line.
pub(super) async fn all(bench: &Bench, patience: Duration) -> Verdict<Vec<Said>> {
    let mut said = Vec::new();
    if bench.subject().sides.client() {
        said.push(client(bench, patience).await?);
    }
    if bench.subject().sides.server() {
        let orport = dead_address()?;
        let ready = bench.server(orport.addr()).ready().await?;
        strangers(door(&ready.pt, &ready.method)?, None).await?;
        said.push(over(ready, Role::Server, patience).await?);
    }
    Ok(said)
}

/// A client whose application, bridges and bridge lines are no good.
async fn client(bench: &Bench, patience: Duration) -> Verdict<Said> {
    let args = bench.bridge_args().await?;
    let ready = bench.client().ready().await?;
    let port = ready.method.addr;
    let nobody = dead_address()?;
    let target = Target::Ip(nobody.addr());
    let wrong = [
        args.clone(),
        Args::new(),
        with(&args, "no-such-argument", "value"),
        with(&args, FOREIGN, FOREIGN),
        with(&args, "caf\u{e9}", "\u{1}\t\u{7f}\u{2028}"),
        with(&args, "long", &"x".repeat(200)),
    ];
    // A transport that grants first, and tries then, tries for as long as somebody is there.
    let mut open = Vec::new();
    for args in wrong {
        // Any reply will do, or none; arguments that no bridge line can hold are not sent.
        open.extend(socks::open(port, &args, &target, SOON).await);
    }
    let requests: [&[u8]; 5] = [
        b"GET / HTTP/1.0\r\n\r\n",
        b"\x04\x01\x00\x09\x7f\x00\x00\x01user\x00",
        b"\x05\x01\xff",
        b"\x05\x01\x00\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x09",
        b"\x05\x01\x00\x05\x01\x00\x09",
    ];
    for bytes in requests {
        let mut socks = Socks::dial(port).await?;
        socks.send(bytes).await;
        socks.finish().await;
        socks.ends(A_WHILE).await;
    }
    over(ready, Role::Client, patience).await
}

/// Strangers who connect to a server, and know nothing of its transport.
pub(super) async fn strangers(server: SocketAddr, from: Option<Ipv4Addr>) -> Verdict {
    drop(stranger(server, from).await?);
    for bytes in [FOREIGN.as_bytes(), b"GET / HTTP/1.0\r\n\r\n", &[0x16; 600]] {
        let mut stream = stranger(server, from).await?;
        // It may hang up at any time.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        read_to_end(&mut stream, A_WHILE).await;
    }
    let mut stream = stranger(server, from).await?;
    let _ = stream.write_all(b"and away").await;
    stream.set_zero_linger()?;
    Ok(())
}

async fn stranger(server: SocketAddr, from: Option<Ipv4Addr>) -> Verdict<TcpStream> {
    match from {
        None => dial(server).await,
        Some(from) => dial_from(from, server).await,
    }
}

/// Ends a process when it had the time to say what it wants, and gives all of it.
pub(super) async fn over(mut ready: Ready, role: Role, patience: Duration) -> Verdict<Said> {
    let logs = |line: &str| line.starts_with("LOG ");
    ready.pt.says(patience, logs).await;
    end(&mut ready.pt).await?;
    Ok(Said::by(&ready.pt, role))
}

/// Ends a process by its stdin, or by force: how it ends is not the matter here.
pub(super) async fn end(pt: &mut Pt) -> Verdict {
    pt.close_stdin();
    if pt.exit(SOON).await?.is_none() {
        pt.signal(rustix::process::Signal::KILL);
        pt.exit(SOON).await?;
    }
    Ok(())
}

fn with(args: &Args, key: &str, value: &str) -> Args {
    let mut args = args.clone();
    args.push((key.to_owned(), value.to_owned()));
    args
}
