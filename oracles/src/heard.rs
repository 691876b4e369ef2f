//! What arti says while it is the parent.
//!
//! arti turns `LOG` lines into `tracing` events, and complains about a transport in others. In: the events of the
//! thread that installed it. Out: their levels and texts.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

/// arti says a few lines per launch; whatever comes after that many is not kept.
const MAX_EVENTS: usize = 4096;

/// The events of a thread, in order.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<(Level, String)>>>);

impl Heard {
    /// Starts listening on this thread, until the guard is dropped.
    pub fn listen() -> (Heard, DefaultGuard) {
        let heard = Heard::default();
        let guard = tracing::subscriber::set_default(heard.clone());
        (heard, guard)
    }

    /// What was said.
    pub fn all(&self) -> Vec<(Level, String)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What was said at a level, or louder.
    pub fn at_least(&self, level: Level) -> Vec<String> {
        let all = self.all().into_iter();
        all.filter(|(l, _)| *l <= level)
            .map(|(_, text)| text)
            .collect()
    }
}

impl Subscriber for Heard {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tor_ptmgr")
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MAX_EVENTS {
            all.push((*event.metadata().level(), text.0));
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
