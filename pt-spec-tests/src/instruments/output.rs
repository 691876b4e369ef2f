//! The lines that a process writes to one of its pipes, read as they come whether or not a case looks, so that the
//! writer never waits for the suite.
//!
//! In: a pipe. Out: lines with the moment they came. Bounded: after `MOST_BYTES` or `MOST_LINES` the rest is read and
//! thrown away, and the output counts as a flood.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// What is kept of one pipe: parents in use keep far less.
const MOST_BYTES: usize = 1 << 20;
/// And how many lines.
const MOST_LINES: usize = 10_000;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Without the line feed.
    pub bytes: Vec<u8>,
    /// Whether a line feed ended it (the pipe's end otherwise).
    pub whole: bool,
    /// When its end came.
    pub at: Instant,
}

impl Line {
    /// As text; what is not UTF-8 shows as U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// The output of one pipe.
#[derive(Clone, Debug)]
pub struct Output {
    lines: Rc<RefCell<Vec<Line>>>,
    state: watch::Receiver<State>,
    reader: Option<AbortHandle>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    count: usize,
    ended: bool,
    flood: bool,
}

impl Output {
    /// Starts reading; to be called inside the suite's local task set.
    pub fn read(mut pipe: impl AsyncRead + Unpin + 'static) -> Output {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let (tell, state) = watch::channel(State::default());
        let kept = lines.clone();
        let task = tokio::task::spawn_local(async move {
            let mut buffer = vec![0; 16 << 10];
            let mut line = Vec::new();
            let mut bytes = 0;
            loop {
                let n = pipe.read(&mut buffer).await.unwrap_or(0);
                if n == 0 {
                    break;
                }
                let flood = bytes > MOST_BYTES || kept.borrow().len() > MOST_LINES;
                if flood {
                    tell.send_modify(|state| state.flood = true);
                    // A flood must not starve the other cases on this thread.
                    tokio::task::yield_now().await;
                    continue;
                }
                bytes += n;
                for &byte in &buffer[..n] {
                    if byte == b'\n' {
                        keep(&kept, &mut line, true);
                    } else {
                        line.push(byte);
                    }
                }
                tell.send_modify(|state| state.count = kept.borrow().len());
            }
            if !line.is_empty() {
                keep(&kept, &mut line, false);
            }
            tell.send_modify(|state| {
                state.count = kept.borrow().len();
                state.ended = true;
            });
        });
        Output {
            lines,
            state,
            reader: Some(task.abort_handle()),
        }
    }

    /// The output of a pipe that the suite does not hold.
    pub fn none() -> Output {
        let (_, state) = watch::channel(State {
            ended: true,
            ..State::default()
        });
        Output {
            lines: Rc::default(),
            state,
            reader: None,
        }
    }

    /// Line number `n` (from 0) as soon as there is one; `None` if the pipe ended or flooded before.
    pub async fn line(&self, n: usize) -> Option<Line> {
        let mut state = self.state.clone();
        let _ = state
            .wait_for(|state| state.count > n || state.ended || state.flood)
            .await
            .map(drop);
        self.lines.borrow().get(n).cloned()
    }

    /// The first line that `wanted` accepts, as soon as there is one.
    pub async fn find(&self, wanted: impl Fn(&str) -> bool) -> Option<Line> {
        for n in 0.. {
            let line = self.line(n).await?;
            if wanted(&line.text()) {
                return Some(line);
            }
        }
        None
    }

    /// Waits for the end of the pipe: every process that held it has closed it.
    pub async fn end(&self) {
        let mut state = self.state.clone();
        let _ = state.wait_for(|state| state.ended).await.map(drop);
    }

    /// Closes the suite's end of the pipe, as a parent that died.
    pub async fn close(&self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
        // The sender goes with the task.
        let mut state = self.state.clone();
        while state.changed().await.is_ok() {}
    }

    /// What has come so far.
    pub fn so_far(&self) -> Vec<Line> {
        self.lines.borrow().clone()
    }

    /// The texts of what has come so far.
    pub fn texts(&self) -> Vec<String> {
        self.lines.borrow().iter().map(Line::text).collect()
    }

    /// Whether more came than is kept.
    pub fn flooded(&self) -> bool {
        self.state.borrow().flood
    }
}

fn keep(lines: &RefCell<Vec<Line>>, line: &mut Vec<u8>, whole: bool) {
    lines.borrow_mut().push(Line {
        bytes: std::mem::take(line),
        whole,
        at: Instant::now(),
    });
}
