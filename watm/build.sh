#!/bin/sh
# Builds every guest into OUT_DIR (default: dist, beside this file), with their SHA256SUMS.
#
#   watm/build.sh [OUT_DIR]
#
# The same source and the same compiler give the same bytes in any directory: absolute paths are
# remapped, there is one codegen unit, nothing is left in but code. Needs the toolchain of
# rust-toolchain.toml with the target wasm32-wasip1; nothing is downloaded besides.
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

# The flags of .cargo/config.toml and the remapping; given this way, no other flags are added.
flags=-Clink-arg=-zstack-size=14336
for pair in "$here=/watm" "$target=/target" "${CARGO_HOME:-$HOME/.cargo}=/cargo" "$sysroot=/rust"; do
    flags=$(printf '%s\037--remap-path-prefix=%s' "$flags" "$pair")
done
CARGO_ENCODED_RUSTFLAGS=$flags CARGO_TARGET_DIR=$target CARGO_INCREMENTAL=0 \
    cargo build --release --locked --offline --target wasm32-wasip1 --workspace --lib --examples

built=$target/wasm32-wasip1/release
mkdir -p "$out/test-guests"
rm -f "$out/test-guests"/*.wasm
cp "$built/plain.wasm" "$built/reverse.wasm" "$out/"
cp "$built/bigtable.wasm" "$out/test-guests/"
for source in test-guests/guests/*.rs; do
    cp "$built/examples/$(basename "$source" .rs).wasm" "$out/test-guests/"
done
cd "$out"
chmod 644 ./*.wasm test-guests/*.wasm
if command -v sha256sum >/dev/null; then
    sum=sha256sum
else
    sum='shasum -a 256'
fi
LC_ALL=C $sum plain.wasm reverse.wasm test-guests/*.wasm >SHA256SUMS
