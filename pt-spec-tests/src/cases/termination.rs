//! How a process ends (pt-spec 3.4): when its parent says so or is gone, after the last connection at SIGINT, with 0, and
//! never because of what others send.

mod endurance;
mod interrupt;
mod remains;
mod stop;

use super::launching::{Role, sides};
use crate::case::Case;
use crate::instruments::listeners::door;
use crate::instruments::pair::Tunnel;
use crate::instruments::parent::Ready;
use crate::instruments::process::{Exit, Pt};
use crate::instruments::socks::{Socks, greeting};
use crate::instruments::wire::{SOON, dial, hex, read_exactly, write_all};
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// The cases, nearly in the ledger's order.
pub const TABLES: &[&[Case]] = &[
    stop::CASES,
    interrupt::CASES,
    remains::CASES,
    endurance::CASES,
];

/// What a parent waits before it kills; Arti's limit.
const REASONABLE: std::time::Duration = std::time::Duration::from_secs(5);

/// That it ends in the time that a parent gives it; `what` was done to it.
async fn ends(pt: &mut Pt, what: &str) -> Verdict<Exit> {
    match pt.exit(REASONABLE).await? {
        Some(exit) => Ok(exit),
        None => deviation!("{what}, the process still runs after {REASONABLE:?}"),
    }
}

/// That it ends in time, and with 0.
async fn ends_with_0(pt: &mut Pt, what: &str) -> Verdict {
    let exit = ends(pt, what).await?;
    ensure!(
        exit.code == Some(0),
        "{what}, the process ends with {exit} instead of exit code 0"
    );
    Ok(())
}

/// That it still does its work: a SOCKS port answers, a server's port accepts.
async fn serves(role: Role, ready: &mut Ready, after: &str) -> Verdict {
    let told = |failure| match failure {
        Failure::Deviation(text) => Failure::Deviation(format!("{after}: {text}")),
        other => other,
    };
    ready.pt.must_run().await.map_err(told)?;
    let stream = dial(door(&ready.pt, &ready.method)?).await.map_err(told)?;
    if role == Role::Client && ready.method.protocol == "socks5" {
        let mut socks = Socks::over(stream);
        socks.send(&greeting(&[0])).await;
        match socks.read(2).await {
            Ok(answer) => ensure!(
                answer[0] == 5,
                "{after}: a greeting is answered with {}",
                hex(&answer)
            ),
            Err(cut) => deviation!("{after}: a greeting is not answered: {cut}"),
        }
    }
    ready.pt.must_run().await.map_err(told)
}

/// That a tunnel carries bytes both ways.
async fn carries(tunnel: &mut Tunnel, when: &str) -> Verdict {
    let ping = b"ping";
    for upwards in [true, false] {
        let (from, to) = match upwards {
            true => (&mut tunnel.app, &mut tunnel.tor),
            false => (&mut tunnel.tor, &mut tunnel.app),
        };
        let way = if upwards {
            "application to bridge"
        } else {
            "bridge to application"
        };
        if let Err(ended) = write_all(from, ping, SOON).await {
            deviation!("{when}, {way}: {ended}");
        }
        match read_exactly(to, ping.len(), SOON).await {
            Ok(got) => ensure!(got == ping, "{when}, {way}: {} arrives", hex(&got)),
            Err(cut) => deviation!("{when}, {way}: {cut}"),
        }
    }
    Ok(())
}
