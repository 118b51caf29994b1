//! The link with a host of JavaScript, in a browser.

#![cfg(target_arch = "wasm32")]

mod driver;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
