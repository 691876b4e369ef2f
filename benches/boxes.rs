//! What obfs4's own XSalsa20-Poly1305 gives inside WebAssembly, beside RustCrypto's in the same modules.
//!
//! In: the modules of `watm/selfcheck.sh`, or those that the command line names. Out: a table, MiB/s of the payload of the
//! longest frames. Every figure is the best of many slices of about half a millisecond, taken in turns, so that other
//! work on the machine shows in all or in none.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark of our own modules; its table is for people"
)]

use std::time::{Duration, Instant};
use wasmtime::{Config, Engine, Linker, Module, Result, Store, TypedFunc};

/// What the modules export.
const WORK: [&str; 4] = ["seal_ours", "seal_theirs", "open_ours", "open_theirs"];
/// Frames in a slice.
const FRAMES: u32 = 300;
/// Slices.
const ROUNDS: u32 = 1000;
/// Bytes of a connection that the longest frame carries.
const PAYLOAD: u32 = 1427;

/// A module's exports, each with its best time.
struct Subject {
    name: String,
    store: Store<()>,
    work: Vec<(TypedFunc<u32, u32>, Duration)>,
}

impl Subject {
    fn load(engine: &Engine, name: String) -> Result<Subject> {
        let module = Module::from_file(engine, &name)?;
        let mut linker = Linker::new(engine);
        linker.define_unknown_imports_as_traps(&module)?;
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(1);
        let instance = linker.instantiate(&mut store, &module)?;
        let export = |work| Ok((instance.get_typed_func(&mut store, work)?, Duration::MAX));
        let work = WORK.into_iter().map(export).collect::<Result<_>>()?;
        Ok(Subject { name, store, work })
    }
}

fn main() -> Result<()> {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    files.retain(|argument| argument != "--bench");
    if files.is_empty() {
        let built = |name| {
            format!(
                "{}/target/guests/obfs4/{name}.wasm",
                env!("CARGO_MANIFEST_DIR")
            )
        };
        files = ["portable", "wide"].map(built).into();
    }
    // As the host's own engine in what matters here.
    let mut config = Config::new();
    config.epoch_interruption(true).wasm_wide_arithmetic(true);
    let engine = Engine::new(&config)?;
    let subjects = files.into_iter().map(|file| Subject::load(&engine, file));
    let mut subjects = subjects.collect::<Result<Vec<_>>>()?;

    for _ in 0..ROUNDS {
        for subject in &mut subjects {
            for (work, best) in &mut subject.work {
                let start = Instant::now();
                work.call(&mut subject.store, FRAMES)?;
                *best = start.elapsed().min(*best);
            }
        }
    }
    for subject in &subjects {
        println!("{}", subject.name);
        for (name, (_, best)) in WORK.into_iter().zip(&subject.work) {
            let mebibytes = f64::from(FRAMES * PAYLOAD) / f64::from(1 << 20);
            let (speed, each) = (mebibytes / best.as_secs_f64(), *best / FRAMES);
            println!("  {name:12} {speed:6.0} MiB/s  {each:?} a frame");
        }
    }
    Ok(())
}
