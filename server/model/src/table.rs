//! Definitions of tables and views.

use std::fmt;
use std::str::FromStr;

use kalam_link_core::{DataType, UserId, Value};
use serde::{Deserialize, Serialize};

use crate::name::{Namespace, TableId};
use crate::stamp::Timestamp;

/// Number of a table inside all keys; never reused, also after DROP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableNumber(pub u32);

/// Number of a column inside its table; never reused, also after DROP COLUMN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnId(pub u32);

/// Who has which rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TableKind {
    /// Each user has a private slice.
    User,
    /// One slice for everybody.
    Shared,
    /// Append-only events that expire; private slices unless its access level is `Public`.
    Stream,
}

/// Who may read a SHARED table, or whether a STREAM table is one slice for everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AccessLevel {
    Public,
    #[default]
    Private,
    Restricted,
}

/// Who may write a SHARED table that everybody may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WriteLevel {
    #[default]
    Service,
    Public,
}

macro_rules! spelled {
    ($type:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        impl $type {
            /// The SQL spelling.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownOption;

            /// Case is ignored.
            fn from_str(text: &str) -> Result<Self, UnknownOption> {
                $(if text.eq_ignore_ascii_case($text) { return Ok(Self::$variant); })+
                Err(UnknownOption { given: text.to_owned(), allowed: concat!($($text, " "),+) })
            }
        }
    };
}

spelled!(TableKind { User = "USER", Shared = "SHARED", Stream = "STREAM" });
spelled!(AccessLevel { Public = "PUBLIC", Private = "PRIVATE", Restricted = "RESTRICTED" });
spelled!(WriteLevel { Service = "SERVICE", Public = "PUBLIC" });

/// The text is none of the allowed words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown value `{given}`: one of {allowed}")]
pub struct UnknownOption {
    pub given: String,
    pub allowed: &'static str,
}

/// When hot rows move to cold storage: when either is reached. `rows:N`, `interval:S` or both, joined by a comma.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushPolicy {
    /// Hot rows of one scope.
    pub rows: Option<u64>,
    /// Age of the oldest hot row in seconds.
    pub interval_s: Option<u64>,
}

/// The text is no flush policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid flush policy `{0}`: rows:N, interval:SECONDS or rows:N,interval:SECONDS, each at least 1"
)]
pub struct FlushPolicyError(pub String);

impl FromStr for FlushPolicy {
    type Err = FlushPolicyError;

    fn from_str(text: &str) -> Result<Self, FlushPolicyError> {
        let malformed = || FlushPolicyError(text.to_owned());
        let mut policy = Self {
            rows: None,
            interval_s: None,
        };
        for part in text.split(',') {
            let (name, number) = part.split_once(':').ok_or_else(malformed)?;
            let number = number
                .trim()
                .parse::<u64>()
                .ok()
                .filter(|n| *n > 0)
                .ok_or_else(malformed)?;
            let slot = match name.trim().to_ascii_lowercase().as_str() {
                "rows" => &mut policy.rows,
                "interval" => &mut policy.interval_s,
                _ => return Err(malformed()),
            };
            if slot.replace(number).is_some() {
                return Err(malformed());
            }
        }
        Ok(policy)
    }
}

impl fmt::Display for FlushPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rows, self.interval_s) {
            (Some(rows), Some(seconds)) => write!(f, "rows:{rows},interval:{seconds}"),
            (Some(rows), None) => write!(f, "rows:{rows}"),
            (None, Some(seconds)) => write!(f, "interval:{seconds}"),
            (None, None) => Ok(()),
        }
    }
}

/// What WITH (…) sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableOptions {
    pub storage_id: String,
    pub flush_policy: Option<FlushPolicy>,
    /// How long a delete can be seen by a client that resumes.
    pub deleted_retention_hours: u32,
    /// Life of a row of a STREAM table.
    pub ttl_seconds: Option<u32>,
    pub access_level: AccessLevel,
    pub write_level: WriteLevel,
    pub use_user_storage: bool,
}

impl TableOptions {
    /// The storage that always exists.
    pub const LOCAL_STORAGE: &str = "local";
    /// One week.
    pub const DELETED_RETENTION_HOURS_DEFAULT: u32 = 168;
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            storage_id: Self::LOCAL_STORAGE.to_owned(),
            flush_policy: None,
            deleted_retention_hours: Self::DELETED_RETENTION_HOURS_DEFAULT,
            ttl_seconds: None,
            access_level: AccessLevel::default(),
            write_level: WriteLevel::default(),
            use_user_storage: false,
        }
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnDef {
    pub id: ColumnId,
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
    /// SQL text of the default, evaluated for each row that does not name the column.
    pub default: Option<String>,
    /// Longest text in characters, of VARCHAR(n) and CHAR(n).
    pub max_chars: Option<u32>,
    /// What rows written before the column existed hold: the default of ADD COLUMN, evaluated once.
    pub initial: Value,
    pub comment: Option<String>,
}

/// A table, in one version of its schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableDef {
    pub number: TableNumber,
    pub id: TableId,
    pub kind: TableKind,
    /// In the order of the table; a row's values stand in this order.
    pub columns: Vec<ColumnDef>,
    /// Columns of the primary key in key order; empty only in STREAM tables.
    pub primary_key: Vec<ColumnId>,
    pub options: TableOptions,
    /// 1 for a new table; rises by one with each ALTER.
    pub schema_version: u32,
    /// Next column number to give out.
    pub next_column: ColumnId,
    pub comment: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl TableDef {
    /// Position of the column with that name, compared exactly.
    #[must_use]
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Positions of the primary key columns, in key order.
    pub fn key_indexes(&self) -> impl Iterator<Item = usize> + '_ {
        self.primary_key
            .iter()
            .filter_map(|id| self.columns.iter().position(|column| column.id == *id))
    }

    #[must_use]
    pub fn is_key(&self, column: ColumnId) -> bool {
        self.primary_key.contains(&column)
    }

    /// True if all callers see the same rows.
    #[must_use]
    pub fn has_one_scope(&self) -> bool {
        match self.kind {
            TableKind::User => false,
            TableKind::Shared => true,
            TableKind::Stream => self.options.access_level == AccessLevel::Public,
        }
    }
}

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceDef {
    pub name: Namespace,
    pub description: Option<String>,
    pub created_at: Timestamp,
}

/// A stored SELECT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDef {
    pub id: TableId,
    /// Names of the columns, if given; else those of the query.
    pub columns: Vec<String>,
    /// Text of the SELECT. Names without namespace mean `id.namespace`.
    pub query: String,
    pub owner: UserId,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flush_policies_round_trip() {
        for text in ["rows:1000", "interval:600", "rows:10000,interval:600"] {
            assert_eq!(
                text.parse::<FlushPolicy>()
                    .map(|p| p.to_string())
                    .as_deref(),
                Ok(text)
            );
        }
        for bad in [
            "",
            "rows",
            "rows:0",
            "rows:x",
            "rows:1,rows:2",
            "size:3",
            "rows:-1",
        ] {
            assert!(bad.parse::<FlushPolicy>().is_err(), "{bad:?}");
        }
    }
}
