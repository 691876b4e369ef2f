//! Arguments of a bridge line on the SOCKS port (pt-spec 3.5): how they are put together, and which are malformed.
//!
//! What a transport makes of them is its own affair. It shows in two ways: malformed ones fail in the authentication
//! step, and with the arguments that a server of it announces a tunnel comes about, however they are sent.

mod encoding;
mod fields;
mod meaning;

use std::time::Duration;

use super::socks5::{Port, accepted};
use crate::case::{Case, Side};
use crate::instruments::negotiation::Args;
use crate::instruments::socks::credentials;
use crate::instruments::wire::hex;
use crate::verdict::{Failure, Verdict, deviation};

/// The cases, in the ledger's order.
pub const TABLES: &[&[Case]] = &[fields::CASES, encoding::CASES, meaning::CASES];

/// The base of every case here: many hold a conversation for each of many texts.
const BASE: Case = Case {
    side: Side::Client,
    limit: Duration::from_secs(60),
    ..Case::BASE
};

/// A password that says: there is none.
const NONE: &[u8] = &[0];

/// Arguments that have to be accepted, whatever the transport makes of them.
async fn accepts(port: &Port, user: &[u8], password: &[u8]) -> Verdict {
    if judged(port, user, password).await? {
        return Ok(());
    }
    deviation!(
        "{} are refused in the authentication step",
        shown(user, password)
    )
}

/// Arguments that have to be refused in the authentication step.
async fn refuses(port: &Port, user: &[u8], password: &[u8]) -> Verdict {
    if judged(port, user, password).await? {
        deviation!("{} are accepted", shown(user, password));
    }
    Ok(())
}

/// The same for many user names and passwords, several at once.
async fn each_accepts(port: &Port, fields: Vec<[Vec<u8>; 2]>) -> Verdict {
    port.each(fields, |port, [user, password]| async move {
        accepts(&port, &user, &password).await
    })
    .await
}

/// The same for many user names and passwords, several at once.
async fn each_refuses(port: &Port, fields: Vec<[Vec<u8>; 2]>) -> Verdict {
    port.each(fields, |port, [user, password]| async move {
        refuses(&port, &user, &password).await
    })
    .await
}

async fn judged(port: &Port, user: &[u8], password: &[u8]) -> Verdict<bool> {
    let mut socks = port.greeted(&[2], 2).await?;
    socks.send(&credentials(user, password)).await;
    accepted(&mut socks, &shown(user, password)).await
}

fn shown(user: &[u8], password: &[u8]) -> String {
    format!(
        "the user name {} with the password {}",
        hex(user),
        hex(password)
    )
}

/// The arguments that a server announced, where there are any.
fn needed(args: &Args) -> Verdict {
    if args.is_empty() {
        return Err(Failure::NotApplicable(
            "the transport's server announces no arguments".to_owned(),
        ));
    }
    Ok(())
}
