# Everything that a developer types. `setup` installs what is missing, so each of these works in a fresh clone.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/kalamdb/target
export PATH := $(HOME)/.cache/kalamdb/node/node_modules/.bin:$(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

CARGO_TEST := $(shell PATH="$(PATH)" sh -c 'command -v cargo-nextest' >/dev/null 2>&1 && echo 'nextest run' || echo test)
WASM := wasm32-unknown-unknown

.PHONY: setup setup-rust setup-js run shell test test-rust test-wasm test-js check check-rust check-js release dist

setup: setup-rust setup-js

setup-rust setup-js: setup-%:
	@scripts/setup.sh $*

# Development profile. With all members and their examples, Cargo chooses the features of dependencies as it does for
# `make test`, so that both use the same compiled ones.
run: export KALAMDB_DATA_DIR ?= $(CURDIR)/data
run: setup-rust
	cargo build --locked --workspace --bins --examples
	@echo "KalamDB keeps its data in $(KALAMDB_DATA_DIR); root's first password is in $(KALAMDB_DATA_DIR)/root-credential."
	@echo "It answers at http://$${KALAMDB_SERVER_HOST:-127.0.0.1}:$${KALAMDB_SERVER_PORT:-8080} once it says so; make shell opens a prompt there. Ctrl-C stops it."
	@exec "$(CARGO_TARGET_DIR)/debug/kalamdb-server"

# A prompt at the server of this machine, or whatever ARGS say: `make shell ARGS="--url https://…"`.
shell: setup-rust
	@cargo build --quiet --locked --workspace --bins --examples
	@exec "$(CARGO_TARGET_DIR)/debug/kalam" $(ARGS)

test: test-rust test-wasm test-js

test-rust: setup-rust
	cargo $(CARGO_TEST) --workspace --locked

# The client core must compile for browsers, without a runtime in its dependency tree, and do there what it does here.
test-wasm: setup-rust setup-js
	cargo check --locked --package kalam-link-core --target $(WASM)
	@tree=$$(cargo tree --locked --package kalam-link-core --target $(WASM) --edges normal --prefix none) && \
	if printf '%s\n' "$$tree" | grep -E '^(tokio|getrandom|rand|web-sys) '; then \
		echo "kalam-link-core depends on the crates above" >&2; exit 1; \
	fi
	@echo "wasm: kalam-link-core compiles for $(WASM) and has no runtime"
	CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=wasm-bindgen-test-runner cargo test --locked \
		--package kalam-link-core --package kalam-link-wasm --lib --tests --target $(WASM)

# The npm package against the server of `make run`, in Node and in Chromium.
test-js: setup-rust setup-js
	cargo build --quiet --locked --workspace --bins --examples
	npm run --silent --workspace kalam-link build
	npm run --silent --workspace kalam-link size
	npm run --silent --workspace kalam-link test

check: check-rust check-js

check-rust: setup-rust
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --quiet --locked --package kalam-model --test it tidy

check-js: setup-rust setup-js
	npm run --silent lint
	npm run --silent --workspace kalam-link build
	npm run --silent --workspace kalam-link check

release: setup-rust
	cargo build --release --locked --package kalam-server --package kalam-cli
	@echo "built $(CARGO_TARGET_DIR)/release/kalamdb-server and $(CARGO_TARGET_DIR)/release/kalam"

# What is given to others: optimised as a whole, without symbols.
dist: setup-rust
	cargo build --profile dist --locked --package kalam-server
	cargo build --profile dist-shell --locked --package kalam-cli
	@echo "built $(CARGO_TARGET_DIR)/dist/kalamdb-server and $(CARGO_TARGET_DIR)/dist-shell/kalam"
