# `make` alone says what there is. Everything is cargo underneath; nothing here is needed to build by hand.

CARGO ?= cargo
TRANSPORT ?= plain
SIZE ?= 256
ARGS ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test wasm figures nightly

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## see it work: a page and 256 MiB through two transports, nothing installed (TRANSPORT=plain SIZE=256)
	@.ci/prerequisites.sh demo
	$(CARGO) run --release --locked -- demo --transport $(TRANSPORT) --size $(SIZE) $(ARGS)

test: ## run every test; as root it installs Debian's tor, obfs4proxy and strace first, else it says what to install
	@.ci/prerequisites.sh test
	$(CARGO) test --locked --manifest-path watm/Cargo.toml
	PATH="$$PATH:/usr/sbin:/sbin" RUST_TEST_THREADS=4 $(CARGO) test --release --locked --workspace --no-fail-fast

wasm: ## rebuild the built-in transports into watm/dist (needs the target wasm32-wasip1)
	watm/build.sh

figures: ## measure speed, memory and start-up against a native relay (ARGS="--quick")
	$(CARGO) bench --locked --bench load -- $(ARGS)

nightly: ## the long things: many more random cases, the whole benchmark, security advisories
	@.ci/prerequisites.sh ci
	PROPTEST_CASES=20000 PATH="$$PATH:/usr/sbin:/sbin" RUST_TEST_THREADS=4 $(CARGO) test --release --locked --workspace --no-fail-fast
	$(CARGO) bench --locked --bench load
	target/tools/bin/cargo-deny --locked check advisories
