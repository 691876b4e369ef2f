//! What a process prints, line by line, kept in full so that a failing test can show all of it.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// The lines of one pipe, read as they come whether or not anybody looks, so that the writer never waits for us.
#[derive(Clone)]
pub(crate) struct Lines {
    all: Arc<Mutex<Vec<String>>>,
    /// How many there are, and whether the pipe has ended.
    state: watch::Receiver<(usize, bool)>,
    reader: Arc<AbortHandle>,
}

impl Lines {
    /// Starts reading.
    pub(crate) fn of(pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let all = Arc::new(Mutex::new(Vec::new()));
        let (tell, state) = watch::channel((0, false));
        let keep = all.clone();
        let reader = tokio::spawn(async move {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while let Ok(1..) = pipe.read_until(b'\n', &mut line).await {
                let whole = line.ends_with(b"\n");
                let mut text = String::from_utf8_lossy(&line).into_owned();
                if whole {
                    text.pop();
                } else {
                    text.push_str("<no line end>");
                }
                line.clear();
                keep.lock().unwrap().push(text);
                tell.send_modify(|(count, _)| *count += 1);
            }
            tell.send_modify(|(_, ended)| *ended = true);
        });
        Lines {
            all,
            state,
            reader: Arc::new(reader.abort_handle()),
        }
    }

    /// Closes our end of the pipe.
    pub(crate) async fn close(&self) {
        self.reader.abort();
        let mut state = self.state.clone();
        while state.changed().await.is_ok() {}
    }

    /// Line number `n`, as soon as there is one; `None` if the pipe ended before.
    pub(crate) async fn get(&self, n: usize) -> Option<String> {
        let mut state = self.state.clone();
        let _ = state
            .wait_for(|(count, ended)| *count > n || *ended)
            .await
            .map(|_| ());
        self.all.lock().unwrap().get(n).cloned()
    }

    /// The first line that `wanted` accepts, as soon as there is one; `None` if the pipe ended without.
    pub(crate) async fn find(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        for n in 0.. {
            let line = self.get(n).await?;
            if wanted(&line) {
                return Some(line);
            }
        }
        None
    }

    /// Waits for the end of the pipe: every process that held it has closed it.
    pub(crate) async fn end(&self) {
        let mut state = self.state.clone();
        let _ = state.wait_for(|(_, ended)| *ended).await.map(|_| ());
    }

    /// Whether it has ended.
    pub(crate) fn ended(&self) -> bool {
        self.state.borrow().1
    }

    /// What has come so far.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.all.lock().unwrap().clone()
    }

    /// What has come so far, as one text.
    pub(crate) fn text(&self) -> String {
        self.so_far().join("\n")
    }
}
