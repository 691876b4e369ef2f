//! Conversations: what is said about connections, with their addresses and host names in it.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{HOSTILE, Stage, guest, named};
use crate::ouzel::{Launch, Running};
use crate::socks::{say, to_addr, to_name};
use crate::transcript::Transcript;

pub(super) async fn play(stage: &Stage) -> Result<Vec<Transcript>> {
    Ok(vec![
        client(stage).await?,
        behind_a_proxy(stage).await?,
        modules(stage).await?,
        without_a_relay(stage).await?,
        without_a_cookie(stage).await?,
    ])
}

fn talkative(launch: Launch) -> Launch {
    launch.arg("--unsafe-logging").arg("--log-level=debug")
}

/// Bad handshakes, bad arguments, a bridge that refuses, one that is reached, and one that breaks off.
async fn client(stage: &Stage) -> Result<Transcript> {
    let launch = talkative(Launch::client(&stage.state("live-client"), "plain"));
    let mut pt = launch.start("connections of a client")?;
    let port = pt.method("plain").await?;
    let refused = stage.nobody()?;
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![4, 1, 0, 80, 127, 0, 0, 1, 0],
        vec![5, 1, 9],
        to_addr(b"k=v;", refused),
        to_addr(b"no equals sign \" \\ ", refused),
        to_addr(b"\xff=v", refused),
        to_addr(b"", refused),
        to_addr(b"k=v", "[::1]:1".parse()?),
    ] {
        say(port, &bytes).await?;
    }
    pt.says("the bridge refused the connection").await?;
    pt.says("::1").await?;
    let bridge = TcpListener::bind("127.0.0.1:0").await?;
    let mut to_bridge = to_addr(b"", bridge.local_addr()?);
    to_bridge.push(b'x');
    let (said, reset) = tokio::join!(say(port, &to_bridge), async {
        let (mut bridge, _) = bridge.accept().await?;
        bridge.read_u8().await?;
        bridge.set_zero_linger()
    });
    said?;
    reset?;
    pt.says("ended early").await?;
    pt.finish().await
}

/// Names that are nobody's and are nobody's to resolve: a proxy that is not there hears of them.
async fn behind_a_proxy(stage: &Stage) -> Result<Transcript> {
    let proxy = format!("socks5://{}", stage.nobody()?);
    let launch = talkative(Launch::client(&stage.state("live-proxy"), "plain"));
    let launch = launch.env("TOR_PT_PROXY", proxy);
    let mut pt = launch.start("connections of a client behind a proxy")?;
    let port = pt.method("plain").await?;
    let long = "x".repeat(255);
    for name in [HOSTILE, &long, "\r\n", "\u{7f}", "x"] {
        say(port, &to_name(b"", name.as_bytes(), 443)).await?;
    }
    say(port, &to_name(b"", b"\xff\xfe", 443)).await?;
    pt.says("(x)").await?;
    pt.finish().await
}

/// Modules that fail when a connection comes.
async fn modules(stage: &Stage) -> Result<Transcript> {
    let names = ["trap_dial", "refuse", "trap", "quitter", "chatty"];
    let mut launch = Launch::client(&stage.state("live-modules"), names.join(","));
    for name in names {
        launch = launch.arg("--module").arg(named(name, &guest(name)));
    }
    let mut pt = talkative(launch).start("modules that fail")?;
    let mut ports: Vec<(&str, SocketAddr)> = Vec::new();
    for name in names {
        ports.push((name, pt.method(name).await?));
    }
    let bridge = TcpListener::bind("127.0.0.1:0").await?;
    let to_bridge = to_addr(b"k=v", bridge.local_addr()?);
    for (name, port) in ports {
        tokio::select! {
            said = say(port, &to_bridge) => drop(said?),
            // Whoever comes finds nobody there.
            () = async { while bridge.accept().await.is_ok() {} } => {}
        }
        pt.says(&format!("{name}: ")).await?;
    }
    pt.finish().await
}

/// A bridge whose relay is gone, or is there without the cookie file that it spoke of.
fn bridge(stage: &Stage, relay: SocketAddr, name: &str) -> Result<Running> {
    let launch = talkative(Launch::server(&stage.state(name), "plain"))
        .env("TOR_PT_SERVER_BINDADDR", "plain-127.0.0.1:0")
        .env("TOR_PT_EXTENDED_SERVER_PORT", relay.to_string())
        .env(
            "TOR_PT_AUTH_COOKIE_FILE",
            stage.path("cookies").join(HOSTILE),
        );
    launch.start(name)
}

async fn without_a_relay(stage: &Stage) -> Result<Transcript> {
    let mut pt = bridge(stage, stage.nobody()?, "a bridge without a relay")?;
    let port = pt.method("plain").await?;
    say(port, b"a client's first bytes").await?;
    pt.says("ExtORPort").await?;
    pt.finish().await
}

async fn without_a_cookie(stage: &Stage) -> Result<Transcript> {
    let relay = TcpListener::bind("127.0.0.1:0").await?;
    let mut pt = bridge(stage, relay.local_addr()?, "a bridge without a cookie")?;
    let port = pt.method("plain").await?;
    let (said, answered) = tokio::join!(say(port, b"a client's first bytes"), async {
        let (mut bridge, _) = relay.accept().await?;
        // The types of authentication, then whatever a hash and a nonce may be.
        bridge.write_all(&[1, 0]).await?;
        bridge.write_all(&[7; 64]).await?;
        // To the end: the bridge gives up.
        bridge.read_to_end(&mut Vec::new()).await
    });
    said?;
    // How it gives up is its own affair.
    let _ = answered;
    pt.says("ExtORPortCookieAuthFile").await?;
    pt.finish().await
}
