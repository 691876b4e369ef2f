//! Executables that are no pluggable transports at all, each bad in its own way.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::stand::Stand;

/// A small section: its cases start the executable many times.
const SECTION: &str = "version";

/// Every wait of the section's cases is shorter, so with all of them side by side a run is.
const LONGEST_RUN: Duration = Duration::from_secs(60);

const VERDICTS: [&str; 8] = [
    "pass",
    "deviation",
    "expected",
    "stale",
    "not-applicable",
    "interface-3",
    "outside",
    "error",
];

/// Runs the section on a subject: it must end in time, with a verdict for every case, and leave nothing.
async fn judged(stand: &Stand, subject: &Path) -> serde_json::Value {
    let subject = subject.to_str().expect("paths here are UTF-8");
    let ran = stand
        .run(&[
            "run",
            "--pt",
            subject,
            "--transport",
            "x",
            "--json",
            SECTION,
        ])
        .await;
    ran.assert_code(1);
    stand.assert_clean();
    assert!(ran.took < LONGEST_RUN, "took {:?}", ran.took);
    let document = ran.json();
    assert_eq!(document["exit_code"], 1);

    let listed = stand.run(&["list", "--json", SECTION]).await.json();
    let ids = |rows: &serde_json::Value| -> BTreeSet<String> {
        let rows = rows.as_array().expect("an array");
        rows.iter()
            .map(|row| row["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    assert_eq!(
        ids(&document["cases"]),
        ids(&listed),
        "every case has one verdict"
    );
    for case in document["cases"].as_array().expect("an array") {
        let verdict = case["verdict"].as_str().expect("a word");
        assert!(VERDICTS.contains(&verdict), "{case}");
        assert_ne!(verdict, "error", "the suite blames itself: {case}");
        let silent = case["evidence"].as_str().is_none_or(str::is_empty);
        assert!(
            verdict != "deviation" || !silent,
            "a deviation without evidence: {case}"
        );
    }
    document
}

async fn script(script: &str) -> serde_json::Value {
    let stand = Stand::new();
    let subject = stand.subject(script);
    judged(&stand, &subject).await
}

fn every_run_case_deviates(document: &serde_json::Value) -> bool {
    let cases = document["cases"].as_array().expect("an array");
    // A case may find that it does not concern the subject before it starts it.
    let run = |verdict: &str| !matches!(verdict, "interface-3" | "outside" | "not-applicable");
    cases
        .iter()
        .filter_map(|case| case["verdict"].as_str())
        .filter(|verdict| run(verdict))
        .all(|verdict| verdict == "deviation")
}

#[tokio::test]
async fn one_that_does_not_exist() {
    let stand = Stand::new();
    let document = judged(&stand, &stand.path("nothing")).await;
    assert!(every_run_case_deviates(&document), "{document:#}");
    assert!(document.to_string().contains("cannot be started"));
}

#[tokio::test]
async fn one_that_is_not_executable() {
    let stand = Stand::new();
    let subject = stand.file("subject", "#!/bin/sh\n");
    let document = judged(&stand, &subject).await;
    assert!(every_run_case_deviates(&document), "{document:#}");
}

#[tokio::test]
async fn one_that_is_a_folder() {
    let stand = Stand::new();
    fs::create_dir(stand.path("subject")).expect("a folder");
    let document = judged(&stand, &stand.path("subject")).await;
    assert!(every_run_case_deviates(&document), "{document:#}");
}

#[tokio::test]
async fn one_whose_interpreter_is_missing() {
    let stand = Stand::new();
    let subject = stand.subject("exit 0");
    fs::write(&subject, "#!/nonexistent/interpreter\n").expect("a file");
    let document = judged(&stand, &subject).await;
    assert!(every_run_case_deviates(&document), "{document:#}");
}

#[tokio::test]
async fn one_that_prints_garbage_without_a_line_feed() {
    script(r"printf '\377\376\000\033[2J VERSION 1'; exec $here/sleep 1000").await;
}

#[tokio::test]
async fn one_that_prints_garbage_and_ends() {
    script(r"printf '\377\376\000\n\n\r\nCMETHOD\nVERSION \nSMETHOD x y z\nCMETHODS'").await;
}

#[tokio::test]
async fn one_that_hangs_silently() {
    script("exec $here/sleep 1000").await;
}

#[tokio::test]
async fn one_that_hangs_after_its_first_line() {
    script("echo VERSION 1; exec $here/sleep 1000").await;
}

#[tokio::test]
async fn one_that_floods_stdout() {
    script("exec yes $here").await;
}

#[tokio::test]
async fn one_that_floods_stdout_without_a_line_feed() {
    script("exec cat /dev/zero").await;
}

#[tokio::test]
async fn one_that_floods_stderr() {
    script("exec yes $here >&2").await;
}

#[tokio::test]
async fn one_whose_daemon_outlives_it() {
    script("setsid $here/sleep 1000 & echo VERSION 1").await;
}

#[tokio::test]
async fn one_whose_daemon_holds_no_pipe() {
    script("setsid $here/sleep 1000 <&- >&- 2>&- & echo VERSION 1").await;
}

#[tokio::test]
async fn one_whose_daemon_has_no_environment() {
    let document = script("env -i setsid setsid $here/sleep 1000 & echo VERSION 1").await;
    let cases = document["cases"].as_array().expect("an array");
    let told = cases
        .iter()
        .filter(|case| case["leftovers"].to_string().contains("sleep"));
    assert!(told.count() > 5, "its cases name the daemon: {document:#}");
}

#[tokio::test]
async fn one_that_locks_its_folders() {
    script("mkdir -p $HOME/a/b; chmod 0 $HOME/a $HOME; exec $here/sleep 1000").await;
}

#[tokio::test]
async fn one_that_ends_without_a_word() {
    let document = script("exit 0").await;
    assert!(!document.to_string().contains("conforms"), "{document:#}");
}

#[tokio::test]
async fn one_that_dies_of_sigsegv() {
    script("echo VERSION 1; kill -SEGV $$").await;
}

#[tokio::test]
async fn one_that_dies_of_sigabrt() {
    let stand = Stand::new();
    let subject = stand.subject("echo VERSION 1; kill -ABRT $$");
    judged(&stand, &subject).await;
    let cores = fs::read_dir(stand.path(""))
        .expect("the folder is there")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.contains("core"));
    assert_eq!(cores.count(), 0, "a core file was written");
}

#[tokio::test]
async fn one_that_ignores_signals() {
    script("trap '' TERM INT HUP PIPE; while :; do $here/sleep 1000; done").await;
}

#[tokio::test]
async fn one_that_closes_its_stdout_and_keeps_running() {
    script("exec >&-; exec $here/sleep 1000").await;
}

#[tokio::test]
async fn one_that_closes_everything_and_keeps_running() {
    script("exec <&- >&- 2>&-; exec $here/sleep 1000").await;
}

#[tokio::test]
async fn one_that_stops_itself() {
    script("echo VERSION 1; kill -STOP $$").await;
}

#[tokio::test]
async fn one_that_starts_many() {
    script("for n in 1 2 3 4 5 6 7 8; do setsid $here/sleep 1000 & done; echo VERSION 1; wait")
        .await;
}
