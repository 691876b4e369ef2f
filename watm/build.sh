#!/bin/sh
# Builds every guest into OUT_DIR (default: dist, beside this file), with their SHA256SUMS.
#
#   watm/build.sh [OUT_DIR]
#
# The same source and the same compiler give the same bytes in any directory: absolute paths are
# remapped, there is one codegen unit, nothing is left in but code. Needs the toolchain of
# rust-toolchain.toml with the target wasm32-wasip1, and the crates that Cargo.lock names.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
out=${1:-$here/dist}
case $out in
/*) ;;
*) out=$PWD/$out ;;
esac
# Before the change of directory, like OUT_DIR.
target=${CARGO_TARGET_DIR:-$here/target}
case $target in
/*) ;;
*) target=$PWD/$target ;;
esac
cd "$here"

sysroot=$(rustc --print sysroot)
if [ ! -d "$sysroot/lib/rustlib/wasm32-wasip1" ]; then
    echo "build.sh: $(rustc --version) has no target wasm32-wasip1; try: rustup target add wasm32-wasip1" >&2
    exit 1
fi
wanted=$(sed -n 's/^channel *= *"\(.*\)"$/\1/p' ../rust-toolchain.toml 2>/dev/null || true)
case $(rustc --version) in
"rustc $wanted "*) ;;
*) echo "build.sh: $(rustc --version) is not the $wanted that dist was made with; the bytes will differ" >&2 ;;
esac

# build FOLDER FLAGS CARGO_ARGUMENTS...: in a target folder of its own, with the remapping and these flags (separated by
# blanks) alone.
build() {
    folder=$1
    flags=
    for flag in $2; do
        flags=$(printf '%s%s\037' "$flags" "$flag")
    done
    shift 2
    for pair in "$here=/watm" "$folder=/target" "${CARGO_HOME:-$HOME/.cargo}=/cargo" "$sysroot=/rust"; do
        flags=$(printf '%s--remap-path-prefix=%s\037' "$flags" "$pair")
    done
    CARGO_ENCODED_RUSTFLAGS=${flags%?} CARGO_TARGET_DIR=$folder CARGO_INCREMENTAL=0 \
        cargo build --release --locked --target wasm32-wasip1 "$@"
}

# The first flag of .cargo/config.toml too.
build "$target" -Clink-arg=-zstack-size=14336 --workspace --exclude watm-obfs4 --exclude obfs4-core \
    --exclude obfs4-selfcheck --lib --examples
# obfs4 computes on vectors. One for every host, and one for hosts with 64-bit multiplications (wide arithmetic), which
# cfg() does not see.
obfs4='-Clink-arg=-zstack-size=26624 -Ctarget-feature=+simd128'
build "$target/portable" "$obfs4" --package watm-obfs4 --lib
build "$target/wide" "$obfs4,+wide-arithmetic" --package watm-obfs4 --lib --features wide

built=wasm32-wasip1/release
mkdir -p "$out/test-guests"
rm -f "$out/test-guests"/*.wasm
cp "$target/$built/plain.wasm" "$target/$built/reverse.wasm" "$out/"
cp "$target/portable/$built/obfs4.wasm" "$out/obfs4.wasm"
cp "$target/wide/$built/obfs4.wasm" "$out/obfs4-wide.wasm"
cp "$target/$built/bigtable.wasm" "$out/test-guests/"
for source in test-guests/guests/*.rs; do
    cp "$target/$built/examples/$(basename "$source" .rs).wasm" "$out/test-guests/"
done
cd "$out"
chmod 644 ./*.wasm test-guests/*.wasm
if command -v sha256sum >/dev/null; then
    sum=sha256sum
else
    sum='shasum -a 256'
fi
LC_ALL=C $sum obfs4.wasm obfs4-wide.wasm plain.wasm reverse.wasm test-guests/*.wasm >SHA256SUMS
