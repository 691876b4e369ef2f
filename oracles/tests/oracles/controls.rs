//! Lines that ouzel must never print, and a few that it may: do the judges bite, and where do they differ?

use oracles::line::Line;
use oracles::transcript::Transcript;
use oracles::{arti, replay};

/// Who refuses a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Nobody,
    Both,
    Arti,
    Tor,
}

/// Method names differ, since one tor reads them all.
const LINES: &[(&str, By)] = &[
    ("CMETHOD a0 socks5 [::1]:1", By::Nobody),
    (r"SMETHOD b0 [::]:1 ARGS:a\,b\=c\\d=\=", By::Nobody),
    // Older versions of arti fail on it without TRANSPORT=.
    ("STATUS TYPE=version IMPLEMENTATION=x VERSION=1", By::Nobody),
    ("HELLO", By::Both),
    (r#"LOG SEVERITY=warn MESSAGE="x""#, By::Both),
    ("LOG WARN x", By::Both),
    ("LOG SEVERITY=notice MESSAGE=two words", By::Both),
    (r#"LOG MESSAGE="x" SEVERITY=info"#, By::Arti),
    ("STATUS x", By::Both),
    ("CMETHOD a1 socks5 localhost:1", By::Both),
    ("CMETHOD a-2 socks5 127.0.0.1:1", By::Both),
    ("CMETHOD a3 socks5", By::Both),
    ("CMETHODS ALMOST", By::Both),
    // goptlib writes octal escapes, and tor reads them.
    (r#"LOG SEVERITY=info MESSAGE="caf\303\251""#, By::Arti),
    (r#"LOG SEVERITY=info MESSAGE="caf\xc3\xa9""#, By::Arti),
    (r#"LOG SEVERITY=info MESSAGE="cut\000off""#, By::Both),
    ("CMETHOD  a4 socks5 127.0.0.1:1", By::Arti),
    ("CMETHOD a5 socks5 192.0.2.1:1", By::Arti),
    // arti leaves these to the rest of the conversation, which it judges when it is the parent.
    ("CMETHOD a6 transparent-TCP 127.0.0.1:1", By::Tor),
    ("CMETHOD a7 socks5 127.0.0.1:0", By::Tor),
    ("VERSION 1.0", By::Tor),
    ("PROXY DONE", By::Tor),
    ("SMETHOD b1 nowhere", By::Both),
    ("SMETHOD b2 127.0.0.1:1 ARGS:cert=ab==", By::Arti),
    ("SMETHOD b3 127.0.0.1:1 ARGS:cert", By::Arti),
];

/// The line in a conversation of its own, in its place.
fn conversation(line: &str) -> Transcript {
    let side = if line.starts_with("SMETHOD") {
        'S'
    } else {
        'C'
    };
    let mut lines = vec!["VERSION 1".to_owned()];
    if line.starts_with("VERSION") {
        lines.clear();
    }
    lines.push(line.to_owned());
    lines.push(format!("{side}METHODS DONE"));
    Transcript {
        name: line.to_owned(),
        lines,
    }
}

#[test]
fn arti_refuses_what_it_should() {
    for (line, refused) in LINES {
        // Only what arti's own parser says: whether it reads the line at all, and as one of the contract's.
        let accepted = arti::reads(line);
        let expected = matches!(refused, By::Nobody | By::Tor);
        assert_eq!(accepted.is_ok(), expected, "{line}: {accepted:?}");
    }
}

#[tokio::test]
async fn tor_refuses_what_it_should() {
    let transcripts: Vec<Transcript> = LINES.iter().map(|(line, _)| conversation(line)).collect();
    // Those with PROXY DONE in them go to a tor that has a proxy: this one must go to one that has none.
    let (unasked, others): (Vec<_>, Vec<_>) = transcripts
        .into_iter()
        .partition(|transcript| transcript.is_proxied());
    let mut refusals = replay::judge(&others).await.unwrap().refusals;
    refusals.extend(replay::judge_unasked(&unasked).await.unwrap().refusals);
    for (line, refused) in LINES {
        let found = refusals
            .iter()
            .find(|refusal| refusal.transcript == *line && renamed(line, &refusal.line));
        let expected = matches!(refused, By::Nobody | By::Arti);
        assert_eq!(found.is_none(), expected, "{line}: {found:?}");
    }
}

/// Whether it is this line, but for the suffix of the method's name.
fn renamed(line: &str, judged: &str) -> bool {
    let Ok(read) = Line::read(line) else {
        return line == judged;
    };
    match read.transport() {
        None => line == judged,
        Some(name) => judged.starts_with(line.split_once(name).map_or(line, |(start, _)| start)),
    }
}
