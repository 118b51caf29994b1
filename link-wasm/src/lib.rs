//! The driver of `link-core` for browsers and Node: empty but for wasm32.
#![cfg(target_arch = "wasm32")]
