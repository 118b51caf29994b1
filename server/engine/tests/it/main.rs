//! The engine on RocksDB: determinism, crashes, durability, definitions, accounts and live queries.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests are tests

mod crash;
mod definitions;
mod failure;
mod live;
mod model;
mod replay;
mod support;
mod users;
mod writes;
