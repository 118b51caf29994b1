//! Rows and their keys.

use kalam_link_core::Value;
use serde::{Deserialize, Serialize};

/// The values of a row in column order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// Memory that the row occupies, in bytes. For limits.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.0
            .iter()
            .map(|value| size_of::<Value>() + value.heap_bytes())
            .sum()
    }

    /// Size of the row when it is stored or sent, a little overestimated.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        const FIXED_BYTES: usize = 10;
        self.0
            .iter()
            .map(|value| FIXED_BYTES + value.heap_bytes())
            .sum()
    }
}

/// The primary key of a row, encoded so that the order of the bytes is the order of the values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowKey(pub Vec<u8>);
