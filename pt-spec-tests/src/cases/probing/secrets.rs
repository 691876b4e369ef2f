//! Keys, cookies, arguments and passwords, and the places where they must not show: stdout, which tor copies into its
//! log, and the command line, which every user of the machine can read.
//!
//! What `SMETHOD` announces is meant for clients, and tor's log does not show it; that line alone may hold anything.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, Side, run};
use crate::cases::ext_orport::Scene;
use crate::instruments::leftovers::children;
use crate::instruments::process::Pt;
use crate::instruments::socks::{self, Socks, Target, credentials, greeting};
use crate::instruments::wire::{A_WHILE, listen};
use crate::verdict::{Failure, Verdict, ensure};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-4/keys-stay-in-the-state",
        line: 128,
        side: Side::Server,
        requirement: "What a server keeps in its state directory and does not announce is neither on its stdout nor in its command line.",
        reference: "pt-spec 4: keep confidential what has to be; pt-spec 3.3.4: tor copies LOG lines into its log",
        reading: "Words of 24 characters or more with letters and digits count as secrets.",
        check: run!(state_stays),
        ..Case::BASE
    },
    Case {
        id: "pt-4/cookie-is-not-told",
        line: 128,
        side: Side::Both,
        requirement: "The cookie of the Extended ORPort is neither on the server's stdout nor in its command line, after a success and after a failure.",
        reference: "pt-spec 4; ext-orport-spec 2.1: the cookie is the proof that a process may speak to tor",
        check: run!(cookie_is_not_told),
        ..Case::BASE
    },
    Case {
        id: "pt-4/bridge-arguments-are-not-told",
        line: 128,
        side: Side::Client,
        requirement: "The arguments of a bridge line, good, unknown or malformed, are neither on the client's stdout nor in its command line.",
        reference: "pt-spec 4: clients take care to keep what they know of servers confidential",
        reading: "A message may name the key, not the value.",
        check: run!(bridge_arguments),
        ..Case::BASE
    },
    Case {
        id: "pt-4/server-options-are-not-told",
        line: 128,
        side: Side::Server,
        requirement: "The value of a server option, known or not, is neither on stdout but for SMETHOD nor in the command line.",
        reference: "pt-spec 4 and 3.2.3: options carry keys and passwords",
        reading: "A message may name the key, not the value.",
        check: run!(server_options),
        ..Case::BASE
    },
    Case {
        id: "pt-4/malformed-options-are-not-quoted",
        line: 128,
        level: Level::Should,
        side: Side::Server,
        requirement: "The message about malformed server options does not quote what may be a value.",
        reference: "pt-spec 4 and 3.2.3; a slip of the pen in a key is still nearly the key",
        reading: "tor itself writes the options well formed; others that start the server may not.",
        check: run!(malformed_options),
        ..Case::BASE
    },
    Case {
        id: "pt-4/proxy-password-is-not-told",
        line: 128,
        side: Side::Client,
        requirement: "The password in TOR_PT_PROXY is neither on the client's stdout nor in its command line, even where the value is refused.",
        reference: "pt-spec 3.2.2 and 3.3.2: tor logs the text of PROXY-ERROR",
        check: run!(proxy_password),
        ..Case::BASE
    },
];

/// Finds out that none of the secrets shows.
fn kept(pt: &Pt, secrets: &[String], what: &str) -> Verdict {
    for line in pt.stdout().texts() {
        if line.starts_with("SMETHOD ") {
            continue;
        }
        let told = secrets.iter().find(|secret| line.contains(*secret));
        ensure!(told.is_none(), "{what} is on stdout: {line:?}");
    }
    for pid in [vec![pt.pid()], children(pt.pid())].concat() {
        // A child may have gone by now.
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let told = secrets.iter().find(|secret| command.contains(*secret));
        ensure!(told.is_none(), "{what} is in the command line: {command:?}");
    }
    Ok(())
}

/// A value that nothing else has.
fn token() -> Verdict<String> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|error| Failure::Instrument(error.to_string()))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Lines come in order, and what is to be logged is logged with what caused it: whatever comes, comes in a while.
async fn settle() {
    tokio::time::sleep(A_WHILE).await;
}

async fn state_stays(bench: &Bench) -> Verdict {
    let state = bench.fresh_path("keys");
    let ready = bench.server(UNUSED_ORPORT).state(&state).ready().await?;
    settle().await;
    let mut words = BTreeSet::new();
    collect(&state, &mut words)?;
    let announced: Vec<_> = ready
        .method
        .args
        .iter()
        .map(|(_, value)| value.clone())
        .collect();
    words.retain(|word| !announced.iter().any(|value| value.contains(word.as_str())));
    if words.is_empty() {
        return Err(Failure::NotApplicable(
            "the server keeps no secret in its state".to_owned(),
        ));
    }
    let words: Vec<_> = words.into_iter().collect();
    kept(&ready.pt, &words, "a word of a state file")
}

/// The words of all files below a folder that look like keys.
fn collect(folder: &Path, words: &mut BTreeSet<String>) -> Verdict {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, words)?;
            continue;
        }
        let bytes = std::fs::read(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        let of_word = |char: char| char.is_ascii_alphanumeric() || "+/-_".contains(char);
        for word in text.split(|char| !of_word(char)) {
            let both = word.contains(|char: char| char.is_ascii_digit())
                && word.contains(|char: char| char.is_ascii_alphabetic());
            if word.len() >= 24 && both {
                words.insert(word.to_owned());
            }
        }
    }
    Ok(())
}

async fn cookie_is_not_told(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let good = scene.ext.cookie();
    scene.serves().await?;
    // A file that is refused: the reason is worth a line.
    let bad = [&b"! Extended ORPort Auth Cookie ?\n"[..], &good].concat();
    scene.ext.write_cookie(&bad)?;
    let _app = scene.application().await?;
    settle().await;
    let hex: String = good.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut secrets = vec![hex.to_uppercase(), hex];
    secrets.extend(
        [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].map(|base| base.encode(good)),
    );
    secrets.push(good.map(|byte| byte.to_string()).join(", "));
    kept(&scene.pair.bridge.server, &secrets, "the cookie")
}

async fn bridge_arguments(bench: &Bench) -> Verdict {
    let mut args = bench.bridge_args().await?;
    let mut secrets: Vec<String> = args.iter().map(|(_, value)| value.clone()).collect();
    secrets.retain(|value| value.len() >= 16);
    let (unknown, malformed) = (token()?, token()?);
    let ready = bench.client().ready().await?;
    let (_listener, addr) = listen().await?;
    let target = Target::Ip(addr);
    // What comes of them is another case's matter.
    let _ = socks::open(ready.method.addr, &args, &target, A_WHILE).await;
    args.push(("secret".to_owned(), unknown.clone()));
    let _ = socks::open(ready.method.addr, &args, &target, A_WHILE).await;
    let mut socks = Socks::dial(ready.method.addr).await?;
    socks.send(&greeting(&[0, 2])).await;
    let _ = socks.read(2).await;
    let text = format!("secret={malformed};;{malformed}\\");
    socks.send(&credentials(text.as_bytes(), b"\0")).await;
    let _ = socks.read(2).await;
    settle().await;
    secrets.extend([unknown, malformed]);
    kept(&ready.pt, &secrets, "an argument of a bridge line")
}

async fn server_options(bench: &Bench) -> Verdict {
    with_option(bench, |value| format!("secret={value}")).await
}

async fn malformed_options(bench: &Bench) -> Verdict {
    with_option(bench, |value| format!("secret{value}")).await
}

/// One option more than the server needs.
async fn with_option(bench: &Bench, option: impl Fn(&str) -> String) -> Verdict {
    let name = bench.transport();
    let token = token()?;
    let needed = bench
        .server_options()
        .map(|options| format!("{options};"))
        .unwrap_or_default();
    let options = format!("{needed}{name}:{}", option(&token));
    let launch = bench
        .server(UNUSED_ORPORT)
        .set("TOR_PT_SERVER_TRANSPORT_OPTIONS", options);
    let (pt, _) = launch.negotiate().await?;
    settle().await;
    kept(&pt, &[token], "the value of a server option")
}

async fn proxy_password(bench: &Bench) -> Verdict {
    let token = token()?;
    for proxy in [
        format!("socks5://user:{token}@127.0.0.1:9"),
        format!("gopher://user:{token}@127.0.0.1:9"),
        format!("socks5://user:{token}@127.0.0.1:no-port"),
        format!("http://user:{token}@"),
    ] {
        let (pt, _) = bench
            .client()
            .set("TOR_PT_PROXY", &proxy)
            .negotiate()
            .await?;
        settle().await;
        kept(
            &pt,
            std::slice::from_ref(&token),
            "the password of the proxy",
        )?;
    }
    Ok(())
}
