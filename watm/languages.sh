#!/bin/sh
# Builds `plain` in Go and in C: go/plain.wasm and c/plain.wasm below OUT_DIR (default: ../target/guests), which the
# tests run in every role, and beside them what Go makes when a flag was forgotten.
#
#   watm/languages.sh [OUT_DIR]
#
# The compilers are those that .ci/prerequisites.sh puts into target/tools; GO and ZIG name others. Nothing is
# downloaded, and the caches stay below OUT_DIR.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
out=${1:-$here/../target/guests}
mkdir -p "$out/go" "$out/c"
out=$(CDPATH='' cd -- "$out" && pwd -P)
tools=$here/../target/tools/languages
go=${GO:-$tools/go/bin/go}
zig=${ZIG:-$tools/ziglang/zig}
for compiler in "$go" "$zig"; do
    if ! command -v "$compiler" >/dev/null; then
        echo "languages.sh: there is no $compiler; run .ci/prerequisites.sh languages, or name yours with GO and ZIG" >&2
        exit 1
    fi
done

# build_go FILE FOLDER ARGUMENT...: in an environment of its own, so that no setting of this machine reaches the module.
build_go() {
    file=$out/go/$1
    folder=$here/$2
    shift 2
    (cd "$folder" && env -i PATH="$PATH" GOENV=off GOTOOLCHAIN=local GOPROXY=off GOWORK=off CGO_ENABLED=0 \
        GOCACHE="$out/cache/go" GOPATH="$out/cache/gopath" GOOS=wasip1 GOARCH=wasm \
        "$go" build -trimpath -buildvcs=false -ldflags='-s -w' -o "$file.new" "$@")
    mv "$file.new" "$file"
}

build_go plain.wasm go -buildmode=c-shared .
build_go command.wasm go .
build_go waiting.wasm test-guests/go waiting.go

env -i PATH="$PATH" ZIG_GLOBAL_CACHE_DIR="$out/cache/zig" ZIG_LOCAL_CACHE_DIR="$out/cache/zig" \
    "$zig" cc --target=wasm32-wasi -mexec-model=reactor -std=c11 -O2 -s -Wall -Wextra -Werror \
    -Wl,-z,stack-size=65536 -o "$out/c/plain.wasm.new" "$here/c/plain.c"
mv "$out/c/plain.wasm.new" "$out/c/plain.wasm"
# Newer than their sources, also where a compiler's cache knew them already.
touch "$out"/go/*.wasm "$out"/c/*.wasm
