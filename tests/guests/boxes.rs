//! obfs4's own XSalsa20-Poly1305 beside RustCrypto's, inside WebAssembly: in the portable build and in the one with wide
//! arithmetic, where the compiler makes other instructions of it than in the core's own tests.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use wasmtime::{Config, Engine, Linker, Module, Store};

const REMEDY: &str = "run `watm/selfcheck.sh`";

/// The lengths from 0 to 3000.
const LENGTHS: u32 = 3001;

/// When a file was written, or the newest one below a folder.
fn changed(path: &Path) -> SystemTime {
    let metadata = path.metadata();
    let metadata = metadata.unwrap_or_else(|error| panic!("{}: {error}; {REMEDY}", path.display()));
    if metadata.is_file() {
        return metadata.modified().expect("the system keeps times");
    }
    let entries = std::fs::read_dir(path).expect("a folder of sources");
    let entries = entries.map(|entry| changed(&entry.expect("its files").path()));
    entries.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn built(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join(format!("target/guests/obfs4/{name}.wasm"));
    let of_file = changed(&file);
    for folder in ["core/src", "selfcheck/src"] {
        let of_folder = changed(&root.join("watm/obfs4").join(folder));
        assert!(
            of_folder <= of_file,
            "{} is older than {folder}; {REMEDY}",
            file.display()
        );
    }
    file
}

/// How many lengths agree. The module is refused if it needs wide arithmetic and may not have it.
fn agreeing(name: &str, wide_arithmetic: bool) -> wasmtime::Result<u32> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .wasm_wide_arithmetic(wide_arithmetic)
        .wasm_relaxed_simd(false);
    let engine = Engine::new(&config)?;
    let module = Module::from_file(&engine, built(name))?;
    let mut linker = Linker::new(&engine);
    // What std would ask of a host, and the check does not.
    linker.define_unknown_imports_as_traps(&module)?;
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(1);
    let instance = linker.instantiate(&mut store, &module)?;
    let check = instance.get_typed_func::<(), u32>(&mut store, "check")?;
    check.call(&mut store, ())
}

#[test]
fn the_portable_boxes_are_rustcrypto_s() {
    assert_eq!(agreeing("portable", false).expect("it ran"), LENGTHS);
}

#[test]
fn the_wide_boxes_are_rustcrypto_s() {
    assert_eq!(agreeing("wide", true).expect("it ran"), LENGTHS);
}

/// Else the feature did nothing, and both builds are the same.
#[test]
fn the_wide_build_needs_wide_arithmetic() {
    let error = agreeing("wide", false).expect_err("it is refused");
    let text = format!("{error:?}");
    assert!(text.contains("wide arithmetic"), "{text}");
}
