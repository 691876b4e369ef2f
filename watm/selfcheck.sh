#!/bin/sh
# Builds obfs4's own cryptography together with RustCrypto's, as the transport itself is built, for the tests and the
# benchmark that compare them inside WebAssembly: obfs4/portable.wasm and obfs4/wide.wasm below OUT_DIR (default:
# ../target/guests).
#
#   watm/selfcheck.sh [OUT_DIR]
#
# Needs the target wasm32-wasip1; downloads nothing besides the crates of Cargo.lock.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
out=${1:-$here/../target/guests}
mkdir -p "$out/obfs4"
out=$(CDPATH='' cd -- "$out" && pwd -P)
cd "$here"

# build NAME FEATURES FLAG...: the flags of build.sh.
build() {
    name=$1
    features=$2
    shift 2
    flags=-Clink-arg=-zstack-size=26624
    for flag in "$@"; do
        flags=$(printf '%s\037%s' "$flags" "$flag")
    done
    target=$here/target/$name
    CARGO_ENCODED_RUSTFLAGS=$flags CARGO_TARGET_DIR=$target CARGO_INCREMENTAL=0 \
        cargo build --release --locked --target wasm32-wasip1 --package obfs4-selfcheck --lib --features "$features"
    cp "$target/wasm32-wasip1/release/obfs4_selfcheck.wasm" "$out/obfs4/$name.wasm"
}

build portable '' -Ctarget-feature=+simd128
build wide wide -Ctarget-feature=+simd128,+wide-arithmetic
# Newer than their sources, also where nothing had to be compiled.
touch "$out"/obfs4/*.wasm
