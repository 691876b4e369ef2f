//! Runs cases side by side, each on a bench of its own and with a limit.
//!
//! In: a subject, entries of the ledger. Out: an [`Observed`] per entry, told as they come. Nothing that an executable
//! or a case does ends the run: a case over its limit is a deviation, a case that panics is the suite's own fault, and
//! both are told like any other. The whole run is bounded by the limits of its cases.
//!
//! Runs may share the [`Places`] for cases. A run waits for its turn until the one before it has begun its last case, so
//! that they meet in the long waits at a run's end, and nowhere else.

mod one_case;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::case::{Case, Check, Run, Side};
use crate::ledger::Entry;
use crate::subject::{Sides, Subject};

/// How many cases run side by side when nothing else is said: nearly all the time of nearly every case is waiting (for
/// a time-out to pass, for silence to be believed), so the number of processors has no say. More would make executables
/// compete for them, and slow answers would look like none.
pub const JOBS: NonZeroUsize = NonZeroUsize::new(24).expect("24 is not zero");

/// How often [`Event::Tick`] comes.
const TICK: Duration = Duration::from_millis(500);

/// How many cases run side by side, in all the runs that share them.
pub struct Places {
    cases: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// A run's turn to begin cases.
pub struct Turn {
    cases: Arc<Semaphore>,
    /// Until its last case has begun.
    turn: OwnedSemaphorePermit,
}

impl Places {
    /// So many.
    pub fn new(jobs: NonZeroUsize) -> Places {
        Places {
            cases: Arc::new(Semaphore::new(jobs.get())),
            turns: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits until every run that asked before has begun its last case.
    pub async fn turn(&self) -> Turn {
        Turn {
            cases: self.cases.clone(),
            turn: permit(&self.turns).await,
        }
    }
}

async fn permit(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let permit = semaphore.clone().acquire_owned().await;
    permit.expect("the semaphore is never closed")
}

/// What was seen of one case.
#[derive(Debug)]
pub enum Observation {
    /// The requirement is kept.
    Pass,
    /// It is not; the text is the evidence.
    Deviation(String),
    /// It does not concern this executable; the text says why.
    NotApplicable(String),
    /// The suite could not find out; the text says why.
    Error(String),
    /// Not run: the PT 3.0 interface.
    Interface3,
    /// Not run: cannot be seen from outside; the text says why.
    Outside(&'static str),
}

/// One case after its run.
pub struct Observed {
    /// The case.
    pub entry: Entry,
    /// What was seen.
    pub observation: Observation,
    /// What its processes were given and said.
    pub story: String,
    /// Processes that had to be killed after it, described.
    pub leftovers: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// What happens during a run, for whoever shows it.
pub enum Event {
    /// A case begins.
    Started(Entry),
    /// A case is over, or was never to be run.
    Finished(Box<Observed>),
    /// Time passes.
    Tick,
}

/// Runs the entries, as many at a time as there are places, the longest first; must be called inside a `LocalSet`.
pub async fn run(
    subject: Rc<Subject>,
    entries: &[Entry],
    Turn { cases, turn }: Turn,
    mut tell: impl FnMut(Event),
) {
    let startable = can_start(&subject.program);
    let mut waiting = Vec::new();
    for entry in entries {
        match known_before(entry.case, &subject, &startable) {
            Ok(run) => waiting.push((*entry, run)),
            Err(observation) => tell(Event::Finished(Box::new(Observed {
                entry: *entry,
                observation,
                story: String::new(),
                leftovers: Vec::new(),
                took: Duration::ZERO,
            }))),
        }
    }
    // Stable, so that cases of one length keep the order of reports; taken from the end.
    waiting.sort_by_key(|(entry, _)| Reverse(entry.case.limit));
    waiting.reverse();

    let mut running = JoinSet::new();
    let mut turn = Some(turn);
    let mut begun = HashMap::new();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if waiting.is_empty() {
            turn = None;
        }
        // All are cancel-safe: nobody else waits for a place, a task that ended stays in the set, a tick that was due comes
        // next time.
        let ended = tokio::select! {
            biased;
            place = permit(&cases), if !waiting.is_empty() => {
                let (entry, run) = waiting.pop().expect("a place is asked for when one waits");
                tell(Event::Started(entry));
                let task = running.spawn_local(one_case::observe(subject.clone(), entry, run));
                begun.insert(task.id(), (entry, Instant::now(), place));
                continue;
            }
            ended = running.join_next_with_id(), if !(running.is_empty() && turn.is_some()) => ended,
            _ = ticks.tick() => {
                tell(Event::Tick);
                continue;
            }
        };
        match ended {
            None => return,
            Some(Ok((id, observed))) => {
                begun.remove(&id);
                tell(Event::Finished(Box::new(observed)));
            }
            Some(Err(error)) => {
                let (entry, since, _) = begun
                    .remove(&error.id())
                    .expect("every task was noted when it was spawned");
                tell(Event::Finished(Box::new(Observed {
                    entry,
                    observation: Observation::Error(format!("the suite broke: {error}")),
                    story: String::new(),
                    leftovers: Vec::new(),
                    took: since.elapsed(),
                })));
            }
        }
    }
}

/// What can be said without running the case; its function otherwise.
fn known_before(
    case: &Case,
    subject: &Subject,
    startable: &io::Result<()>,
) -> Result<Run, Observation> {
    let run = match case.check {
        Check::Run(run) => run,
        Check::Interface3 => return Err(Observation::Interface3),
        Check::Outside(why) => return Err(Observation::Outside(why)),
    };
    if let Err(error) = startable {
        return Err(Observation::Deviation(format!(
            "cannot be started: {}: {error}",
            subject.program.display()
        )));
    }
    match missing_side(case.side, subject.sides) {
        None => Ok(run),
        Some(missing) => Err(Observation::NotApplicable(format!(
            "the subject has no {missing} side"
        ))),
    }
}

fn missing_side(needed: Side, offered: Sides) -> Option<&'static str> {
    let client = matches!(needed, Side::Client | Side::Both);
    let server = matches!(needed, Side::Server | Side::Both);
    match () {
        () if client && !offered.client() => Some("client"),
        () if server && !offered.server() => Some("server"),
        () => None,
    }
}

/// Whether the system would execute it, as far as that shows without doing so.
fn can_start(program: &Path) -> io::Result<()> {
    if !std::fs::metadata(program)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "not a file",
        ));
    }
    Ok(rustix::fs::access(program, rustix::fs::Access::EXEC_OK)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bench;
    use crate::case::{Section, run};
    use crate::verdict::{Verdict, deviation};

    async fn passes(_: &Bench) -> Verdict {
        Ok(())
    }

    async fn deviates(_: &Bench) -> Verdict {
        deviation!("saw \u{1b}[2J and 'quotes'")
    }

    async fn panics(_: &Bench) -> Verdict {
        panic!("an invariant of the case")
    }

    async fn waits(_: &Bench) -> Verdict {
        std::future::pending().await
    }

    async fn starts(bench: &Bench) -> Verdict {
        let mut pt = bench.bare().start().await?;
        match pt.exit(Duration::from_secs(10)).await? {
            Some(exit) if exit.code == Some(0) => Ok(()),
            other => deviation!("{other:?}"),
        }
    }

    const LIMIT: Duration = Duration::from_millis(200);

    static CASES: [Case; 8] = [
        Case {
            id: "t/passes",
            check: run!(passes),
            ..Case::BASE
        },
        Case {
            id: "t/deviates",
            check: run!(deviates),
            ..Case::BASE
        },
        Case {
            id: "t/panics",
            check: run!(panics),
            ..Case::BASE
        },
        Case {
            id: "t/waits",
            limit: LIMIT,
            check: run!(waits),
            ..Case::BASE
        },
        Case {
            id: "t/starts",
            check: run!(starts),
            ..Case::BASE
        },
        Case {
            id: "t/server",
            side: Side::Both,
            check: run!(passes),
            ..Case::BASE
        },
        Case {
            id: "t/outside",
            check: Check::Outside("why"),
            ..Case::BASE
        },
        Case {
            id: "t/three",
            check: Check::Interface3,
            ..Case::BASE
        },
    ];
    static SECTION: Section = Section {
        name: "t",
        title: "t",
        cases: &[&CASES],
    };

    fn observe(program: &str, jobs: usize) -> Vec<(&'static str, Observation)> {
        let subject = Rc::new(Subject {
            program: program.into(),
            args: Vec::new(),
            transport: "x".to_owned(),
            sides: Sides::Client,
            server_options: String::new(),
            bridge_args: Vec::new(),
        });
        let entries: Vec<Entry> = crate::ledger::section_entries(&SECTION).collect();
        let jobs = NonZeroUsize::new(jobs).expect("some jobs");
        let mut seen = Vec::new();
        let (mut begun, mut together) = (0, 0);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let turn = Places::new(jobs).turn().await;
            run(subject, &entries, turn, |event| match event {
                Event::Started(_) => {
                    begun += 1;
                    together = together.max(begun);
                }
                Event::Finished(observed) => {
                    begun -= i32::from(observed.took > Duration::ZERO);
                    seen.push((observed.entry.case.id, observed.observation));
                }
                Event::Tick => {}
            })
            .await;
        });
        assert!(usize::try_from(together).is_ok_and(|most| most <= jobs.get()));
        seen.sort_by_key(|(id, _)| CASES.iter().position(|case| case.id == *id));
        seen
    }

    #[test]
    fn every_end_of_a_case_is_an_observation() {
        for jobs in [1, 24] {
            let seen = observe("/bin/true", jobs);
            let told: Vec<String> = seen
                .iter()
                .map(|(id, observation)| format!("{id}: {observation:?}"))
                .collect();
            let expected = [
                "t/passes: Pass",
                r#"t/deviates: Deviation("saw \\u{1b}[2J and 'quotes'")"#,
                r#"t/panics: Error("the case panicked: an invariant of the case")"#,
                r#"t/waits: Deviation("did not end within 0.2 s")"#,
                "t/starts: Pass",
                r#"t/server: NotApplicable("the subject has no server side")"#,
                r#"t/outside: Outside("why")"#,
                "t/three: Interface3",
            ];
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn what_cannot_be_started_deviates_in_every_case() {
        for program in ["/nonexistent/pt", "/etc/passwd", "/etc"] {
            let seen = observe(program, 24);
            let deviations = seen.iter().filter(|(_, observation)| {
                matches!(observation, Observation::Deviation(text) if text.contains("cannot be started"))
            });
            assert_eq!(deviations.count(), 6, "{program}: {seen:?}");
        }
    }
}
