//! The program as its users see it: beside a real server, in scripts and in a terminal.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;
mod doctor;
mod generate;
mod node;
mod prompt;
mod scripts;
mod server;
mod terminal;
mod texts;
mod tours;
mod transfer;
