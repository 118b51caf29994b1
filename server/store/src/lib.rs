//! Hot storage: rows, keys, tombstones, stream rows, request answers and system records in RocksDB.
//!
//! Everything that one command changes goes into one [`Batch`] and is committed at once (I3); everything that one query
//! reads comes from one [`Snapshot`] (I4). Both are [`Reader`]s. The layout of all keys is in [`key`], of rows in
//! [`row_codec`], of system records in [`meta`].

pub mod arrow_types;
mod batch;
mod db;
mod error;
pub mod hot;
pub mod key;
mod layout;
pub mod meta;
pub mod requests;
pub mod row_codec;
mod snapshot;
pub mod stream;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod testing;

pub use batch::{Batch, Sync};
pub use db::{Entry, Family, Reader, Store, StoreOptions, StoreStatistics, Visit};
pub use error::Error;
pub use hot::{Direction, Scan as HotScan};
pub use key::Slice;
pub use layout::{Layouts, widens};
pub use row_codec::ColumnBuilders;
pub use snapshot::Snapshot;
pub use stream::Scan as StreamScan;
