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

/// Where `Cargo.toml` of the server is. Asked at run time: a test that was compiled in another clone of the repository
/// must not read that clone's files.
fn package_folder() -> std::path::PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").unwrap().into()
}
