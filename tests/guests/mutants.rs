//! Real modules with a few bytes changed: whatever becomes of them, the host lives and nothing is left.
//!
//! In: a seed, so that a failure can be met again, and `PROPTEST_CASES`, which makes more of them. Out: nothing.
//! Most mutants are refused; what loads is given two connections and a short time.

use crate::tunnel::{host, once, pair, wasm, within};
use ouzel::watm::{Io, Program, Role, Session, Stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

const MODULES: [&str; 8] = [
    "plain",
    "reverse",
    "upstream_a",
    "upstream_b",
    "upstream_c",
    "tokio_like",
    "v0_function",
    "v0_global",
];

/// As many as a quick run has.
const CASES: usize = 200;
/// How many more random cases others have than this test has mutants: each is a module to compile and run.
const SHARE: usize = 5;

/// What a mutant gets for each step before it is dropped.
const STEP: Duration = Duration::from_millis(150);

/// Marsaglia's xorshift: the same mutants on every machine.
struct Dice(u64);

impl Dice {
    fn new(case: usize) -> Dice {
        Dice((case as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("below sides")
    }
}

/// The section of code, where a changed byte is often still a module.
fn code(module: &[u8]) -> std::ops::Range<usize> {
    const CODE: u8 = 10;
    let mut at = 8;
    while at < module.len() {
        let (id, mut size, mut shift) = (module[at], 0, 0);
        loop {
            at += 1;
            size |= usize::from(module[at] & 0x7f) << shift;
            shift += 7;
            if module[at] & 0x80 == 0 {
                break;
            }
        }
        at += 1;
        if id == CODE {
            return at..at + size;
        }
        at += size;
    }
    panic!("a real module has code");
}

/// Changes an instruction to one of the same type, or the number that one takes: what a validator lets pass.
fn retyped(code: &mut [u8], dice: &mut Dice) {
    const COMPARE: std::ops::RangeInclusive<u8> = 0x46..=0x4f;
    const CALCULATE: std::ops::RangeInclusive<u8> = 0x6a..=0x78;
    const WITH_NUMBER: [u8; 6] = [0x41, 0x20, 0x28, 0x2d, 0x36, 0x3a];
    let from = dice.roll(code.len() - 4);
    for at in from..code.len() - 3 {
        let family = [COMPARE, CALCULATE]
            .into_iter()
            .find(|family| family.contains(&code[at]));
        if let Some(family) = family {
            let other = dice.roll(usize::from(family.end() - family.start()) + 1);
            code[at] = family.start() + u8::try_from(other).expect("a byte");
            return;
        }
        if WITH_NUMBER.contains(&code[at]) {
            // Of a load or a store the offset, not the alignment.
            let number = at
                + if code[at] >= 0x28 && code[at] < 0x41 {
                    2
                } else {
                    1
                };
            code[number] ^= 1 << dice.roll(6);
            return;
        }
    }
}

fn mutant(case: usize) -> Vec<u8> {
    let mut dice = Dice::new(case);
    let mut module = wasm(MODULES[dice.roll(MODULES.len())]);
    let code = code(&module);
    for _ in 0..=dice.roll(3) {
        if dice.roll(3) > 0 {
            retyped(&mut module[code.clone()], &mut dice);
            continue;
        }
        // Behind the magic, which every change of would be found at once.
        let anywhere = 8 + dice.roll(module.len() - 8);
        let at = match dice.roll(4) {
            0 => anywhere,
            _ => (code.start + dice.roll(code.len())).min(module.len() - 1),
        };
        match dice.roll(8) {
            0 => module[at] ^= 1 << dice.roll(8),
            1 => module[at] = 0xff,
            2 => module[at] = module[at].wrapping_add(1),
            3 => {
                let from = 8 + dice.roll(module.len() - 8);
                module[at] = module[from];
            }
            4 => {
                let length = (1 + dice.roll(16)).min(module.len() - at);
                let from = 8 + dice.roll(module.len() - 8 - length);
                module.copy_within(from..from + length, at);
            }
            5 if case.is_multiple_of(5) => {
                module.truncate(at.max(9));
                break;
            }
            _ => module[at] = u8::try_from(dice.roll(256)).expect("a byte"),
        }
    }
    module
}

/// Gives a mutant two connections; whatever it does is all right, as long as it can be ended.
async fn run(program: &Arc<Program>, role: Role) {
    let conf: Arc<[u8]> = b"{}".as_slice().into();
    let Ok(Ok(mut session)) = timeout(STEP, Session::new(program, Some(conf))).await else {
        return;
    };
    let (mut app, inner) = pair().await;
    let (outer, mut network) = pair().await;
    let up = async {
        match role {
            Role::Listener => {
                let unconnected = Stream::gated(Io::Unconnected, &[]);
                session.accept(unconnected, Stream::new(outer)).await?;
                session.inner().attach(inner);
            }
            _ => session.dial(Stream::gated(inner, &[]), once(outer)).await?,
        }
        session.inner().open();
        Ok::<_, ouzel::error::Failure>(())
    };
    if !matches!(timeout(STEP, up).await, Ok(Ok(()))) {
        return;
    }
    let mut worker = tokio::spawn(session.run());
    for end in [&mut app, &mut network] {
        let _ = end.write_all(&[0x5a; 3000]).await;
    }
    for end in [&mut app, &mut network] {
        let _ = timeout(STEP, end.read(&mut [0; 4096])).await;
    }
    drop((app, network));
    if let Ok(ended) = timeout(STEP, &mut worker).await {
        ended.expect("no panic");
        return;
    }
    worker.abort();
    if let Err(error) = worker.await {
        assert!(error.is_cancelled(), "it panicked: {error}");
    }
}

fn cases() -> usize {
    let wanted = std::env::var("PROPTEST_CASES").ok();
    let wanted = wanted.and_then(|cases| cases.parse::<usize>().ok());
    wanted.map_or(CASES, |cases| (cases / SHARE).max(CASES))
}

#[test]
fn mutated_modules_hurt_nobody() {
    crate::alone::alone("mutants::mutated_modules_hurt_nobody", async {
        static RAN: AtomicUsize = AtomicUsize::new(0);
        let mut running = JoinSet::new();
        for case in 0..cases() {
            if running.len() == 8 {
                let ended = running.join_next().await.expect("eight of them");
                ended.expect("no panic");
            }
            running.spawn(async move {
                let module = mutant(case);
                let loaded = host().compile(&module).and_then(|code| host().load(&code));
                let Ok(program) = loaded.map(Arc::new) else {
                    return;
                };
                RAN.fetch_add(1, Ordering::Relaxed);
                for role in [Role::Dialer, Role::Listener] {
                    within(&format!("mutant {case}"), run(&program, role)).await;
                }
            });
        }
        while let Some(ended) = running.join_next().await {
            ended.expect("no panic");
        }
        let ran = RAN.load(Ordering::Relaxed);
        eprintln!("{ran} of {} mutants ran", cases());
        assert!(ran > CASES / 20, "only {ran} mutants were modules");
    });
}
