//! `torrc.example`: both blocks, uncommented as it says, are what tor accepts, and name the executable as tor starts it.

use std::path::Path;

use tokio::process::Command;

use crate::support::deadline::soon;
use crate::support::peers;

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("torrc.example");
    std::fs::read_to_string(path).unwrap()
}

/// The options of a block: the lines with a single `#`, without it.
fn block(title: &str) -> String {
    let text = example();
    let after = text
        .split(&format!("##### {title} #####"))
        .nth(1)
        .unwrap_or_else(|| panic!("no block {title}"));
    let block = after.split("#####").next().unwrap();
    let options: Vec<_> = block
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()))
        .collect();
    assert!(options.len() >= 3, "{options:?}");
    options.join("\n")
}

async fn verify(torrc: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("torrc");
    std::fs::write(&file, torrc).unwrap();
    let output = soon(
        "tor --verify-config",
        Command::new(peers::find("tor", "tor"))
            .args(["--defaults-torrc", "/dev/null", "--verify-config", "-f"])
            .arg(&file)
            .arg("--DataDirectory")
            .arg(folder.path().join("data"))
            .env_clear()
            .kill_on_drop(true)
            .output(),
    )
    .await
    .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("Configuration was valid"),
        "{torrc}\n{said}"
    );
    said
}

#[tokio::test]
async fn tor_accepts_both_blocks_without_a_warning() {
    for (title, wanted) in [
        ("Client", "ClientTransportPlugin obfs4 exec /usr/bin/ouzel"),
        ("Bridge", "ServerTransportPlugin obfs4 exec /usr/bin/ouzel"),
    ] {
        let torrc = block(title);
        assert!(torrc.lines().any(|line| line == wanted), "{torrc}");
        let said = verify(&torrc).await;
        let warned: Vec<_> = said
            .lines()
            .filter(|line| line.contains("[warn]") && !line.contains("running Tor as root"))
            .collect();
        assert!(warned.is_empty(), "{title}: {warned:#?}");
    }
}

#[tokio::test]
async fn the_alternatives_in_the_comments_are_accepted_too() {
    let text = example();
    let (client, bridge) = text.split_once("##### Bridge #####").unwrap();
    let alternatives = |part: &str| {
        part.lines()
            .filter_map(|line| line.strip_prefix("##"))
            // Prose begins with a space, or with none of tor's names for options.
            .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let found = alternatives(client);
    assert!(found.len() >= 3, "{found:?}");
    for line in found {
        verify(&format!("{}\n{line}\n", block("Client"))).await;
    }
    let found = alternatives(bridge);
    assert!(!found.is_empty());
    for line in found {
        verify(&format!("{}\n{line}\n", block("Bridge"))).await;
    }
    // The line for a module of one's own.
    let line = text
        .lines()
        .find_map(|line| {
            line.strip_prefix("##   ")
                .filter(|l| l.starts_with("ClientTransportPlugin"))
        })
        .expect("it shows how");
    verify(line).await;
}
