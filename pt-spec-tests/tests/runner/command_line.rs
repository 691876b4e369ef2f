//! Exit codes, expectation files, reports, and the end by a signal.

use std::fs;
use std::time::Duration;

use quick_xml::Reader;
use quick_xml::events::Event;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{interval, timeout};

use super::stand::{Ran, Stand};

/// A case that a script of one line keeps.
const KEPT: &str = "pt-3.2.1/version-missing";
/// And the script: it has no version to agree on and says so.
const KEEPS: &str = "echo ENV-ERROR no version; exit 1";
/// A script that does not.
const BREAKS: &str = "echo VERSION 1; exit 0";

/// `run` with a subject and more words.
async fn run(stand: &Stand, script: &str, words: &[&str]) -> Ran {
    let subject = stand.subject(script);
    let subject = subject.to_str().expect("paths here are UTF-8");
    let all = [&["run", "--pt", subject, "--transport", "x"], words].concat();
    let ran = stand.run(&all).await;
    stand.assert_clean();
    ran
}

fn expectation(stand: &Stand, id: &str) -> String {
    let text = format!("[deviations]\n\"{id}\" = \"it was ever thus\"\n");
    let path = stand.file("expectations.toml", &text);
    path.to_str().expect("paths here are UTF-8").to_owned()
}

#[tokio::test]
async fn zero_when_it_conforms() {
    let stand = Stand::new();
    let ran = run(&stand, KEEPS, &[KEPT]).await;
    ran.assert_code(0);
    assert!(
        ran.stderr.starts_with(&format!("pass  {KEPT}  ")),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.contains("MUST    1 pass"), "{}", ran.stdout);
}

#[tokio::test]
async fn one_when_it_does_not_with_all_that_was_seen() {
    let stand = Stand::new();
    let ran = run(&stand, BREAKS, &[KEPT]).await;
    ran.assert_code(1);
    let told = [
        KEPT,
        "MUST, requirement 5",
        "reference:",
        "our reading:",
        "seen:",
        "story:",
    ];
    for part in told {
        assert!(ran.stdout.contains(part), "no {part:?} in {}", ran.stdout);
    }
    assert!(ran.stdout.contains("stdout: VERSION 1"), "{}", ran.stdout);
}

#[tokio::test]
async fn two_when_asked_wrongly() {
    let stand = Stand::new();
    let asked: [(&[&str], &str); 9] = [
        (&["run", "--transport", "x"], "--pt"),
        (&["run", "--pt", "x"], "--transport"),
        (
            &["run", "--pt", "x", "--transport", "x", "versoin"],
            "did you mean 'version'",
        ),
        (
            &["run", "--pt", "x", "--transport", "x", "--args", "novalue"],
            "novalue",
        ),
        (
            &[
                "run",
                "--pt",
                "x",
                "--transport",
                "x",
                "--expect",
                "no.toml",
            ],
            "no.toml",
        ),
        (
            &[
                "run",
                "--pt",
                "x",
                "--transport",
                "x",
                "--junit",
                "no/j.xml",
            ],
            "there is no folder",
        ),
        (&["run", "--nonsense"], "--nonsense"),
        (
            &["explain", "pt-3.2.1/version-missin"],
            "did you mean 'pt-3.2.1/version-missing'",
        ),
        (&["results", "--out", "r.md"], "--expect"),
    ];
    for (words, complaint) in asked {
        let ran = stand.run(words).await;
        ran.assert_code(2);
        assert!(ran.stderr.contains(complaint), "{words:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{words:?}");
    }
    stand.assert_clean();
}

#[tokio::test]
async fn three_when_the_suite_could_not_find_out() {
    let stand = Stand::new();
    let subject = stand.subject(KEEPS);
    let subject = subject.to_str().expect("paths here are UTF-8");
    let words = ["run", "--pt", subject, "--transport", "x", KEPT];
    let ran = stand.run_without_temporary_folder(&words).await;
    ran.assert_code(3);
    assert!(
        ran.stdout.contains("the suite could not find out"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn a_signal_ends_the_run_and_everything_it_started() {
    for signal in [Signal::INT, Signal::TERM] {
        let stand = Stand::new();
        let subject = stand.subject("setsid $here/sleep 1000 & exec $here/sleep 1000");
        let subject = subject.to_str().expect("paths here are UTF-8");
        let runner = stand.start(&["run", "--pt", subject, "--transport", "x", "version"]);
        let running = async {
            let mut ticks = interval(Duration::from_millis(20));
            while !stand
                .processes()
                .iter()
                .any(|command| command.contains("sleep 1000"))
            {
                ticks.tick().await;
            }
        };
        timeout(Duration::from_secs(30), running)
            .await
            .expect("the subject is started");
        let id = runner
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        kill_process(id.expect("the runner runs"), signal).expect("it can be signalled");
        let ran = Stand::end(runner).await;
        ran.assert_code(130);
        stand.assert_clean();
    }
}

#[tokio::test]
async fn an_expected_deviation_passes_with_its_reason() {
    let stand = Stand::new();
    let file = expectation(&stand, KEPT);
    let ran = run(&stand, BREAKS, &["--expect", &file, KEPT]).await;
    ran.assert_code(0);
    assert!(ran.stdout.contains("it was ever thus"), "{}", ran.stdout);
    assert!(
        ran.stderr.starts_with(&format!("expected  {KEPT}  ")),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn a_stale_expectation_fails() {
    let stand = Stand::new();
    let file = expectation(&stand, KEPT);
    let ran = run(&stand, KEEPS, &["--expect", &file, KEPT]).await;
    ran.assert_code(1);
    let sentence = format!("now passes: remove it from {file}");
    assert!(ran.stdout.contains(&sentence), "{}", ran.stdout);
}

#[tokio::test]
async fn a_stale_expectation_of_a_case_that_was_not_selected_does_not_matter() {
    let stand = Stand::new();
    let file = expectation(&stand, "pt-3.2.1/version-list");
    run(&stand, KEEPS, &["--expect", &file, KEPT])
        .await
        .assert_code(0);
}

#[tokio::test]
async fn an_expectation_that_is_not_applicable_is_stale() {
    let stand = Stand::new();
    let listed = stand.run(&["list", "--json"]).await.json();
    let rows = listed.as_array().expect("an array");
    let of_a_server = rows
        .iter()
        .find(|row| row["side"] == "server" && row["check"] == "run");
    let id = of_a_server.expect("some case needs a server")["id"]
        .as_str()
        .expect("an id");
    let file = expectation(&stand, id);
    let ran = run(&stand, KEEPS, &["--only", "client", "--expect", &file, id]).await;
    ran.assert_code(1);
    assert!(ran.stdout.contains("is not applicable"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_misspelt_id_in_an_expectation_file_is_told_with_its_line() {
    let stand = Stand::new();
    let file = expectation(&stand, "pt-3.2.1/version-mising");
    let ran = run(&stand, KEEPS, &["--expect", &file, KEPT]).await;
    ran.assert_code(2);
    for part in ["line 2", "did you mean 'pt-3.2.1/version-missing'?", &file] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn an_expectation_file_is_enough_to_run() {
    let stand = Stand::new();
    stand.subject(KEEPS);
    let text = "[subject]\nname = \"A script\"\npt = \"./subject -x\"\ntransport = \"x\"\n\
                version-command = [\"./subject\"]\n";
    stand.file("all.toml", text);
    let ran = stand
        .run(&["run", "--expect", "all.toml", "--json", KEPT])
        .await;
    ran.assert_code(0);
    let document = ran.json();
    assert_eq!(document["subject"]["name"], "A script");
    assert_eq!(document["subject"]["args"], serde_json::json!(["-x"]));
    assert_eq!(document["version"], "ENV-ERROR no version");
    stand.assert_clean();
}

#[tokio::test]
async fn json_says_what_the_readme_promises() {
    let stand = Stand::new();
    let document = run(&stand, BREAKS, &["--json", "version"]).await.json();
    assert_eq!(document["schema"], 1);
    assert!(
        document["date"]
            .as_str()
            .is_some_and(|date| date.ends_with('Z'))
    );
    let cases = document["cases"].as_array().expect("an array");
    let case = cases
        .iter()
        .find(|case| case["id"] == KEPT)
        .expect("the case was run");
    for (key, value) in [
        ("level", "MUST"),
        ("section", "version"),
        ("verdict", "deviation"),
    ] {
        assert_eq!(case[key], value);
    }
    assert_eq!(case["line"], 5);
    assert!(case["seconds"].is_f64() && case["reason"] == "");
    let counts = document["counts"].as_object().expect("an object");
    let sum: u64 = counts
        .values()
        .flat_map(|level| level.as_object().expect("an object").values())
        .filter_map(serde_json::Value::as_u64)
        .sum();
    assert_eq!(usize::try_from(sum), Ok(cases.len()));
}

#[tokio::test]
async fn junit_is_well_formed_whatever_the_subject_writes() {
    let stand = Stand::new();
    let script = r#"printf 'VERSION \033[2J\001]]>&<a b="c">\377\n'; exit 0"#;
    let file = stand.path("junit.xml");
    let words = ["--junit", file.to_str().expect("UTF-8"), "version"];
    run(&stand, script, &words).await.assert_code(1);
    let text = fs::read_to_string(&file).expect("the file was written");
    let mut reader = Reader::from_str(&text);
    let (mut cases, mut failures) = (0, 0);
    loop {
        match reader
            .read_event()
            .unwrap_or_else(|error| panic!("{error}: {text}"))
        {
            Event::Eof => break,
            Event::Start(element) | Event::Empty(element) => {
                cases += u32::from(element.name().as_ref() == "testcase");
                failures += u32::from(element.name().as_ref() == "failure");
            }
            _ => {}
        }
    }
    assert!(cases > 0 && failures > 0, "{text}");
    let totals = format!("tests=\"{cases}\" failures=\"{failures}\"");
    assert!(text.contains(&totals), "{text}");
    let allowed = |char: char| char == '\n' || !char.is_control();
    assert!(text.chars().all(allowed), "control characters in {text:?}");
}

#[tokio::test]
async fn the_list_has_every_case_and_explain_shows_one() {
    let stand = Stand::new();
    let listed = stand.run(&["list"]).await;
    listed.assert_code(0);
    let json = stand.run(&["list", "--json"]).await.json();
    let rows = json.as_array().expect("an array");
    for row in rows {
        let id = row["id"].as_str().expect("an id");
        assert!(
            listed.stdout.contains(&format!("  {id} ")),
            "{id} is not listed"
        );
    }
    assert!(
        listed.stdout.contains(&format!("{} cases: ", rows.len())),
        "no count"
    );
    let explained = stand.run(&["explain", KEPT]).await;
    explained.assert_code(0);
    for part in [
        "requirement 5",
        "MUST:",
        "reference:",
        "our reading:",
        "needs:",
        "at most 30 s",
    ] {
        assert!(
            explained.stdout.contains(part),
            "no {part:?} in {}",
            explained.stdout
        );
    }
    stand.assert_clean();
}
