//! arti's parser and tor itself read every line that ouzel can print, and every line that other tests have recorded.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests are the application, on loopback"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]

mod arti;
mod controls;
mod launch;
mod tor;

use oracles::transcript::{Transcript, recorded};
use oracles::{scenes, verdict::Refusal};
use tokio::sync::OnceCell;

/// Every transcript there is; the scenes are played once for all tests.
async fn transcripts() -> &'static [Transcript] {
    static ALL: OnceCell<Result<Vec<Transcript>, String>> = OnceCell::const_new();
    let all = ALL.get_or_init(|| async {
        let mut all = scenes::all().await.map_err(|error| format!("{error:#}"))?;
        all.extend(recorded().map_err(|error| format!("{error:#}"))?);
        Ok(all)
    });
    match all.await {
        Ok(all) => all,
        Err(error) => panic!("{error}"),
    }
}

fn assert_none(refusals: &[Refusal]) {
    let text: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    assert!(
        text.is_empty(),
        "{} refused:\n{}",
        text.len(),
        text.join("\n")
    );
}
