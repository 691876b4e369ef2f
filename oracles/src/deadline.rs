//! Waiting, always with a limit and a name for what was waited for.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result};

/// Longer than anything a healthy, busy machine needs; only a failure takes all of it.
pub const SOON: Duration = Duration::from_secs(20);

/// What `future` gives, or an error that says what did not happen within `limit`.
pub async fn within<F: Future>(limit: Duration, what: &str, future: F) -> Result<F::Output> {
    let output = tokio::time::timeout(limit, future).await;
    output.with_context(|| format!("not within {limit:?}: {what}"))
}

/// [`within`] the usual limit.
pub async fn soon<F: Future>(what: &str, future: F) -> Result<F::Output> {
    within(SOON, what, future).await
}
