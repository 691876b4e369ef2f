//! What a run has done so far, for a person.

use crate::watm::Outcome;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Connections and bytes.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) open: AtomicU64,
    ended: AtomicU64,
    pub(super) failed: AtomicU64,
    /// From the application, or from where a relay's connections come.
    from_inner: AtomicU64,
    from_outer: AtomicU64,
}

impl Counts {
    pub(super) fn add(&self, outcome: &Outcome) {
        let ended = if outcome.result.is_ok() {
            &self.ended
        } else {
            &self.failed
        };
        ended.fetch_add(1, Ordering::Relaxed);
        self.from_inner
            .fetch_add(outcome.from_inner, Ordering::Relaxed);
        self.from_outer
            .fetch_add(outcome.from_outer, Ordering::Relaxed);
    }

    /// One line, for a person.
    pub(super) fn tell(&self, since: Instant) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mib = |counter: &AtomicU64| count(counter) >> 20;
        tracing::info!(
            "in {}: {} connections ended well, {} failed, {} are open; {} MiB up, {} MiB down",
            humantime::format_duration(Duration::from_secs(since.elapsed().as_secs())),
            count(&self.ended),
            count(&self.failed),
            count(&self.open),
            mib(&self.from_inner),
            mib(&self.from_outer),
        );
    }
}
