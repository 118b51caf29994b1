#!/usr/bin/env bash
# Installs what building KalamDB needs and this machine lacks. Changes nothing when all of it is there.
# Knows Debian and Ubuntu; elsewhere it says what to install.
#   scripts/setup.sh        everything
#   scripts/setup.sh rust   what the server and its tests need
#   scripts/setup.sh js     what the npm packages need
set -euo pipefail
cd "$(dirname "$0")/.."

# The oldest Node that the tools run with, and the one that is taken if there is none.
NODE_MAJOR=20
NODE_INSTALLED=22
NPM_INSTALLED=10
node_home=$HOME/.cache/kalamdb/node
PATH=$node_home/node_modules/.bin:$PATH

part=${1:-all}
wants() { [ "$part" = all ] || [ "$part" = "$1" ]; }
has() { command -v "$1" >/dev/null 2>&1; }
say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

# bindgen loads libclang and reads the headers that come with it.
has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    compgen -G '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' >/dev/null &&
        compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null
}

# Ubuntu has its own names for Chromium.
on_ubuntu() { grep -qs '^ID=ubuntu' /etc/os-release; }

missing_packages() {
    has c++ && has cc && has ar || echo build-essential
    if wants rust; then
        has_libclang || echo libclang-dev
        # Makes system calls fail in tests of durability.
        has strace || echo strace
    fi
    if wants js; then
        has node || echo nodejs
        has npm || echo npm
        # Tests in a real browser, and what drives it for those of the core.
        local browser=chromium driver=chromium-driver
        on_ubuntu && browser=chromium-browser driver=chromium-chromedriver
        has chromium || has chromium-browser || has google-chrome || echo "$browser"
        has chromedriver || echo "$driver"
    fi
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
}

install_packages() {
    local packages=("$@")
    has apt-get || fail "please install a C++ compiler, libclang, node 20 and npm, then try again"
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        has sudo || fail "please install as root: ${packages[*]}"
        root=(sudo)
    fi
    say "installing ${packages[*]}"
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
}

# The values of a key of rust-toolchain.toml, separated by spaces.
toolchain_setting() { sed -n "s/^$1 = //p" rust-toolchain.toml | tr -d '[]",'; }

# True if the toolchain of rust-toolchain.toml is there with each of its components and targets. Reads rustup's own
# records: asking rustup costs a tenth of a second a question.
has_toolchain() {
    local channel=$1 sysroot records
    sysroot=$(rustc "+$channel" --print sysroot 2>/dev/null) || return 1
    records=$sysroot/lib/rustlib
    local component target
    for component in $(toolchain_setting components); do
        grep -q "^$component" "$records/components" 2>/dev/null || return 1
    done
    for target in $(toolchain_setting targets); do
        [ -d "$records/$target/lib" ] || return 1
    done
}

install_toolchain() {
    local channel=$1 component target wanted=()
    for component in $(toolchain_setting components); do wanted+=(--component "$component"); done
    for target in $(toolchain_setting targets); do wanted+=(--target "$target"); done
    say "installing Rust $channel"
    rustup toolchain install "$channel" --profile minimal --no-self-update "${wanted[@]}" >&2
}

node_major() { node --version 2>/dev/null | sed 's/^v//; s/\..*//'; }

# Distributions ship a Node that is too old for the tools: take one of the npm registry then, for this project alone.
install_node() {
    local arch
    case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) fail "please install node $NODE_MAJOR or newer" ;;
    esac
    say "installing Node $NODE_INSTALLED into $node_home"
    mkdir -p "$node_home"
    npm install --prefix "$node_home" --silent --no-fund --no-audit "node-linux-$arch@$NODE_INSTALLED" "npm@$NPM_INSTALLED" >&2
    ln -sf "../node-linux-$arch/bin/node" "$node_home/node_modules/.bin/node"
}

# What makes JavaScript of the core's wasm: in exactly the version of the library.
bindgen_version() { sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"$/\1/p;}' Cargo.lock; }
has_bindgen() { [ "$(wasm-bindgen --version 2>/dev/null)" = "wasm-bindgen $(bindgen_version)" ]; }
install_bindgen() {
    say "installing wasm-bindgen $(bindgen_version)"
    cargo install --quiet --version "$(bindgen_version)" --target-dir "${CARGO_TARGET_DIR:-target}/tools" wasm-bindgen-cli >&2
}

# node_modules keeps a copy of the lock file that it was made from.
has_npm_packages() { cmp -s package-lock.json node_modules/.kalamdb-lock; }

install_npm_packages() {
    say "installing npm packages"
    npm ci --loglevel=error --no-fund --no-audit >&2
    cp package-lock.json node_modules/.kalamdb-lock
}

mapfile -t packages < <(missing_packages)
[ "${#packages[@]}" -eq 0 ] || install_packages "${packages[@]}"

if wants rust; then
    has rustup || fail "please install rustup (https://rustup.rs), then try again"
    channel=$(toolchain_setting channel)
    has_toolchain "$channel" || install_toolchain "$channel"
fi

if wants js; then
    [ "$(node_major)" -ge "$NODE_MAJOR" ] || install_node
    has_npm_packages || install_npm_packages
    has_bindgen || install_bindgen
fi
