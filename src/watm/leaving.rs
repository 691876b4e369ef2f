//! Noticing that nobody is left for whom a guest works.
//!
//! In: a guest that waits for something. Out: the control byte, when both its far ends are over and it has moved nothing
//! since; in a handshake, an end to it when the application has left. A connection whose application has ended is
//! half-closed, as long as something still comes for it: somebody at the network's end who keeps silent and stays would
//! otherwise hold a slot for ever. Nothing here sets a timer while both ends are there, so an idle connection is not woken.

use super::guest::Guest;
use super::stream::Far;
use crate::error::Failure;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// How long a guest may move nothing when both far ends have sent their last: one that paces what it sends moves something
/// more often.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing may come for an application that has sent its last: most are gone, and it cannot be seen.
const HALF_CLOSED: Duration = Duration::from_secs(60);
/// How often bytes that nobody reads are looked behind.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What is waited for when an end is not simply there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Nobody is there; so many bytes had moved.
    Alone(u64),
    /// The application has ended; so many bytes had moved.
    HalfClosed(u64),
    /// Nobody is there, and nobody would take anything.
    Gone,
    /// It cannot be seen.
    Hidden,
}

/// A timer, while one is needed.
#[derive(Default)]
pub(super) struct Leaving {
    wait: Option<(Why, Pin<Box<Sleep>>)>,
}

impl Leaving {
    /// Whether so much time has passed for this reason.
    fn is_over(&mut self, why: Why, after: Duration, cx: &mut Context<'_>) -> bool {
        if self.wait.as_ref().is_none_or(|(of, _)| *of != why) {
            self.wait = Some((why, Box::pin(sleep(after))));
        }
        let (_, timer) = self.wait.as_mut().expect("it was just set");
        timer.as_mut().poll(cx).is_ready()
    }
}

impl Guest {
    /// To be asked wherever the guest waits: registers the task for what the guest may not be waiting for. An error ends
    /// the guest.
    pub(super) fn look_around(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        match self.ends {
            Some(ends) => self.look_for_ends(ends, cx),
            None => self.look_for_application(cx)?,
        }
        Ok(())
    }

    /// While the worker runs.
    fn look_for_ends(&mut self, ends: [usize; 2], cx: &mut Context<'_>) {
        // What is queued has a taker, or its stream will break.
        if self.streams.iter().any(|stream| stream.has_queued()) {
            return;
        }
        let (why, after) = match ends.map(|at| self.streams[at].look(cx)) {
            [Far::Ended | Far::Gone, Far::Present] => (Why::HalfClosed(self.moved()), HALF_CLOSED),
            [Far::Present, _] | [_, Far::Present] => {
                self.leaving.wait = None;
                return;
            }
            [Far::Gone, Far::Gone] => (Why::Gone, Duration::ZERO),
            [Far::Hidden, _] | [_, Far::Hidden] => (Why::Hidden, LOOK_AGAIN),
            _ => (Why::Alone(self.moved()), PATIENCE),
        };
        if !self.leaving.is_over(why, after, cx) {
            return;
        }
        if why == Why::Hidden {
            self.leaving.wait = None;
            cx.waker().wake_by_ref();
        } else {
            self.control.leave();
        }
    }

    /// Before: the application waits at the first stream, gated.
    fn look_for_application(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(inner) = self.streams.first_mut() else {
            return Ok(());
        };
        if !inner.is_gated() {
            return Ok(());
        }
        let left = match inner.look(cx) {
            Far::Gone => true,
            Far::Ended => inner.leaves_with_its_end(),
            Far::Present | Far::Hidden => false,
        };
        if left {
            return Err(Failure::Left);
        }
        Ok(())
    }
}
