//! Waiting until one of a few connections is ready.
//!
//! In: up to `N` subscriptions, each with a token. Out: the tokens of those that are ready, each
//! with the error the host found at its fd, if any. Nothing is allocated.

use crate::conn::Conn;
use crate::errno::Errno;
use crate::raw::{self, Event, Subscription};

/// A set of up to `N` things to wait for, used for one wait.
pub struct Poll<const N: usize> {
    subscriptions: [Subscription; N],
    n: usize,
    events: [Event; N],
}

impl<const N: usize> Poll<N> {
    /// Waits for nothing yet.
    #[must_use]
    pub const fn new() -> Poll<N> {
        Poll {
            subscriptions: [Subscription::NONE; N],
            n: 0,
            events: [Event::NONE; N],
        }
    }

    /// Adds: `conn` has something to read, or its end was reached.
    pub fn readable(&mut self, token: u64, conn: Conn) {
        self.add(Subscription::read(token, conn.fd()));
    }

    /// Adds: `conn` has room. Ask only after a write was refused: level-triggered hosts answer
    /// at once, for ever.
    pub fn writable(&mut self, token: u64, conn: Conn) {
        self.add(Subscription::write(token, conn.fd()));
    }

    /// Adds: so many nanoseconds have passed.
    pub fn after(&mut self, token: u64, nanoseconds: u64) {
        self.add(Subscription::after(token, nanoseconds));
    }

    /// Waits, for ever if need be, and yields the token of what is ready. A host may wake up
    /// with nothing to say, as it does when a signal interrupts it.
    pub fn wait(&mut self) -> Result<impl Iterator<Item = Result<u64, Errno>> + '_, Errno> {
        let ready = match raw::poll_oneoff(&self.subscriptions, self.n, &mut self.events) {
            Err(Errno::INTR) => 0,
            other => other?,
        };
        Ok(self.events[..ready]
            .iter()
            .map(|event| match event.errno() {
                0 => Ok(event.userdata()),
                number => Err(Errno(number)),
            }))
    }

    /// # Panics
    /// When more than `N` are added: `N` is the caller's own count.
    fn add(&mut self, subscription: Subscription) {
        self.subscriptions[self.n] = subscription;
        self.n += 1;
    }
}
