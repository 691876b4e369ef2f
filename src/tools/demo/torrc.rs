//! What to write into the two torrc files to use a transport for real.
//!
//! In: the executable, the transport, its command line and the bridge's arguments. Out: text. What
//! can go wrong: a path with a space in it, which tor cannot start; the text says so.

use std::ffi::OsString;
use std::path::Path;

/// Both blocks, with a word about what the built-in transports are for.
pub(super) fn advice(
    program: &Path,
    name: &str,
    pt_args: &[OsString],
    bridge_args: &[(String, String)],
) -> String {
    let mut exec = program.display().to_string();
    for word in pt_args {
        exec.push(' ');
        exec.push_str(&absolute(&word.to_string_lossy()));
    }
    let bridge_args: String = bridge_args
        .iter()
        .map(|(k, v)| format!(" {k}={v}"))
        .collect();
    let mut text = format!(
        "To use it for real, in the bridge's torrc:

    BridgeRelay 1
    ORPort 127.0.0.1:9001
    AssumeReachable 1
    ExtORPort auto
    ServerTransportPlugin {name} exec {exec}
    ServerTransportListenAddr {name} 0.0.0.0:8443

and in the client's, with the bridge's address and fingerprint:

    UseBridges 1
    ClientTransportPlugin {name} exec {exec}
    Bridge {name} 192.0.2.7:8443 0123456789ABCDEF0123456789ABCDEF01234567{bridge_args}
"
    );
    if !bridge_args.is_empty() {
        text.push_str(
            "\nThe words after the fingerprint are this demo's; the bridge's own are in the file\n\
             bridgelines in its tor's data directory.\n",
        );
    }
    if !program.starts_with("/usr") {
        text.push_str(
            "\nMind: tor's user must be able to run that file; install it as /usr/bin/ouzel, and on\n\
             Debian allow it in tor's AppArmor profile (see the README).\n",
        );
    }
    if program.to_string_lossy().contains(' ') {
        text.push_str(
            "\nMind: tor cannot start a program whose path has a space in it; copy it elsewhere.\n",
        );
    }
    if matches!(name, "plain" | "reverse") {
        text.push_str(&format!(
            "\nMind: {name} shows that everything works, but it hides nothing from a censor.\n"
        ));
    }
    text.truncate(text.trim_end().len());
    text
}

/// A `NAME=FILE` with the whole path: tor starts its transports elsewhere.
fn absolute(word: &str) -> String {
    let whole = word.split_once('=').and_then(|(name, file)| {
        let file = std::path::absolute(file).ok()?;
        file.exists().then(|| format!("{name}={}", file.display()))
    });
    whole.unwrap_or_else(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_carry_the_path_and_the_arguments() {
        let words = ["--module".into(), "mine=Cargo.toml".into()];
        let args = [("cert".to_owned(), "abc".to_owned())];
        let text = advice(Path::new("/usr/bin/ouzel"), "mine", &words, &args);
        let file = std::path::absolute("Cargo.toml").unwrap();
        let exec = format!(
            "mine exec /usr/bin/ouzel --module mine={}\n",
            file.display()
        );
        assert_eq!(text.matches(&exec).count(), 2, "{text}");
        assert!(text.contains("01234567 cert=abc\n"), "{text}");
        assert!(!text.contains("Mind:"), "{text}");
    }

    #[test]
    fn it_says_what_to_mind() {
        let text = advice(Path::new("/a b/ouzel"), "plain", &[], &[]);
        // Where it lies, the space in its path, and what plain is.
        assert_eq!(text.matches("Mind:").count(), 3, "{text}");
    }
}
