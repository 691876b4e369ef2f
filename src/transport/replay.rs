//! The replay set: which handshakes a bridge has already seen, over all connections of a transport and over restarts.
//!
//! In: digests from guests (`/replay/`). Out: whether each is new. What can go wrong is the disk: then the set lives in
//! memory alone, and one line says so.
//!
//! On disk it is a journal of records: when, and the start of a digest's SHA-256. A record is written before the answer
//! is given, so that a bridge that is killed in between has not forgotten.

use super::state::State;
use crate::watm::Replay;
use sha2::{Digest, Sha256};
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The most digests: those of three hours at ten handshakes a second, in about 5 MiB. The oldest make room.
const MOST: usize = 100 << 10;

/// Half of a SHA-256 cannot be made to collide.
type Key = [u8; 16];
/// Seconds since 1970, big-endian, and a key.
const RECORD: usize = 8 + size_of::<Key>();

/// A transport's replay set.
#[derive(Debug)]
pub struct ReplaySet(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// How long a digest is remembered.
    memory: Duration,
    known: HashSet<Key>,
    /// In the order of their coming.
    order: VecDeque<(u64, Key)>,
    journal: Option<Journal>,
}

#[derive(Debug)]
struct Journal {
    state: State,
    name: String,
    file: File,
    records: usize,
}

impl ReplaySet {
    /// Opens the set that is kept under `name`; what is older than `memory` is forgotten.
    pub fn open(state: &State, name: &str, memory: Duration) -> ReplaySet {
        let mut inner = Inner {
            memory,
            known: HashSet::new(),
            order: VecDeque::new(),
            journal: None,
        };
        let kept = match state.read(name, MOST * 2 * RECORD) {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::warn!(
                    "the handshakes that were seen before the start are forgotten: {} cannot be read ({error}); make it \
                     private to this user, or remove it",
                    state.path(name).display()
                );
                Vec::new()
            }
        };
        let now = seconds();
        for record in kept.chunks_exact(RECORD) {
            let (time, key) = record.split_at(8);
            let time = u64::from_be_bytes(time.try_into().expect("eight bytes"));
            let key: Key = key.try_into().expect("the rest of a record");
            // A clock that was wrong must not make a digest last for ever.
            inner.insert(time.min(now), key);
        }
        inner.forget(now);
        inner.journal = Journal::begin(state, name, &inner.order);
        ReplaySet(Mutex::new(inner))
    }
}

impl Replay for ReplaySet {
    fn is_new(&self, digest: &str) -> bool {
        let whole: [u8; 32] = Sha256::digest(digest.as_bytes()).into();
        let mut key = Key::default();
        key.copy_from_slice(&whole[..size_of::<Key>()]);
        let now = seconds();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.forget(now);
        let is_new = inner.insert(now, key);
        if is_new {
            inner.note(now, key);
        }
        is_new
    }
}

impl Inner {
    fn insert(&mut self, time: u64, key: Key) -> bool {
        if !self.known.insert(key) {
            return false;
        }
        if self.order.len() == MOST
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        // In order even if the clock went back.
        let latest = self.order.back().map_or(0, |&(latest, _)| latest);
        self.order.push_back((time.max(latest), key));
        true
    }

    fn forget(&mut self, now: u64) {
        let oldest = now.saturating_sub(self.memory.as_secs());
        while let Some(&(time, key)) = self.order.front()
            && time < oldest
        {
            self.order.pop_front();
            self.known.remove(&key);
        }
    }

    fn note(&mut self, now: u64, key: Key) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        // Forgotten records go when they are as many as the most that are known.
        if journal.records >= MOST * 2 {
            let (state, name) = (journal.state.clone(), journal.name.clone());
            self.journal = Journal::begin(&state, &name, &self.order);
        } else if let Err(error) = journal.append(now, key) {
            journal.tell(&error);
            self.journal = None;
        }
    }
}

impl Journal {
    /// A journal of these records alone.
    fn begin(state: &State, name: &str, order: &VecDeque<(u64, Key)>) -> Option<Journal> {
        let mut records = Vec::with_capacity(order.len() * RECORD);
        for &(time, key) in order {
            records.extend(record(time, key));
        }
        let opened = state
            .write(name, &records)
            .and_then(|()| state.append(name));
        match opened {
            Ok(file) => Some(Journal {
                state: state.clone(),
                name: name.to_owned(),
                file,
                records: order.len(),
            }),
            Err(error) => {
                tell(&state.path(name), &error);
                None
            }
        }
    }

    fn append(&mut self, now: u64, key: Key) -> io::Result<()> {
        self.records += 1;
        // In one piece: what is cut by a full disk would shift everything after it.
        self.file.write_all(&record(now, key))
    }

    fn tell(&self, error: &io::Error) {
        tell(&self.state.path(&self.name), error);
    }
}

fn tell(path: &std::path::Path, error: &io::Error) {
    tracing::warn!(
        "handshakes are remembered until the next start only: {} cannot be written ({error}); make the state directory \
         writable for this user",
        path.display()
    );
}

fn record(time: u64, key: Key) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&time.to_be_bytes());
    record[8..].copy_from_slice(&key);
    record
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn state() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state = State::open(dir.path()).expect("there");
        (dir, state)
    }

    #[test]
    fn what_was_seen_is_known_after_a_restart() {
        let (_dir, state) = state();
        let set = ReplaySet::open(&state, "t", HOUR);
        assert!(set.is_new("00112233445566778899"));
        assert!(!set.is_new("00112233445566778899"));
        // No word is said when a process is killed.
        let again = ReplaySet::open(&state, "t", HOUR);
        assert!(!again.is_new("00112233445566778899"));
        assert!(again.is_new("00112233445566778890"));
        let third = ReplaySet::open(&state, "t", HOUR);
        assert!(!third.is_new("00112233445566778890"));
        assert!(ReplaySet::open(&state, "other", HOUR).is_new("00112233445566778890"));
    }

    #[test]
    fn what_is_too_old_is_forgotten_and_leaves_the_journal() {
        let (_dir, state) = state();
        let old = seconds() - 2 * HOUR.as_secs();
        let mut records = record(old, [1; 16]).to_vec();
        records.extend(record(seconds() + 1_000_000, [2; 16]));
        records.extend([7; 5]);
        state.write("t", &records).expect("written");
        let set = ReplaySet::open(&state, "t", HOUR);
        let kept = state.read("t", 1 << 20).expect("read");
        assert_eq!(kept.len(), RECORD, "the old one and the half one are gone");
        let inner = set.0.lock().expect("no panic");
        let (time, key) = inner.order[0];
        assert!(
            key == [2; 16] && time <= seconds(),
            "no digest of the future"
        );
    }

    #[test]
    fn the_oldest_make_room() {
        let mut inner = Inner {
            memory: HOUR,
            known: HashSet::new(),
            order: VecDeque::new(),
            journal: None,
        };
        let key = |n: usize| {
            let mut key = Key::default();
            key[..8].copy_from_slice(&n.to_be_bytes());
            key
        };
        for n in 0..=MOST {
            assert!(inner.insert(10, key(n)));
        }
        assert_eq!(inner.known.len(), MOST);
        assert!(inner.insert(10, key(0)), "the first was forgotten");
        assert!(!inner.insert(10, key(MOST)));
    }

    #[test]
    fn without_a_disk_the_set_works_until_the_end() {
        let (dir, state) = state();
        let set = ReplaySet::open(&state, "t", HOUR);
        drop(dir);
        assert!(set.is_new("00112233445566778899"));
        assert!(!set.is_new("00112233445566778899"));
        let nowhere = ReplaySet::open(&state, "no/where", HOUR);
        assert!(nowhere.is_new("00112233445566778899"));
        assert!(!nowhere.is_new("00112233445566778899"));
    }
}
