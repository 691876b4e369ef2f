# `make` alone says what there is. Everything is cargo underneath; nothing here is needed to build by hand.

CARGO ?= cargo
TRANSPORT ?= obfs4
SIZE ?= 256
ARGS ?=
MODULES ?=

# Daemons live in /usr/sbin, which an ordinary user's PATH often lacks.
SEARCH := PATH="$$PATH:/usr/sbin:/sbin"
# Where whole-process tests keep what ouzel printed, for the oracles.
TRANSCRIPTS := $(CURDIR)/target/transcripts
EXPECTATIONS := pt-spec-tests/expectations
RESULTS := --out pt-spec-tests/RESULTS.md --expect $(EXPECTATIONS)/ouzel.toml --expect $(EXPECTATIONS)/ouzel-reverse.toml \
  --expect $(EXPECTATIONS)/ouzel-obfs4.toml --expect $(EXPECTATIONS)/obfs4proxy.toml --expect $(EXPECTATIONS)/snowflake-client.toml

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test conformance results oracles ecosystem wasm languages figures figures-alone figures-obfs4 nightly

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## see it work: a page and 256 MiB through two transports, nothing installed (TRANSPORT=obfs4 SIZE=256)
	@.ci/prerequisites.sh demo
	$(CARGO) run --release --locked -- demo --transport $(TRANSPORT) --size $(SIZE) $(ARGS)

test: ## run every test; as root it installs the Debian packages they need first, else it says what to install
	@.ci/prerequisites.sh test
	watm/languages.sh
	watm/selfcheck.sh
	$(CARGO) test --locked --manifest-path watm/Cargo.toml
	@rm -rf $(TRANSCRIPTS) && mkdir -p $(TRANSCRIPTS)
	$(SEARCH) OUZEL_TRANSCRIPTS=$(TRANSCRIPTS) RUST_TEST_THREADS=4 \
	  $(CARGO) test --release --locked --workspace --no-fail-fast
	@$(MAKE) --no-print-directory conformance
	@ls $(TRANSCRIPTS)/*.txt >/dev/null || { echo "no test kept a transcript for the oracles" >&2; exit 1; }
	@$(MAKE) --no-print-directory oracles

conformance: ## hold ouzel and Debian's obfs4proxy and snowflake-client against the specifications (a few minutes)
	@$(CARGO) build --release --locked
	$(SEARCH) $(CARGO) run --release --locked -p pt-spec-tests -- results --check $(RESULTS)

results: ## the same, and write what was seen into pt-spec-tests/RESULTS.md
	@$(CARGO) build --release --locked
	$(SEARCH) $(CARGO) run --release --locked -p pt-spec-tests -- results $(RESULTS)

oracles: ## have arti's parser and tor itself judge every line that ouzel printed in the tests, and more
	@$(CARGO) build --release --locked
	@mkdir -p $(TRANSCRIPTS)
	$(SEARCH) OUZEL=$(CURDIR)/target/release/ouzel OUZEL_TRANSCRIPTS=$(TRANSCRIPTS) \
	  $(CARGO) test --locked --manifest-path oracles/Cargo.toml --target-dir target/oracles

ecosystem: ## run every module of a folder through every role, and print a table (MODULES=DIR; ARGS="--json FILE --size MIB")
	@[ -d "$(MODULES)" ] || { echo "Name a folder of .wasm files: make ecosystem MODULES=DIR" >&2; exit 1; }
	@$(CARGO) test --release --locked --test ecosystem -- --modules "$(abspath $(MODULES))" $(ARGS)

wasm: ## rebuild the built-in transports into watm/dist (needs the target wasm32-wasip1)
	watm/build.sh

languages: ## build the example modules in Go and C into target/guests (their compilers come into target/tools first)
	@.ci/prerequisites.sh languages
	watm/languages.sh

figures: ## measure speed, memory and start-up against a native relay (ARGS="--quick")
	$(CARGO) bench --locked --bench load -- $(ARGS)

figures-alone: ## the same for a module without tor: ouzel dial (ARGS="--quick")
	$(CARGO) bench --locked --bench alone -- $(ARGS)

figures-obfs4: ## obfs4 beside Debian's obfs4proxy and a native relay (ARGS="--quick")
	$(CARGO) bench --locked --bench obfs4 -- $(ARGS)

nightly: ## the long things: many more random cases, the whole benchmark, security advisories
	@.ci/prerequisites.sh ci
	watm/languages.sh
	watm/selfcheck.sh
	FUZZ_CASES=20000 PROPTEST_CASES=20000 $(CARGO) test --locked --manifest-path watm/Cargo.toml
	FUZZ_FIRST=20000 FUZZ_CASES=20000 $(CARGO) test --locked --manifest-path watm/Cargo.toml -p obfs4-core --features wide --test fuzz
	PROPTEST_CASES=20000 $(SEARCH) RUST_TEST_THREADS=4 $(CARGO) test --release --locked --workspace --no-fail-fast
	$(CARGO) bench --locked --bench load
	$(CARGO) bench --locked --bench alone
	$(CARGO) bench --locked --bench neighbours
	target/tools/bin/cargo-deny --locked check advisories
