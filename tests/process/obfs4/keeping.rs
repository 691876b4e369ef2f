//! What a bridge keeps: its identity, in files that either program takes over from the other as they are.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::support::orport::OrPort;

use super::ends::{PROGRAMS, PROMPT, Program, cert, identity};

/// The names of both.
const STATE: &str = "obfs4_state.json";
const LINE: &str = "obfs4_bridgeline.txt";

/// A state directory that outlives its processes.
struct Kept(Arc<TempDir>);

impl Kept {
    fn new() -> Self {
        Kept(Arc::new(tempfile::tempdir().unwrap()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("pt_state").join(name)
    }

    fn text(&self, name: &str) -> String {
        let path = self.path(name);
        let text = fs::read_to_string(&path);
        text.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// With this state file.
    fn holding(text: &str) -> Self {
        let kept = Kept::new();
        fs::create_dir(kept.path("")).unwrap();
        fs::write(kept.path(STATE), text).unwrap();
        fs::set_permissions(kept.path(STATE), PermissionsExt::from_mode(0o600)).unwrap();
        kept
    }

    /// Starts a bridge on it, ends it, and gives what it announced.
    async fn announced(&self, program: Program, options: &str) -> String {
        let orport = OrPort::listen().await;
        let mut pt = program
            .fresh_bridge(orport.addr)
            .set("TOR_PT_SERVER_TRANSPORT_OPTIONS", options)
            .sharing_state(&self.0)
            .start();
        let args = pt.method("obfs4").await.args;
        pt.close_stdin();
        pt.exits(0).await;
        String::from_utf8(args).unwrap()
    }

    /// The same for one that does not start: its error line.
    async fn refused(&self, program: Program) -> String {
        let orport = OrPort::listen().await;
        let pt = program
            .fresh_bridge(orport.addr)
            .sharing_state(&self.0)
            .start();
        pt.says(&["SMETHOD-ERROR obfs4 "]).await
    }

    fn assert_private(&self) {
        for name in [STATE, LINE] {
            let mode = fs::metadata(self.path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}

#[tokio::test]
async fn an_identity_made_by_one_program_is_kept_by_the_other() {
    for maker in PROGRAMS {
        for heir in PROGRAMS {
            eprintln!("{maker:?}, then {heir:?}");
            let kept = Kept::new();
            let made = kept.announced(maker, "").await;
            assert!(made.ends_with(";iat-mode=0"), "{made}");
            let files = [STATE, LINE].map(|name| kept.text(name));
            assert!(files[1].contains(cert(made.as_bytes())), "{}", files[1]);
            kept.assert_private();
            for program in [heir, maker] {
                assert_eq!(kept.announced(program, "").await, made);
                assert_eq!([STATE, LINE].map(|name| kept.text(name)), files);
                kept.assert_private();
            }
        }
    }
}

#[tokio::test]
async fn two_bridges_do_not_share_an_identity() {
    for program in PROGRAMS {
        let one = Kept::new().announced(program, "").await;
        let other = Kept::new().announced(program, "").await;
        assert_ne!(one, other);
    }
}

/// Both programs leave the same bytes, whatever they were told.
#[tokio::test]
async fn options_are_kept_as_the_incumbent_keeps_them() {
    let given = identity(PROMPT);
    let mut left = Vec::new();
    for program in PROGRAMS {
        eprintln!("{program:?}");
        let kept = Kept::new();
        let mut seen = Vec::new();
        for options in [
            given.as_str(),
            "",
            "obfs4:iat-mode=2",
            "",
            "obfs4:iat-mode=+1",
            "obfs4:iat-mode=00",
            given.as_str(),
        ] {
            let announced = kept.announced(program, options).await;
            seen.push((announced, kept.text(STATE), kept.text(LINE)));
            kept.assert_private();
        }
        left.push(seen);
    }
    for seen in &left {
        assert!(seen[2].0.ends_with(";iat-mode=2") && seen[3].0.ends_with(";iat-mode=2"));
        assert_eq!(seen, &left[0]);
    }
}

/// Somebody who reads the old file while a new one is written reads the old one to its end.
#[tokio::test]
async fn the_state_file_is_replaced_in_one_step() {
    let kept = Kept::new();
    kept.announced(Program::Ouzel, "").await;
    for name in [STATE, LINE] {
        let before = kept.text(name);
        let mut old = fs::File::open(kept.path(name)).unwrap();
        let mode = if name == STATE { "1" } else { "2" };
        let options = format!("obfs4:iat-mode={mode}");
        kept.announced(Program::Ouzel, &options).await;
        let mut text = String::new();
        old.read_to_string(&mut text).unwrap();
        assert_eq!(text, before, "{name} was written over");
        assert_ne!(kept.text(name), before);
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Half an identity is none: the bridge does not start, says which file it is and what to do, and leaves it to the
/// operator.
#[tokio::test]
async fn a_state_file_that_makes_no_sense_is_left_alone() {
    let kept = Kept::new();
    kept.announced(PROGRAMS[0], "").await;
    let whole = kept.text(STATE);
    let bad = [
        String::new(),
        whole[..whole.len() / 2].to_owned(),
        format!("{whole}x"),
        whole.replace(':', ""),
        "{}".to_owned(),
        "[]".to_owned(),
        "not JSON\n".to_owned(),
        "\0".repeat(whole.len()),
        whole.replace("node-id", "node_id"),
        whole.replace("\"iat-mode\":0", "\"iat-mode\":5"),
        whole.replace("\"iat-mode\":0", "\"iat-mode\":\"0\""),
        whole.replace("\"drbg-seed\":\"", "\"drbg-seed\":\"zz"),
        whole.replacen("\"private-key\":\"", "\"private-key\":\"00", 1),
    ];
    for text in bad {
        assert_ne!(text, whole);
        for program in PROGRAMS {
            let kept = Kept::holding(&text);
            let line = kept.refused(program).await;
            assert_eq!(kept.text(STATE), text, "{program:?} touched it");
            if program == Program::Ouzel {
                let path = kept.path(STATE).display().to_string();
                assert!(line.contains(&path), "no path for {text:?}: {line}");
                assert!(line.contains("restore"), "no remedy for {text:?}: {line}");
                assert!(!kept.path(LINE).exists(), "a bridge line for {text:?}");
                let made: Vec<_> = names(&kept.path(""));
                assert!(
                    !made.iter().any(|name| name.starts_with(".obfs4")),
                    "{made:?}"
                );
            }
        }
    }
}
