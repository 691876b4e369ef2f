//! What one instance per connection cannot remember: here the time at which a bridge closes quietly.
//!
//! A connection whose handshake fails is closed at a moment that is the same for every kind of failure and
//! constant per bridge, or a prober could tell bridges apart from how they fail. The constant is drawn once
//! and kept in the state directory.

use super::state::State;
use std::time::Duration;

const FILE: &str = "quiet-close-ms";
/// obfs4's server time-out is 30 s, and probers have seen it; up to a minute more hides in its crowd.
const LEAST: u64 = 30_000;
const SPREAD: u64 = 60_000;

/// How long after its accept a connection that failed is closed.
pub fn quiet_close(state: &State) -> Duration {
    if let Some(kept) = kept(state) {
        return kept;
    }
    let mut random = [0; 8];
    // Without randomness nothing else of this program would have started.
    let _ = getrandom::fill(&mut random);
    let millis = LEAST + u64::from_le_bytes(random) % SPREAD;
    if let Err(error) = state.write(FILE, format!("{millis}\n").as_bytes()) {
        tracing::warn!(
            "the bridge's closing delay cannot be kept ({}), so it changes with every start; make the state directory \
             writable for this user",
            error
        );
    }
    Duration::from_millis(millis)
}

fn kept(state: &State) -> Option<Duration> {
    let text = String::from_utf8(state.read(FILE, 32).ok()?).ok()?;
    let millis: u64 = text.trim().parse().ok()?;
    (LEAST..LEAST + SPREAD)
        .contains(&millis)
        .then(|| Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_is_made_once() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state = State::open(dir.path()).expect("there");
        let first = quiet_close(&state);
        assert_eq!(quiet_close(&state), first);
        state.write(FILE, b"5\n").expect("written");
        assert!(
            quiet_close(&state) >= Duration::from_millis(LEAST),
            "nonsense is replaced"
        );
    }
}
