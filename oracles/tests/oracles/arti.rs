//! arti's parser over every line, and a look at whether the lines are all there.

use std::collections::BTreeSet;

use oracles::arti::judge;
use oracles::line::{Line, SEVERITIES};
use oracles::verdict::Refusal;

use crate::{assert_none, transcripts};

#[tokio::test]
async fn arti_takes_every_line_for_what_it_is() {
    let mut refusals = Vec::new();
    for transcript in transcripts().await {
        for line in &transcript.lines {
            if let Err(why) = judge(line) {
                refusals.push(Refusal {
                    transcript: transcript.name.clone(),
                    line: line.clone(),
                    why,
                });
            }
        }
    }
    assert_none(&refusals);
}

#[tokio::test]
async fn every_kind_of_line_was_provoked() {
    let all: Vec<Line> = transcripts()
        .await
        .iter()
        .flat_map(|transcript| transcript.read())
        .collect();
    let kinds: BTreeSet<&str> = all.iter().map(Line::kind).collect();
    let severities: BTreeSet<&str> = all
        .iter()
        .filter_map(|line| match line {
            Line::Log { severity, .. } => Some(severity.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(kinds.len(), 13, "{kinds:?}");
    assert_eq!(severities, BTreeSet::from(SEVERITIES));
    assert!(all.iter().any(|line| matches!(
        line,
        Line::Log { text, .. } if text.contains("log lines were dropped")
    )));
    assert!(all.iter().any(|line| matches!(
        line,
        Line::Smethod { args, .. } if args.len() > 1
    )));
}
