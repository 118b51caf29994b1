//! What the core knows of tokens and addresses.

use kalam_link_core::auth::Token;
use kalam_link_core::http;
use wasm_bindgen::prelude::*;

/// When to fetch a new token before this one is used, in ms since 1970. None: it has no known end.
#[wasm_bindgen(js_name = refreshAt)]
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "JavaScript's times are doubles")]
pub fn refresh_at_ms(token: &str) -> Option<f64> {
    Token::new(token).refresh_at_ms().map(|ms| ms as f64)
}

/// Address of the socket of a server: `http://host:8080` → `ws://host:8080/v1/ws`.
#[wasm_bindgen(js_name = websocketUrl)]
#[must_use]
pub fn websocket_url(base: &str) -> String {
    http::websocket_url(base)
}
