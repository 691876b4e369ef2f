//! One case from its fresh bench to its clean end: the limit, the panic, the killing of what is left.
//!
//! In: a subject and a case's function. Out: what was seen, always; in a form that is safe to show.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Observation, Observed};
use crate::bench::{Bench, Closing};
use crate::case::Run;
use crate::ledger::Entry;
use crate::subject::Subject;
use crate::verdict::{Failure, Verdict};

/// How long ending a case's processes may take; killing does not wait for anyone, so only a broken machine takes it.
const CLOSING: Duration = Duration::from_secs(15);

/// Runs a case and ends what it started.
pub(super) async fn observe(subject: Rc<Subject>, entry: Entry, run: Run) -> Observed {
    let started = Instant::now();
    let (observation, closing) = match Bench::new(subject) {
        Err(failure) => (observation(Err(failure)), Closing::default()),
        Ok(bench) => {
            let seen = within_limit(entry.case.limit, run(&bench)).await;
            // Told before the processes end, while the bench is there.
            let story = bench.story();
            match timeout(CLOSING, bench.close()).await {
                Ok(closing) => (seen, closing),
                Err(_) => (
                    Observation::Error(format!("its processes did not end within {CLOSING:?}")),
                    Closing {
                        story,
                        leftovers: Vec::new(),
                    },
                ),
            }
        }
    };
    Observed {
        entry,
        observation,
        story: printable(&closing.story),
        leftovers: closing
            .leftovers
            .iter()
            .map(|what| printable(what))
            .collect(),
        took: started.elapsed(),
    }
}

async fn within_limit(
    limit: Duration,
    mut case: Pin<Box<dyn Future<Output = Verdict> + '_>>,
) -> Observation {
    // Caught here, and not where the task is joined, so that the bench can still tell what happened on it.
    let caught =
        poll_fn(
            |context| match catch_unwind(AssertUnwindSafe(|| case.as_mut().poll(context))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(verdict)) => Poll::Ready(verdict),
                Err(panic) => Poll::Ready(Err(Failure::Instrument(format!(
                    "the case panicked: {}",
                    words(&*panic)
                )))),
            },
        );
    match timeout(limit, caught).await {
        Ok(verdict) => observation(verdict),
        Err(_) => Observation::Deviation(format!("did not end within {} s", limit.as_secs_f64())),
    }
}

fn observation(verdict: Verdict) -> Observation {
    match verdict {
        Ok(()) => Observation::Pass,
        Err(Failure::Deviation(text)) => Observation::Deviation(printable(&text)),
        Err(Failure::NotApplicable(text)) => Observation::NotApplicable(printable(&text)),
        Err(Failure::Instrument(text)) => Observation::Error(printable(&text)),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

/// The text with everything escaped that could move a terminal's cursor, break an XML file or hide from a reader: what
/// an executable writes may be anything.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | '\'' | '"' | '\\' => out.push(char),
            _ => out.extend(char.escape_debug()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_a_cursor_is_escaped_and_words_are_not() {
        assert_eq!(printable("a \"b\" 'c' \\ é\n"), "a \"b\" 'c' \\ é\n");
        assert_eq!(printable("\u{1b}[2J\r\0"), "\\u{1b}[2J\\r\\0");
        assert_eq!(printable("\u{202e}\u{ffff}"), "\\u{202e}\\u{ffff}");
    }
}
