//! Tests that count what a process holds, and therefore need one to themselves.
//!
//! In: the test's own name and what it does. Out: nothing; the test runs itself again as a child, which does it
//! and then has to have as many descriptors as before, no task and every slot of the host. Where descriptors
//! cannot be listed they are not counted.

use crate::tunnel::{SLOTS, host, program};
use ouzel::watm::{Grants, Session};
use std::future::Future;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Set in the child.
const CHILD: &str = "OUZEL_TEST_ALONE";

/// Longer than any child takes on a loaded machine.
const LIMIT: Duration = Duration::from_secs(900);

/// Runs `work` in a process of its own, where `test` is the name of the test that calls.
pub(crate) fn alone(test: &str, work: impl Future<Output = ()> + Send + 'static) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    if std::env::var_os(CHILD).is_none() {
        runtime.block_on(child(test));
        return;
    }
    // What is made once and kept: the engine, and what the runtime itself opens.
    host();
    runtime.block_on(all_slots());
    let before = descriptors();
    runtime.block_on(async move { tokio::spawn(work).await.expect("no panic") });
    runtime.block_on(settle(&runtime, before));
    runtime.block_on(all_slots());
}

async fn child(test: &str) {
    let mut command = tokio::process::Command::new(std::env::current_exe().expect("a path"));
    command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .unwrap_or_else(|_| panic!("{test} did not end"))
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{test}, alone:\n{said}\n{complained}"
    );
}

/// Waits until nothing is held that was not held before.
async fn settle(runtime: &Runtime, before: Option<usize>) {
    const LIMIT: Duration = Duration::from_secs(30);
    let start = Instant::now();
    loop {
        let tasks = runtime.metrics().num_alive_tasks();
        let now = descriptors();
        if tasks == 0 && now == before {
            return;
        }
        assert!(
            start.elapsed() < LIMIT,
            "{tasks} tasks are left, and {now:?} descriptors where {before:?} were"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every slot can be taken: no guest kept one.
async fn all_slots() {
    let plain = program("plain");
    let mut sessions = Vec::new();
    for taken in 0..SLOTS {
        let session = Session::new(&plain, Grants::default()).await;
        sessions.push(session.unwrap_or_else(|failure| panic!("slot {taken}: {failure}")));
    }
}

/// All of them but the one that lists them, and but what memories begin with: those belong to the modules, and to the
/// slots of the pool that had them last.
fn descriptors() -> Option<usize> {
    let list = std::fs::read_dir("/proc/self/fd").ok()?;
    let of_module = |target: &Path| target.to_string_lossy().starts_with("/memfd:");
    let kept = list
        .flatten()
        .filter(|fd| !std::fs::read_link(fd.path()).is_ok_and(|target| of_module(&target)));
    Some(kept.count().saturating_sub(1))
}
