#!/usr/bin/env bash
# Builds the executable without a compiler and proves that it runs what `ouzel compile` made.
set -euo pipefail
cd "$(dirname "$0")/.."

# A folder of its own: in the shared one, this executable would take the place of the full one.
cargo build --release --locked --no-default-features --target-dir target/runtime-only
cargo build --release --locked
full=target/release/ouzel
lean=target/runtime-only/release/ouzel

if cargo tree --locked --no-default-features --edges normal --prefix none | grep -q '^cranelift-codegen '; then
  echo "the runtime-only executable contains Cranelift" >&2
  exit 1
fi
echo "full: $(stat -c %s "$full") bytes, runtime-only: $(stat -c %s "$lean") bytes"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$full" compile watm/dist/reverse.wasm -o "$scratch/reverse.cwasm"
"$lean" demo --module "lean=$scratch/reverse.cwasm" --transport lean --size 16

# A plain module is refused, and the message says what to do instead.
if refusal=$("$lean" demo --module lean=watm/dist/reverse.wasm --transport lean --size 1 2>&1); then
  echo "the runtime-only executable ran a module that nobody compiled" >&2
  exit 1
fi
grep -q 'ouzel compile' <<<"$refusal" || {
  echo "the refusal does not name the remedy: $refusal" >&2
  exit 1
}
