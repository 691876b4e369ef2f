#!/bin/sh
# Rebuilds the guests in a copy of this folder, in another directory, and compares every byte with
# dist. Exits 1 and names what differs, or says that all is the same.
#
#   watm/check.sh
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
copy=$(mktemp -d "${TMPDIR:-/tmp}/watm-check.XXXXXX")
trap 'rm -rf "$copy"' EXIT
trap 'exit 1' HUP INT TERM

cp "$here/../rust-toolchain.toml" "$copy/"
mkdir "$copy/elsewhere"
(cd "$here" && tar -cf - --exclude=./target --exclude=./dist .) | (cd "$copy/elsewhere" && tar -xf -)
(unset CARGO_TARGET_DIR && "$copy/elsewhere/build.sh" "$copy/dist")

if difference=$(diff -rq "$here/dist" "$copy/dist"); then
    echo "check.sh: $(wc -l <"$here/dist/SHA256SUMS") guests, byte for byte the same"
    exit 0
fi
echo "$difference" | sed "s|$copy/dist|the rebuilt dist|; s|$here/||" >&2
echo "check.sh: dist is not what the source makes. If the source or rust-toolchain.toml changed," >&2
echo "run watm/build.sh and commit watm/dist. If neither did, the compiler is not the exact one:" >&2
echo "$(rustc --version)" >&2
exit 1
