//! What can go wrong in storage.

use std::path::PathBuf;

use kalam_link_core::ErrorCode;

/// A failed storage operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("data folder {path} is in use by another process")]
    InUse { path: PathBuf },
    #[error("data folder {path} was written by a newer version of KalamDB")]
    NewerVersion { path: PathBuf },
    #[error("data folder {path} cannot be made")]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("data folder {path} cannot be opened")]
    Open {
        path: PathBuf,
        #[source]
        source: rocksdb::Error,
    },
    #[error("reading from storage failed")]
    Read(#[source] rocksdb::Error),
    #[error("writing to storage failed")]
    Write(#[source] rocksdb::Error),
    #[error("the disk is full")]
    DiskFull(#[source] rocksdb::Error),
    #[error("stored {what} is corrupt: {detail}")]
    Corrupt {
        what: &'static str,
        detail: &'static str,
    },
    /// The reader's catalog is older than its snapshot: take the snapshot first, then the catalog.
    #[error("table {table} has rows of schema version {version}, which is not known yet")]
    UnknownSchema { table: u32, version: u32 },
    /// The row was not coerced to the table's columns before.
    #[error("value does not have the type of column '{column}'")]
    RowMismatch { column: String },
    #[error("row has {given} values for {expected} columns")]
    RowLength { given: usize, expected: usize },
    #[error("row is larger than 4 GB")]
    RowTooLarge,
}

impl Error {
    /// The code under which clients learn of this.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InUse { .. }
            | Self::NewerVersion { .. }
            | Self::Folder { .. }
            | Self::Open { .. } => ErrorCode::StorageUnavailable,
            Self::Read(source) | Self::Write(source) => match source.kind() {
                rocksdb::ErrorKind::Corruption => ErrorCode::DataCorrupt,
                _ => ErrorCode::StorageUnavailable,
            },
            Self::DiskFull(_) => ErrorCode::DiskFull,
            Self::Corrupt { .. } => ErrorCode::DataCorrupt,
            Self::UnknownSchema { .. } => ErrorCode::Conflict,
            Self::RowMismatch { .. } | Self::RowLength { .. } => ErrorCode::InternalError,
            Self::RowTooLarge => ErrorCode::StatementTooLarge,
        }
    }

    pub(crate) const fn corrupt(what: &'static str, detail: &'static str) -> Self {
        Self::Corrupt { what, detail }
    }

    /// RocksDB reports a full disk as an I/O error with the text of `ENOSPC` or `EDQUOT`.
    pub(crate) fn from_write(source: rocksdb::Error) -> Self {
        let text = source.as_ref();
        if text.contains("No space left on device") || text.contains("Disk quota exceeded") {
            Self::DiskFull(source)
        } else {
            Self::Write(source)
        }
    }
}
