//! arti's parser as a judge.
//!
//! In: a line. Out: nothing if arti takes it for what it is and for all that it says, or else why not.

use std::collections::HashMap;
use std::fmt::Debug;

use tor_ptmgr::ipc::{PtMessage, PtStatus};

use crate::line::{Line, SEVERITIES};

/// Judges a line; the error is arti's word on it, or what arti made of it.
pub fn judge(line: &str) -> Result<(), String> {
    let theirs = reads(line)?;
    let ours = Line::read(line)?;
    compare(&ours, &theirs)
}

/// What arti's parser makes of a line, whether or not the contract has such lines.
pub fn reads(line: &str) -> Result<PtMessage, String> {
    let theirs: PtMessage = line
        .parse()
        .map_err(|error| format!("arti cannot parse it: {error}"))?;
    match &theirs {
        PtMessage::Unknown(_) => Err("arti does not know it".to_owned()),
        PtMessage::Log { severity, .. } if !SEVERITIES.contains(&severity.as_str()) => {
            Err(format!("arti does not know the severity {severity:?}"))
        }
        PtMessage::Log { message, .. } if !line.trim_end_matches('"').ends_with(message) => {
            Err(format!("arti keeps {message:?} of the message"))
        }
        _ => Ok(theirs),
    }
}

fn compare(ours: &Line, theirs: &PtMessage) -> Result<(), String> {
    match (ours, theirs) {
        (Line::Version(a), PtMessage::Version(b))
        | (Line::VersionError(a), PtMessage::VersionError(b))
        | (Line::EnvError(a), PtMessage::EnvError(b))
        | (Line::ProxyError(a), PtMessage::ProxyError(b)) => same(a, b),
        (Line::ProxyDone, PtMessage::ProxyDone)
        | (Line::CmethodsDone, PtMessage::ClientTransportsDone)
        | (Line::SmethodsDone, PtMessage::ServerTransportsDone) => Ok(()),
        (
            Line::Cmethod {
                name,
                protocol,
                addr,
            },
            PtMessage::ClientTransportLaunched {
                transport,
                protocol: their_protocol,
                endpoint,
            },
        ) => {
            same(name, &transport.to_string())?;
            same(protocol, their_protocol)?;
            same(addr, endpoint)
        }
        (
            Line::Smethod { name, addr, args },
            PtMessage::ServerTransportLaunched {
                transport,
                endpoint,
                options,
            },
        ) => {
            same(name, &transport.to_string())?;
            same(addr, endpoint)?;
            same(&args.len(), &options.len())?;
            same(&args.iter().cloned().collect::<HashMap<_, _>>(), options)
        }
        (
            Line::CmethodError { name, text },
            PtMessage::ClientTransportFailed { transport, message },
        )
        | (
            Line::SmethodError { name, text },
            PtMessage::ServerTransportFailed { transport, message },
        ) => {
            same(name, &transport.to_string())?;
            same(text, message)
        }
        (
            Line::Log { severity, text },
            PtMessage::Log {
                severity: their_severity,
                message,
            },
        ) => {
            same(severity, their_severity)?;
            same(text, message)
        }
        (Line::Status(pairs), PtMessage::Status(status)) => same_status(pairs, status),
        _ => Err(format!("arti takes it for {theirs:?}")),
    }
}

fn same<T: PartialEq + Debug + ?Sized>(ours: &T, theirs: &T) -> Result<(), String> {
    if ours == theirs {
        return Ok(());
    }
    Err(format!("arti reads {theirs:?} where {ours:?} was said"))
}

/// arti shows the pairs of a STATUS line to nobody but a debugger.
fn same_status(pairs: &[(String, String)], status: &PtStatus) -> Result<(), String> {
    let shown = format!("{status:?}");
    let all = pairs
        .iter()
        .all(|(key, value)| shown.contains(&format!("{key:?}: {value:?}")));
    if all && shown.matches("\": \"").count() == pairs.len() {
        return Ok(());
    }
    Err(format!("arti reads {shown} where {pairs:?} was said"))
}
