//! Log lines: `tracing` events in, scrubbed and bounded lines out.
//!
//! The five levels of `tracing` are the five severities of the PT contract, in order: ERROR, WARN, INFO,
//! DEBUG, TRACE are error, warning, notice, info, debug. Only our own events are told: some libraries print
//! addresses. The same line is told once or a few times a minute, then counted.

use crate::error::Severity;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// How often the same line is told a minute: what somebody must act on once, a peer's failure a few times,
/// so that one sees that it repeats.
const BURST: u32 = 5;
const WINDOW: Duration = Duration::from_secs(60);
/// Different lines remembered at a time; texts come from a small set of failures.
const REMEMBERED: usize = 256;

static UNSAFE: AtomicBool = AtomicBool::new(false);

/// Where lines go: the `LOG` writer, a file, stderr.
pub type Sink = Box<dyn Fn(Severity, &str) + Send + Sync>;

/// Starts logging for the process. A second call changes nothing.
pub fn init(level: Severity, unsafe_logging: bool, sinks: Vec<Sink>) {
    UNSAFE.store(unsafe_logging, Ordering::Relaxed);
    let lines = Lines {
        level,
        sinks,
        repeats: Mutex::new(HashMap::new()),
    };
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
    // A panic's text may hold anything; where it happened is what a bug report needs.
    std::panic::set_hook(Box::new(|panic| match panic.location() {
        Some(at) => tracing::error!(
            "bug: a panic at {}:{}; one connection is lost, please report it",
            at.file(),
            at.line()
        ),
        None => tracing::error!("bug: a panic; one connection is lost, please report it"),
    }));
}

/// Tells a line of the given severity.
#[macro_export]
macro_rules! say {
    ($severity:expr, $($text:tt)+) => {
        match $severity {
            $crate::error::Severity::Error => tracing::error!($($text)+),
            $crate::error::Severity::Warning => tracing::warn!($($text)+),
            $crate::error::Severity::Notice => tracing::info!($($text)+),
            $crate::error::Severity::Info => tracing::debug!($($text)+),
            $crate::error::Severity::Debug => tracing::trace!($($text)+),
        }
    };
}

/// Whether the operator wants addresses and the like in the log.
pub fn tells_all() -> bool {
    UNSAFE.load(Ordering::Relaxed)
}

/// An address for a log line: ` (192.0.2.1:443)` where the operator allowed it with `--unsafe-logging`, or
/// else nothing.
pub struct Whose<T>(pub T);

impl<T: fmt::Display> fmt::Display for Whose<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if tells_all() {
            write!(f, " ({})", self.0)
        } else {
            Ok(())
        }
    }
}

struct Lines {
    level: Severity,
    sinks: Vec<Sink>,
    repeats: Mutex<HashMap<String, Repeats>>,
}

struct Repeats {
    since: Instant,
    count: u32,
}

fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warning,
        Level::INFO => Severity::Notice,
        Level::DEBUG => Severity::Info,
        Level::TRACE => Severity::Debug,
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("ouzel") && severity(*metadata.level()) >= self.level
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let severity = severity(*event.metadata().level());
        if let Some(line) = self.bounded(severity, text.0) {
            for sink in &self.sinks {
                sink(severity, &line);
            }
        }
    }
}

impl Lines {
    /// The line as it is told, or none where it was told often enough.
    fn bounded(&self, severity: Severity, line: String) -> Option<String> {
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if repeats.len() >= REMEMBERED {
            repeats.retain(|_, entry| now.duration_since(entry.since) < WINDOW);
        }
        if repeats.len() >= REMEMBERED && !repeats.contains_key(&line) {
            // With addresses in them, every line is a new one; what somebody must act on is told all the same.
            return (severity >= Severity::Warning).then_some(line);
        }
        let entry = repeats.entry(line.clone()).or_insert(Repeats {
            since: now,
            count: 0,
        });
        let burst = if severity >= Severity::Warning {
            1
        } else {
            BURST
        };
        let mut missed = 0;
        if now.duration_since(entry.since) >= WINDOW {
            missed = entry.count.saturating_sub(burst);
            *entry = Repeats {
                since: now,
                count: 0,
            };
        }
        entry.count = entry.count.saturating_add(1);
        match (entry.count <= burst, missed) {
            (false, _) => None,
            (true, 0) => Some(line),
            (true, missed) => Some(format!("{line} ({missed} more like this before)")),
        }
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("writing to a String does not fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines {
        Lines {
            level: Severity::Notice,
            sinks: Vec::new(),
            repeats: Mutex::new(HashMap::new()),
        }
    }

    #[test]
    fn the_same_line_is_told_a_few_times() {
        let lines = lines();
        let told = (0..100)
            .filter_map(|_| lines.bounded(Severity::Notice, "refused".to_owned()))
            .count();
        assert_eq!(told, BURST as usize);
        assert!(
            lines
                .bounded(Severity::Warning, "another".to_owned())
                .is_some()
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let lines = lines();
        for n in 0..10_000 {
            lines.bounded(Severity::Notice, format!("line {n}"));
        }
        assert!(lines.repeats.lock().expect("not poisoned").len() <= REMEMBERED);
    }

    #[test]
    fn addresses_are_left_out_by_default() {
        assert_eq!(Whose("192.0.2.1:443").to_string(), "");
    }
}
