//! The test: look-alikes of the modules in the field, and the verdict that each must get.
//!
//! They are put into a folder as somebody would who tries published modules, and some of them are broken, because a trial
//! that nobody can fail proves nothing.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::module;
use crate::pattern::{Arrival, Shape, bytes};
use crate::process::free_port;
use crate::report::Tried;

/// Enough to fill every queue on the way.
const SIZE: usize = 16;

/// A file of the folder, which guest it is, what lies beside it, and how its cells begin: dialer, fixed dialer, listener,
/// relay.
struct LookAlike {
    name: &'static str,
    guest: &'static str,
    beside: Option<Value>,
    cells: [&'static str; 4],
}

const AS_IS: &str = "ok (as is)";
const NO: &str = "–";
const FAILED: &str = "**FAILED**";

fn all(state: &str, fixed: &str) -> Vec<LookAlike> {
    let to_fixed = format!("tcp {fixed}");
    let plain = |guest: &'static str, cells| LookAlike {
        name: guest.rsplit('/').next().unwrap_or(guest),
        guest,
        beside: None,
        cells,
    };
    let with = |name, guest, beside, cells| LookAlike {
        name,
        guest,
        beside: Some(beside),
        cells,
    };
    let both_ends = [AS_IS, NO, AS_IS, NO];
    let ouzel = env!("CARGO_BIN_EXE_ouzel");
    let (at, to) = ("{peer_host}:{peer_port}", "{far_host}:{far_port}");
    vec![
        plain("plain", both_ends),
        // It changes bytes, and undoes that itself.
        plain(
            "reverse",
            [
                "ok (with its own listener)",
                NO,
                "ok (with its own dialer)",
                NO,
            ],
        ),
        with(
            "reverse_and_a_peer",
            "reverse",
            json!({
                "config": {"key": "shared"},
                "peer": [ouzel, "listen", "--module", "reverse", "--listen", at, "--connect", to, "--state", state],
            }),
            // That peer has another key, so what it makes of the bytes is nonsense.
            [FAILED, NO, "ok (with its own dialer)", NO],
        ),
        with(
            "reverse_and_its_peer",
            "reverse",
            json!({"peer": [ouzel, "listen", "--module", "reverse", "--listen", at, "--connect", to, "--state", state]}),
            ["ok (with ", NO, "ok (with its own dialer)", NO],
        ),
        // The three generations of the TinyGo SDK's write path; what tokio makes of a host; both markers of v0.
        plain("test-guests/upstream_a", both_ends),
        plain("test-guests/upstream_b", both_ends),
        plain("test-guests/upstream_c", both_ends),
        plain(
            "test-guests/upstream_reverse",
            ["ok (reversed)", "EPERM", "ok (reversed)", "EPERM"],
        ),
        plain("test-guests/tokio_like", both_ends),
        plain("test-guests/command", both_ends),
        plain("test-guests/v0_function", [AS_IS, NO, AS_IS, AS_IS]),
        plain("test-guests/v0_global", [AS_IS, NO, AS_IS, AS_IS]),
        with(
            "roaming_by_itself",
            "test-guests/roaming",
            json!({"config": "tcp {far_host}:{far_port}"}),
            // As a relay it is not let go where it wants.
            [NO, AS_IS, NO, FAILED],
        ),
        with(
            "roaming_where_it_is_sent",
            "test-guests/roaming",
            json!({"known": {"fixed dialer": "without a configuration it knows no address"}}),
            [NO, "fails, as known", NO, AS_IS],
        ),
        // Two that go to one port, by themselves; they are next to each other in the folder, and so tried at once.
        with(
            "roaming_to_a_port",
            "test-guests/roaming",
            json!({"config": to_fixed, "goes_to": fixed}),
            [NO, AS_IS, NO, FAILED],
        ),
        with(
            "roaming_to_a_port_too",
            "test-guests/roaming",
            json!({"config": to_fixed, "goes_to": fixed}),
            [NO, AS_IS, NO, FAILED],
        ),
        with(
            "plain_but_known_to_fail",
            "plain",
            json!({"known": {"dialer": "of old"}}),
            ["**not as known**", NO, AS_IS, NO],
        ),
        plain("test-guests/final_v1", ["refused", NO, NO, NO]),
        plain("test-guests/foreign_import", [FAILED, NO, FAILED, NO]),
        plain("test-guests/trap", [FAILED, NO, FAILED, NO]),
    ]
}

/// Runs it; whether every verdict is as it must be.
pub(crate) async fn judge() -> Result<bool> {
    losses_are_seen()?;
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let state = tempfile::tempdir().context("no temporary folder")?;
    let fixed = free_port().await?.to_string();
    let all = all(&state.path().to_string_lossy(), &fixed);
    for look_alike in &all {
        lay_out(folder.path(), look_alike)
            .with_context(|| format!("{} cannot be laid out", look_alike.name))?;
    }
    let tried = crate::try_all(module::in_folder(folder.path())?, SIZE).await?;
    ensure!(
        tried.len() == all.len(),
        "{} of {} modules were found",
        tried.len(),
        all.len()
    );
    let mut wrong = 0;
    for LookAlike { name, cells, .. } in &all {
        let found = tried
            .iter()
            .find(|Tried { module, .. }| module.name == *name);
        let Tried { roles, .. } = found.with_context(|| format!("{name} was not tried"))?;
        for ((role, verdict), must) in roles.iter().zip(cells) {
            if !verdict.cell().starts_with(must) {
                wrong += 1;
                eprintln!(
                    "{name} as {role}: {must} was expected, not {}",
                    verdict.told()
                );
            }
        }
    }
    eprintln!(
        "ecosystem: {} look-alikes, {wrong} wrong verdicts",
        all.len()
    );
    Ok(wrong == 0)
}

fn lay_out(folder: &Path, look_alike: &LookAlike) -> Result<()> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("watm/dist");
    let guest = built.join(look_alike.guest).with_extension("wasm");
    let file = folder.join(look_alike.name);
    fs::copy(guest, file.with_extension("wasm"))?;
    if let Some(beside) = &look_alike.beside {
        fs::write(file.with_extension("json"), beside.to_string())?;
    }
    Ok(())
}

/// The comparison itself: whatever happens to one byte shows.
fn losses_are_seen() -> Result<()> {
    const LENGTH: usize = 40_000;
    let sent = bytes(7, 0, LENGTH);
    let turned = |pieces: &[usize]| {
        let mut rest = &sent[..];
        let mut all = Vec::new();
        for piece in pieces.iter().cycle() {
            let (now, after) = rest.split_at((*piece).min(rest.len()));
            all.extend(now.iter().rev());
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        all
    };
    for (shape, arrived) in [
        (Shape::Same, sent.clone()),
        (Shape::Reversed, turned(&[16_384])),
        (Shape::Reversed, turned(&[1024, 3, 40, 1])),
    ] {
        let right = |bytes: &[u8]| {
            let mut arrival = Arrival::new(7, shape);
            let taken = bytes.chunks(1000).try_for_each(|chunk| arrival.take(chunk));
            taken.and_then(|()| arrival.settle()).is_ok() && arrival.received() == LENGTH
        };
        ensure!(right(&arrived), "{shape:?}: what is right is found wrong");
        for at in [0, 1023, 20_000, LENGTH - 1] {
            let mut lost = arrived.clone();
            lost.remove(at);
            let mut twice = arrived.clone();
            twice.insert(at, arrived[at]);
            let mut other = arrived.clone();
            other[at] ^= 1;
            ensure!(
                !right(&lost) && !right(&twice) && !right(&other),
                "{shape:?}: byte {at} is not looked at"
            );
        }
    }
    Ok(())
}
