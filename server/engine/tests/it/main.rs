//! The engine on RocksDB: determinism, crashes, durability, definitions and accounts.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests are tests

mod crash;
mod definitions;
mod failure;
mod model;
mod replay;
mod support;
mod users;
mod writes;
