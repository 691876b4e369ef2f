//! The control pipe: one byte from the host that tells a worker to end.
//!
//! Guests never look at what comes: any byte, or its end, means "exit" (`watm_ctrlpipe_v1`). So there is
//! no pipe, only a flag that looks like one to the guest, and no descriptor is spent on it.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// The host's and the guest's end of one control pipe.
#[derive(Clone, Debug, Default)]
pub struct Control {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    read: bool,
    waiting: Option<Waker>,
}

impl Control {
    /// Tells the worker to end.
    pub fn stop(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.stopped = true;
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
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
