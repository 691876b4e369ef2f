//! Transcripts before a real tor.
//!
//! In: transcripts. Each becomes an executable that prints it and then waits for the end of stdin, and a line of a
//! torrc; a bridge's go to a tor that is a bridge, those with an upstream proxy to a tor that has one. Out: tor's
//! verdict on every line. Method names get a suffix, since one tor takes each name once; nothing else is changed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;

use crate::line::Line;
use crate::tor::Ground;
use crate::transcript::Transcript;
use crate::verdict::{self, Refusal};

/// How many transports one tor is given.
const AT_A_TIME: usize = 120;

/// Which tor a transcript is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parent {
    Client,
    ProxiedClient,
    Bridge,
}

/// One executable of one tor.
struct Replay<'a> {
    transcript: &'a Transcript,
    program: String,
    lines: Vec<String>,
    /// For the torrc.
    methods: BTreeSet<String>,
}

/// What came of the transcripts.
#[derive(Debug, Default)]
pub struct Judged {
    /// The lines that tor did not take for what they are.
    pub refusals: Vec<Refusal>,
    /// What became of the `SMETHOD` lines.
    pub announced: Vec<Announced>,
}

/// What tor tells a bridge's operator to give to users.
#[derive(Clone, Debug)]
pub struct Announced {
    /// What the `SMETHOD` line said.
    pub args: Vec<(String, String)>,
    /// The line that tor made of it.
    pub bridge_line: String,
}

/// Lets tor judge every line of every transcript.
pub async fn judge(transcripts: &[Transcript]) -> Result<Judged> {
    let of = |parent| {
        let mine = transcripts.iter().filter(move |t| belongs(t) == parent);
        let lines = mine.filter(|transcript| !transcript.lines.is_empty());
        lines.collect::<Vec<_>>()
    };
    let (clients, proxied, bridges) = (
        of(Parent::Client),
        of(Parent::ProxiedClient),
        of(Parent::Bridge),
    );
    let (clients, proxied, bridges) = tokio::try_join!(
        batches(Parent::Client, &clients),
        batches(Parent::ProxiedClient, &proxied),
        batches(Parent::Bridge, &bridges),
    )?;
    let mut judged = Judged::default();
    for part in [clients, proxied, bridges] {
        judged.refusals.extend(part.refusals);
        judged.announced.extend(part.announced);
    }
    Ok(judged)
}

/// Lets a tor without an upstream proxy judge the transcripts of clients, whatever they say about proxies.
pub async fn judge_unasked(transcripts: &[Transcript]) -> Result<Judged> {
    batches(Parent::Client, &transcripts.iter().collect::<Vec<_>>()).await
}

fn belongs(transcript: &Transcript) -> Parent {
    match (transcript.is_server(), transcript.is_proxied()) {
        (true, _) => Parent::Bridge,
        (false, true) => Parent::ProxiedClient,
        (false, false) => Parent::Client,
    }
}

async fn batches(parent: Parent, transcripts: &[&Transcript]) -> Result<Judged> {
    let mut judged = Judged::default();
    for batch in transcripts.chunks(AT_A_TIME) {
        let one = before_tor(parent, batch).await?;
        judged.refusals.extend(one.refusals);
        judged.announced.extend(one.announced);
    }
    Ok(judged)
}

async fn before_tor(parent: Parent, transcripts: &[&Transcript]) -> Result<Judged> {
    let folder = tempfile::tempdir()?;
    let ground = Ground::new(folder.path())?;
    let mut replays = Vec::new();
    for (number, &transcript) in transcripts.iter().enumerate() {
        replays.push(Replay::create(folder.path(), number, transcript)?);
    }
    let torrc = torrc(parent, &ground, &replays)?;
    let mut open: Vec<&Replay<'_>> = replays.iter().collect();
    let log = ground.run(&torrc, |entry| {
        open.retain(|replay| !replay.is_over(entry));
        open.is_empty()
    });
    let log = log.await?;
    let judged = replays.iter().flat_map(|replay| {
        let name = &replay.transcript.name;
        verdict::judge(name, &replay.program, &replay.lines, &log)
    });
    // tor 0.4.9 and later write it as soon as a bridge has a transport.
    let bridge_lines = match std::fs::read_to_string(folder.path().join("data/bridgelines")) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        read => read.unwrap_or_default(),
    };
    Ok(Judged {
        refusals: judged.collect(),
        announced: announced(&replays, &bridge_lines),
    })
}

fn announced(replays: &[Replay<'_>], bridge_lines: &str) -> Vec<Announced> {
    let lines = replays.iter().flat_map(|replay| &replay.lines);
    let announced = lines.filter_map(|line| match Line::read(line) {
        Ok(Line::Smethod { name, args, .. }) => {
            let start = format!("Bridge {name} ");
            let line = bridge_lines.lines().find(|line| line.starts_with(&start))?;
            let bridge_line = line.to_owned();
            Some(Announced { args, bridge_line })
        }
        _ => None,
    });
    announced.collect()
}

fn torrc(parent: Parent, ground: &Ground, replays: &[Replay<'_>]) -> Result<String> {
    let nobody = ground.nobody()?;
    let mut torrc = match parent {
        // A policy that lets nothing out keeps tor from connecting to bridges, here through ports that by now may be
        // somebody else's. Transports are launched all the same.
        Parent::Client => "UseBridges 1\nReachableAddresses reject *:*\n".to_owned(),
        Parent::ProxiedClient => {
            format!("UseBridges 1\nReachableAddresses reject *:*\nSocks5Proxy {nobody}\n")
        }
        Parent::Bridge => format!(
            "TestingTorNetwork 1\nNickname oracle\nAddress 127.0.0.1\nORPort 127.0.0.1:auto\nExtORPort auto\n\
             BridgeRelay 1\nExitRelay 0\nAssumeReachable 1\nPublishServerDescriptor 0\nBridgeDistribution none\n\
             ServerDNSResolvConfFile {}\nServerDNSDetectHijacking 0\nServerDNSTestAddresses\n",
            ground.folder.join("resolv.conf").display()
        ),
    };
    let side = match parent {
        Parent::Client | Parent::ProxiedClient => "Client",
        Parent::Bridge => "Server",
    };
    for (number, replay) in replays.iter().enumerate() {
        let methods = Vec::from_iter(replay.methods.iter().map(String::as_str)).join(",");
        writeln!(
            torrc,
            "{side}TransportPlugin {methods} exec {}",
            replay.program
        )?;
        if parent != Parent::Bridge
            && let Some(method) = replay.methods.first()
        {
            // It is launched only if a bridge needs it, and no two bridges are at the same place.
            let [high, low] = (number as u16).to_be_bytes();
            writeln!(torrc, "Bridge {method} 127.1.{high}.{low}:1")?;
        }
    }
    Ok(torrc)
}

impl<'a> Replay<'a> {
    #[expect(clippy::disallowed_methods, reason = "the scratch folder of this run")]
    fn create(folder: &Path, number: usize, transcript: &'a Transcript) -> Result<Self> {
        let mut methods = BTreeSet::new();
        let mut lines = Vec::new();
        for line in &transcript.lines {
            let (line, method) = renamed(line, number);
            lines.push(line);
            methods.extend(method);
        }
        if methods.is_empty() {
            methods.insert(format!("none_{number}"));
        }
        if !transcript.read().any(|line| line.is_fatal()) {
            // What tor makes of the last line is certain once it has come to one after it.
            lines.push(format!(
                "LOG SEVERITY=notice MESSAGE=\"the end of replay {number}\""
            ));
        }
        let program = folder.join(format!("pt-{number}"));
        std::fs::write(
            folder.join(format!("pt-{number}.lines")),
            lines.join("\n") + "\n",
        )?;
        std::fs::write(&program, "#!/bin/sh\nexec cat \"$0.lines\" -\n")?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700))?;
        Ok(Replay {
            transcript,
            program: program.display().to_string(),
            lines,
            methods,
        })
    }

    /// Whether this word of tor's is the last about this process.
    fn is_over(&self, entry: &str) -> bool {
        let last = self
            .lines
            .last()
            .is_some_and(|last| entry.ends_with(&verdict::got(&self.program, last)));
        last || verdict::gave_up(&self.program, entry)
    }
}

/// The line with a method name that is nobody else's, and the name.
fn renamed(line: &str, number: usize) -> (String, Option<String>) {
    let read = Line::read(line).ok();
    let Some(name) = read.as_ref().and_then(Line::transport) else {
        return (line.to_owned(), None);
    };
    let own = format!("{name}_{number}");
    // The first word after the keyword, or the value of TRANSPORT=.
    let at = line.find(&format!(" {name} ")).map(|at| at + 1);
    let at = at.or_else(|| Some(line.find(&format!(" TRANSPORT={name}"))? + " TRANSPORT=".len()));
    let Some(at) = at else {
        return (line.to_owned(), None);
    };
    let (before, after) = line.split_at(at);
    let line = format!("{before}{own}{}", &after[name.len()..]);
    (line, Some(own))
}
