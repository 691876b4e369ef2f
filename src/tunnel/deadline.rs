//! When a handshake has to be done.
//!
//! In: what the transport grants its handshake and what connecting may take. Out: the result of a step, or
//! [`Failure::HandshakeTimeout`]. A step that connects has its handshake's time from the moment that it is connected:
//! when a client gives up is for all the network to see, and must not tell what connecting might have taken.

use crate::error::Failure;
use std::future::Future;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The latest moment for the steps of one connection.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    handshake: Duration,
}

impl Deadline {
    /// Counted from now.
    pub(super) fn after(handshake: Duration, dialling: Duration) -> Self {
        Deadline {
            at: Instant::now() + dialling + handshake,
            handshake,
        }
    }

    /// Holds a step to it.
    pub(super) async fn hold<T>(
        self,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let held = timeout_at(self.at, step).await;
        held.unwrap_or_else(|_| Err(self.missed()))
    }

    /// Holds a step to it that tells when it is `connected`.
    pub(super) async fn hold_connecting<T>(
        self,
        connected: &Notify,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let late = async {
            if timeout_at(self.at, connected.notified()).await.is_ok() {
                sleep_until(self.at.min(Instant::now() + self.handshake)).await;
            }
        };
        tokio::select! {
            biased;
            done = step => done,
            // Whichever is dropped, the connection ends with it.
            () = late => Err(self.missed()),
        }
    }

    fn missed(self) -> Failure {
        Failure::HandshakeTimeout(self.handshake.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const HANDSHAKE: Duration = Duration::from_millis(200);
    /// Longer than any test waits, or next to nothing.
    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(50);

    /// How long a step that connects or not, and then does nothing more, is waited for.
    async fn waited(dialling: Duration, connects: bool) -> Duration {
        let start = Instant::now();
        let connected = Notify::new();
        let step = async {
            if connects {
                connected.notify_one();
            }
            pending::<Result<(), Failure>>().await
        };
        let deadline = Deadline::after(HANDSHAKE, dialling);
        let held = deadline.hold_connecting(&connected, step).await;
        assert!(matches!(held, Err(Failure::HandshakeTimeout(0))));
        start.elapsed()
    }

    #[tokio::test]
    async fn counts_from_the_connection_where_there_is_one() {
        let connected = waited(LONG, true).await;
        assert!((HANDSHAKE..LONG).contains(&connected), "{connected:?}");
        assert!(waited(SHORT, false).await >= HANDSHAKE + SHORT);
    }

    #[tokio::test]
    async fn a_step_that_is_done_in_time_gives_what_it_has() {
        let deadline = Deadline::after(LONG, LONG);
        let connected = Notify::new();
        connected.notify_one();
        let held = deadline.hold_connecting(&connected, async { Ok(7) }).await;
        assert!(matches!(held, Ok(7)));
        assert!(matches!(deadline.hold(async { Ok(7) }).await, Ok(7)));
    }
}
