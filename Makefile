# Thin: each target is a command or two that you could type. `make test` and `make demo` do all the set-up on a
# fresh Debian that has a Rust toolchain.

TARGET_DIR      := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
NEXTEST_VERSION := 0.9.143
DENY_VERSION    := 0.20.2
# Where tests leave a line when they cannot run here (no root, no Python): shown after each run.
SKIPPED         := $(TARGET_DIR)/skipped-tests
# The programs that end-to-end tests start come from the profile that the tests are built with.
TEST_ENV        := RUST_LIB_BACKTRACE=0 WEFT_BIN_DIR=$(TARGET_DIR)/debug WEFT_SKIPPED=$(SKIPPED)

.DEFAULT_GOAL := help
# `make bench`: rounds of each case, and measured seconds of each peer in each. BENCH_CASES and BENCH_PEERS pick some, as
# do BENCH_BROKER_CASES and BENCH_BROKERS.
export BENCH_ROUNDS  ?= 9
export BENCH_SECONDS ?= 2

.PHONY: bench bench-proxies bench-brokers bench-micro help demo test soak fmt fmt-check lint deny ratchet ratchet-instructions static tools interop binaries hostile

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## the gateway example, running: requests, a replica killed and replaced (DEMO_SECONDS=20 ends by itself)
	cargo build --profile demo -p weft -p weft-control-plane -p weft-sidecar -p weft-example-gateway
	@$(TARGET_DIR)/demo/weft demo

# No doctests: nextest runs none, and tidy sees to it that there are none.
test: tools interop binaries ## every test at the size for each run
	@rm -f $(SKIPPED)
	$(TEST_ENV) WEFT_TEST_SCALE=ci cargo nextest run --workspace
	@if [ -s $(SKIPPED) ]; then echo "skipped here:"; sort -u $(SKIPPED); fi

soak: tools interop ## the heavy tests, alone, with the figures of the issue, all of it optimised
	cargo build --profile demo --workspace --bins --tests
	$(TEST_ENV) WEFT_BIN_DIR=$(TARGET_DIR)/demo WEFT_TEST_SCALE=soak \
	    cargo nextest run --cargo-profile demo --workspace --profile soak

bench: bench-proxies bench-brokers ## both comparisons with peers, an hour; writes docs/benchmarks.md

bench-proxies: ## the sidecar beside nginx, HAProxy, Envoy and a bare hyper proxy, 25 minutes
	@benches/setup.sh
	cargo build --release -p weft-sidecar -p weft-control-plane -p weft-benches
	$(TARGET_DIR)/release/weft-bench run --envoy target/bench/envoy --document docs/benchmarks.md \
	    --json $(TARGET_DIR)/bench/samples.json

bench-brokers: ## the broker beside RabbitMQ and NATS JetStream, 35 minutes
	@benches/setup.sh brokers
	cargo build --release -p weft-sidecar -p weft-benches
	$(TARGET_DIR)/release/weft-bench brokers --document docs/benchmarks.md \
	    --json $(TARGET_DIR)/bench/samples-brokers.json

bench-micro: ## the pure parts of the path alone: the match of a route, budget, average, rate limit
	cargo bench -p weft-benches

hostile: tools interop binaries ## malformed and hostile inputs at the sidecar and its peers; writes docs/hostile-inputs.md
	$(TEST_ENV) WEFT_HOSTILE_TABLE=1 cargo nextest run --workspace -E 'binary(/^hostile_/)'

fmt: ## format the code
	cargo fmt --all

fmt-check:
	cargo fmt --all --check

lint: ## clippy, warnings are errors
	cargo clippy --workspace --all-targets --quiet -- -D warnings

deny: ## licences, sources, doubled and banned crates
	@cargo deny --version 2>/dev/null | grep -q . || \
	    cargo install --quiet --locked --debug --no-default-features cargo-deny@$(DENY_VERSION)
	cargo deny --log-level error check bans licenses sources

ratchet: ## lower tests/tidy-ratchet.json to what the code has reached
	UPDATE_RATCHET=1 cargo nextest run -p weft-tests --test tidy

ratchet-instructions: binaries ## lower tests/instructions.json to what a request has reached
	UPDATE_RATCHET=1 $(TEST_ENV) cargo nextest run --workspace --test instructions --no-capture

static: ## the programs as static binaries, as the Containerfile builds them
	RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release --target $$(rustc -vV | sed -n 's/host: //p') \
	    -p weft -p weft-control-plane -p weft-sidecar -p weft-example-gateway

# With the tests in the same call, so that both agree on features and nothing is compiled twice.
binaries:
	cargo build --workspace --bins --tests

tools:
	@cargo nextest --version >/dev/null 2>&1 || \
	    cargo install --quiet --locked --debug cargo-nextest@$(NEXTEST_VERSION)

# Without them their tests are skipped with the reason; where the whole suite is the point (CI), that is a failure.
interop:
	@tests/interop/setup.sh || test -z "$$CI"
