//! The commands for people.

use std::time::Duration;

use crate::support::pt::Launch;

#[tokio::test]
async fn the_demo_fetches_a_page_and_a_file_through_a_bridge_of_its_own() {
    for transport in ["plain", "reverse"] {
        let mut demo = Launch::bare()
            .arg("demo")
            .arg("--transport")
            .arg(transport)
            .arg("--size")
            .arg("8")
            .start();
        let status = demo.ended_within(Duration::from_secs(60)).await;
        assert_eq!(status.code(), Some(0), "{}", demo.story());
        let told = demo.stdout.text();
        assert!(told.contains("SHA-256"), "{told}");
        for line in ["ClientTransportPlugin ", "ServerTransportPlugin "] {
            assert!(
                told.contains(&format!("{line}{transport} exec ")),
                "a line to use for real: {told}"
            );
        }
    }
}

#[tokio::test]
async fn the_demo_says_what_is_wrong_with_a_transport_that_is_not_there() {
    let mut demo = Launch::bare()
        .arg("demo")
        .arg("--transport")
        .arg("nosuch")
        .start();
    let status = demo.ended_within(Duration::from_secs(60)).await;
    assert!(status.code().is_some_and(|code| code != 0));
    assert!(demo.stderr.text().contains("nosuch"), "{}", demo.story());
}
