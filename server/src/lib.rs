//! A KalamDB server: configuration, authentication, HTTP and the wiring of the parts below.

mod announcement;
pub mod args;
mod auth;
pub mod config;
mod descriptors;
mod error;
mod http;
pub mod logging;
mod metrics;
mod node;
mod secrets;
pub mod shutdown;
mod statements;
mod ws;

pub use announcement::Announcement;
pub use error::Error;
pub use node::{FirstPassword, Node};
