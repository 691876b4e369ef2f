//! tor over every line, and what it makes of the arguments that a bridge announces.

use oracles::replay::{Judged, judge};
use oracles::tor::Ground;
use oracles::transcript::Transcript;

use crate::{assert_none, transcripts};

/// What tor takes on a bridge line in all (`MAX_SOCKS5_AUTH_SIZE_TOTAL`).
const MOST_ARGUMENTS: usize = 510;

#[tokio::test]
async fn tor_takes_every_line_for_what_it_is() {
    let judged = judge(transcripts().await).await.unwrap();
    assert_none(&judged.refusals);
    let good = assert_announced(&judged);
    assert!(good > 0, "nothing was announced");
}

/// Arguments that need no escape, and are not more than SOCKS carries, are on the bridge line as they were meant, and
/// a client's tor takes the line.
fn assert_announced(judged: &Judged) -> usize {
    let mut good = 0;
    for announced in &judged.announced {
        let said: Vec<String> = announced
            .args
            .iter()
            .map(|(key, value)| format!(" {key}={value}"))
            .collect();
        let said = said.concat();
        if !said.is_empty()
            && said.len() <= MOST_ARGUMENTS
            && announced
                .args
                .iter()
                .all(|(key, value)| !format!("{key}{value}").contains(['\\', '=', ',']))
        {
            let line = &announced.bridge_line;
            assert!(line.ends_with(&said), "{line} does not end in {said}");
            good += 1;
        }
    }
    good
}

#[tokio::test]
async fn a_bridge_line_of_every_transport_is_one_that_a_client_takes() {
    let judged = judge(&[Transcript::new(
        "announcing",
        &[
            "VERSION 1",
            "SMETHOD plain 127.0.0.1:1",
            "SMETHOD one 127.0.0.1:2 ARGS:key=k1",
            "SMETHOD two 127.0.0.1:3 ARGS:cert=abc/+,iat-mode=0",
            "SMETHODS DONE",
        ],
    )])
    .await
    .unwrap();
    assert_none(&judged.refusals);
    assert_eq!(judged.announced.len(), 3);
    let folder = tempfile::tempdir().unwrap();
    let ground = Ground::new(folder.path()).unwrap();
    let mut torrc = "UseBridges 1\n".to_owned();
    for announced in &judged.announced {
        let line = &announced.bridge_line;
        let method = line.split(' ').nth(1).unwrap();
        torrc.push_str(&format!(
            "{line}\nClientTransportPlugin {method} exec /bin/true\n"
        ));
    }
    ground.verify(&torrc).await.unwrap().unwrap();
}

/// pt-spec 3.3.3 wants escapes that tor never undoes: an announced value does best without `,`, `=` and `\`.
#[tokio::test]
async fn tor_leaves_the_escapes_of_announced_arguments_in_the_bridge_line() {
    let judged = judge(&[Transcript::new(
        "announcing",
        &[
            "VERSION 1",
            r"SMETHOD one 127.0.0.1:1 ARGS:cert=ab\=\=",
            r"SMETHOD two 127.0.0.1:2 ARGS:cert=a\,b",
            "SMETHODS DONE",
        ],
    )])
    .await
    .unwrap();
    assert_none(&judged.refusals);
    let ends = [r" cert=ab\=\=", r" cert=a\ b"];
    for (announced, end) in judged.announced.iter().zip(ends) {
        assert!(announced.bridge_line.ends_with(end), "{announced:?}");
    }
    assert_eq!(judged.announced.len(), ends.len());
}
