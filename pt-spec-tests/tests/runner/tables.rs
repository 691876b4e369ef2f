//! The table of results: written, found true, found false. The subject cannot be started, so every case deviates at
//! once, and a list of all cases makes every deviation an expected one.

use std::fs;

use super::stand::Stand;

const WRITE: [&str; 5] = ["results", "--expect", "all.toml", "--out", "RESULTS.md"];
const CHECK: [&str; 6] = [
    "results",
    "--check",
    "--expect",
    "all.toml",
    "--out",
    "RESULTS.md",
];

/// An expectation file that explains every case but the last `unexplained` ones.
async fn expectations(stand: &Stand, unexplained: usize) {
    let listed = stand.run(&["list", "--json"]).await.json();
    let ids: Vec<&str> = listed
        .as_array()
        .expect("an array")
        .iter()
        .filter(|row| row["check"] == "run")
        .map(|row| row["id"].as_str().expect("an id"))
        .collect();
    let mut text =
        "[subject]\nname = \"A | B\"\npt = \"./nothing\"\ntransport = \"x\"\n[deviations]\n"
            .to_owned();
    for id in &ids[..ids.len() - unexplained] {
        text.push_str(&format!("\"{id}\" = \"there is nothing at all\"\n"));
    }
    stand.file("all.toml", &text);
}

#[tokio::test]
async fn a_table_that_was_just_written_is_true() {
    let stand = Stand::new();
    expectations(&stand, 0).await;
    let written = stand.run(&WRITE).await;
    written.assert_code(0);
    let table = fs::read_to_string(stand.path("RESULTS.md")).expect("the table was written");
    assert!(table.contains("A \\| B"), "{table}");
    assert!(table.contains("deviation [^1]"), "{table}");
    assert!(table.contains("there is nothing at all"), "{table}");
    stand.run(&CHECK).await.assert_code(0);
    let after = fs::read_to_string(stand.path("RESULTS.md")).expect("the table is there");
    assert_eq!(table, after, "--check writes nothing");
    stand.assert_clean();
}

#[tokio::test]
async fn another_date_or_version_is_no_lie_and_another_verdict_is() {
    let stand = Stand::new();
    expectations(&stand, 0).await;
    stand.run(&WRITE).await.assert_code(0);
    let table = fs::read_to_string(stand.path("RESULTS.md")).expect("the table was written");
    stand.file("RESULTS.md", &table.replace("| unknown |", "| 1.2.3 |"));
    stand.run(&CHECK).await.assert_code(0);
    stand.file("RESULTS.md", &table.replacen("deviation [^1]", "pass", 1));
    let lie = stand.run(&CHECK).await;
    lie.assert_code(1);
    assert!(
        lie.stderr.contains("does not say what was seen"),
        "{}",
        lie.stderr
    );
}

#[tokio::test]
async fn a_deviation_without_a_reason_fails_even_if_it_is_in_the_table() {
    let stand = Stand::new();
    expectations(&stand, 1).await;
    stand.run(&WRITE).await.assert_code(1);
    let table = fs::read_to_string(stand.path("RESULTS.md")).expect("the table was written");
    assert!(table.contains("**deviation**"), "{table}");
    stand.run(&CHECK).await.assert_code(1);
}

#[tokio::test]
async fn without_a_table_there_is_nothing_to_check() {
    let stand = Stand::new();
    expectations(&stand, 0).await;
    stand.run(&CHECK).await.assert_code(2);
}
