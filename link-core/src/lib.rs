//! The KalamDB protocol without I/O.
//!
//! Everything a client and the server must agree on lives here: the value model, the HTTP messages, the error codes and
//! where a SQL statement ends. Nothing in this crate opens a socket, reads a clock or draws a random number (I9), so the
//! same code runs in the server, in native clients and, compiled to WASM, in browsers.

pub mod auth;
pub mod cell;
pub mod codec;
pub mod decimal;
pub mod error;
pub mod http;
pub mod ids;
pub mod json;
mod json_text;
pub mod live_rows;
pub mod message;
mod random;
pub mod session;
mod sorted;
pub mod statements;
mod subscription;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod value;

pub use cell::{CellError, append_cell};
pub use decimal::{Decimal, DecimalError};
pub use error::{ErrorCode, ServerError};
pub use ids::{Role, SeqId, SubscriptionId, UserId};
pub use json_text::JsonText;
pub use value::{DataType, Field, Value};

#[cfg(all(test, target_arch = "wasm32"))]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
