//! The client core in a browser, in Node, or wherever else there is JavaScript.
//!
//! [`Link`] joins a [`Session`](kalam_link_core::session::Session) to a host: an object of JavaScript that opens
//! sockets and knows the time. What crosses between them is text and numbers. Rows cross as the JSON that they came
//! as, many at once, and the host parses them once; no row is taken apart into values here.
//!
//! Decides nothing about the protocol. Leaves to the host what has no part in it: sockets, timers, fetch, credentials.

mod driver;
mod events;
mod mirror;
mod tokens;

pub use driver::{Host, Link};
pub use tokens::{refresh_at_ms, websocket_url};
