//! The server as its users see it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod auth;
mod config;
mod contract;
mod crash;
mod docs;
mod examples;
mod generator;
mod harness;
mod hostile;
mod http;
mod isolation;
mod scale;
mod sql_logic;
mod ws;
