//! The control pipe: one byte from the host that tells a worker to end, and what comes after it.
//!
//! Guests never look at what comes: any byte, or its end, means "exit" (`watm_ctrlpipe_v1`). So there is
//! no pipe, only a flag that looks like one to the guest, and no descriptor is spent on it. A guest that does
//! not end within [`GRACE`] is stopped.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What a worker that was told to end may take for it. Published ones leave at once; a transport that still has
/// something to say to its peer says it in a round trip or two.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// The host's and the guest's end of one control pipe.
#[derive(Clone, Debug, Default)]
pub struct Control {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    /// Whoever stopped it cut the connection off.
    cuts: bool,
    read: bool,
    /// The guest's and [`Control::overdue`]'s at once: both are polled by the session's task.
    waiting: Option<Waker>,
}

impl Control {
    /// Tells the worker to end, in the middle of its connection: what is queued is delivered, then both ends are reset,
    /// because a truncated stream must not look complete. One that has not ended after 5 s is stopped.
    pub fn stop(&self) {
        self.tell(true);
    }

    /// Tells the worker to end because nobody is left.
    pub(super) fn leave(&self) {
        self.tell(false);
    }

    /// Whether the connection was cut off.
    pub(super) fn has_cut(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.cuts
    }

    fn tell(&self, cuts: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.stopped = true;
        state.cuts |= cuts;
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
    }

    /// Waits until the worker was told to end and has had its time for that.
    pub(super) async fn overdue(&self) {
        poll_fn(|cx| self.poll_readable(cx)).await;
        tokio::time::sleep(GRACE).await;
    }

    /// Ready when the guest would read something.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.stopped {
            return Poll::Ready(());
        }
        if !state
            .waiting
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            state.waiting = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The EXIT byte (0) once, then the end.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<usize> {
        std::task::ready!(self.poll_readable(cx));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = !std::mem::replace(&mut state.read, true);
        match buf.first_mut() {
            Some(byte) if first => {
                *byte = 0;
                Poll::Ready(1)
            }
            _ => Poll::Ready(0),
        }
    }
}
