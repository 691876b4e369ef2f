//! The clock that makes guests yield: an epoch every [`TICK`], while any guest runs and at no other time.
//!
//! A phone must sleep, so the ticking thread is parked as soon as a whole tick passes in which no guest was
//! on a processor. A guest wakes it by starting to run; under load it is awake anyway and that costs one
//! atomic increment.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread::Thread;
use std::time::Duration;
use wasmtime::EngineWeak;

/// How long a guest may keep a processor before it must yield: what each busy neighbour makes other connections wait.
/// With 2 ms, the thread that ticks costs a transfer 7 % of its speed.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Advances the epoch of one engine.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    /// Guests that began to run since the last tick.
    ran: AtomicBool,
    parked: AtomicBool,
}

impl Ticker {
    /// Starts the thread; it ends with the engine.
    pub(super) fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("ouzel-epoch".into())
            .stack_size(64 << 10)
            .spawn(move || tick(&of_thread, &engine))?;
        Ok(Ticker {
            shared,
            thread: thread.thread().clone(),
        })
    }

    /// Runs a future that runs a guest.
    pub(super) async fn run<F: Future>(&self, guest: F) -> F::Output {
        let mut guest = std::pin::pin!(guest);
        std::future::poll_fn(|cx| self.poll(guest.as_mut(), cx)).await
    }

    fn poll<F: Future>(&self, guest: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        struct Running<'a>(&'a AtomicUsize);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        // SeqCst: either the thread sees this guest before it parks, or this sees it parked.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(&self.shared.running);
        self.shared.ran.store(true, Ordering::Relaxed);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        guest.poll(cx)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // The thread sees that the engine is gone.
        self.thread.unpark();
    }
}

fn tick(shared: &Shared, engine: &EngineWeak) {
    loop {
        std::thread::park_timeout(TICK);
        let Some(engine) = engine.upgrade() else {
            return;
        };
        engine.increment_epoch();
        if shared.ran.swap(false, Ordering::Relaxed) || shared.running.load(Ordering::SeqCst) > 0 {
            continue;
        }
        drop(engine);
        shared.parked.store(true, Ordering::SeqCst);
        if shared.running.load(Ordering::SeqCst) == 0 {
            // Whatever ends the park, the next tick finds out whether there was a reason.
            std::thread::park();
        }
        shared.parked.store(false, Ordering::SeqCst);
    }
}
