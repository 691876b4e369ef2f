//! What modules print, as log lines: at debug only, few, and only told word for word if the operator says so.
//!
//! A module's words are its author's and its peers': they can hold addresses, keys or the bytes of a user in any form, and
//! no pattern finds them all. So without `--unsafe-logging` the log says that a module printed something, and no more.

use crate::log;
use crate::watm::Output;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::Level;

/// Lines of all modules together in a [`WINDOW`]: one that floods must not push other lines out of the log.
const LINES: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);

static RATE: Mutex<Rate> = Mutex::new(Rate {
    since: None,
    count: 0,
});

struct Rate {
    since: Option<Instant>,
    count: u32,
}

impl Rate {
    /// Whether a line may be told, and how many were not before it.
    fn admit(&mut self, now: Instant) -> Option<u32> {
        let mut missed = 0;
        if self
            .since
            .is_none_or(|since| now.duration_since(since) >= WINDOW)
        {
            missed = self.count.saturating_sub(LINES);
            *self = Rate {
                since: Some(now),
                count: 0,
            };
        }
        self.count = self.count.saturating_add(1);
        (self.count <= LINES).then_some(missed)
    }
}

#[derive(Debug)]
struct Lines {
    transport: String,
}

/// Where the prints of a transport's modules go; nowhere unless the log is at debug.
pub(super) fn of(transport: &str) -> Option<Arc<dyn Output>> {
    let transport = transport.to_owned();
    tracing::enabled!(Level::TRACE).then(|| Arc::new(Lines { transport }) as _)
}

impl Output for Lines {
    fn line(&self, text: &str) {
        let name = &self.transport;
        if !log::tells_all() {
            tracing::trace!("{name}: its module printed something; --unsafe-logging shows what");
            return;
        }
        let admitted = RATE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .admit(Instant::now());
        match admitted {
            None => return,
            Some(0) => {}
            Some(missed) => tracing::trace!("{missed} lines that modules printed were left out"),
        }
        tracing::trace!("{name}: its module says: {text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_off_and_counted() {
        let mut rate = Rate {
            since: None,
            count: 0,
        };
        let start = Instant::now();
        let told = (0..1000).filter(|_| rate.admit(start).is_some()).count();
        assert_eq!(told, LINES as usize);
        assert_eq!(rate.admit(start + WINDOW), Some(1000 - LINES));
        assert_eq!(rate.admit(start + WINDOW), Some(0));
    }
}
