//! Waiting, always with a limit and a name for what was waited for.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Longer than anything a healthy, busy machine needs; only a failure takes all of it.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// What `future` gives, or a panic that says what did not happen.
pub(crate) async fn within<F: Future>(limit: Duration, what: &str, future: F) -> F::Output {
    match timeout(limit, future).await {
        Ok(output) => output,
        Err(_) => panic!("not within {limit:?}: {what}"),
    }
}

/// [`within`] the usual limit.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    within(SOON, what, future).await
}

/// Looks again and again until `probe` gives something: for what cannot be awaited (files, /proc). `None` at the
/// end of `limit`.
pub(crate) async fn eventually<T>(
    limit: Duration,
    mut probe: impl FnMut() -> Option<T>,
) -> Option<T> {
    let end = Instant::now() + limit;
    let mut ticks = interval(Duration::from_millis(25));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match probe() {
            None if Instant::now() < end => {}
            found => return found,
        }
    }
}

/// Asserts that `future` stays pending for `window`: the only way to see that nothing happens.
pub(crate) async fn stays_pending<F: Future>(window: Duration, what: &str, future: F) {
    assert!(timeout(window, future).await.is_err(), "{what}");
}
