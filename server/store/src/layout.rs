//! Layouts: where each column of a table stands in stored rows, in every version of the table's schema.

use std::collections::BTreeMap;
use std::sync::Arc;

use kalam_link_core::{DataType, Value};
use kalam_model::{Row, RowKey, TableDef};

use crate::key;

/// A table's definition with all older versions: what is needed to read rows written by any of them.
#[derive(Clone, Debug)]
pub struct Layouts {
    current: Arc<TableDef>,
    newest: Arc<StoredLayout>,
    older: BTreeMap<u32, Arc<StoredLayout>>,
    /// What rows without the column hold, in the column's type of today.
    initial: Vec<Value>,
    key_indexes: Vec<usize>,
}

/// How rows of one schema version are stored.
#[derive(Debug)]
pub(crate) struct StoredLayout {
    pub(crate) def: Arc<TableDef>,
    /// In the order of this version's columns.
    pub(crate) cells: Vec<Cell>,
    /// Where the columns of the current version are, in their order; `None` if this version did not have the column.
    pub(crate) sources: Vec<Option<Cell>>,
    pub(crate) bitmap_bytes: usize,
    pub(crate) fixed_bytes: usize,
    pub(crate) var_cells: usize,
}

/// Where a value stands in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    /// Set if the value is NULL.
    pub(crate) null_bit: usize,
    pub(crate) place: Place,
    pub(crate) data_type: DataType,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Fixed {
        offset: usize,
        length: usize,
    },
    /// Which of the values with variable length.
    Var {
        index: usize,
    },
}

impl Layouts {
    /// All versions of one table, in any order; the highest one is the current.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn new(versions: Vec<TableDef>) -> Self {
        let mut versions: Vec<_> = versions.into_iter().map(Arc::new).collect();
        versions.sort_by_key(|def| def.schema_version);
        let current = versions.pop().expect("a table has at least one version");
        Self::build(current, versions.into_iter())
    }

    /// The layouts after an ALTER.
    #[must_use]
    pub fn with(&self, newer: impl Into<Arc<TableDef>>) -> Self {
        let known = self.older.values().chain([&self.newest]);
        Self::build(newer.into(), known.map(|layout| Arc::clone(&layout.def)))
    }

    fn build(current: Arc<TableDef>, older: impl Iterator<Item = Arc<TableDef>>) -> Self {
        let newest = Arc::new(StoredLayout::new(Arc::clone(&current), &current));
        let older = older
            .filter(|def| def.schema_version != current.schema_version)
            .map(|def| {
                (
                    def.schema_version,
                    Arc::new(StoredLayout::new(def, &current)),
                )
            })
            .collect();
        let initial = current
            .columns
            .iter()
            .map(|column| {
                widen(column.initial.clone(), column.data_type)
                    .unwrap_or_else(|| column.initial.clone())
            })
            .collect();
        let key_indexes = current.key_indexes().collect();
        Self {
            current,
            newest,
            older,
            initial,
            key_indexes,
        }
    }

    #[must_use]
    pub fn current(&self) -> &Arc<TableDef> {
        &self.current
    }

    /// The key of a row of the current version. `None` if the table has no key, or a key column is NULL.
    #[must_use]
    pub fn key_of(&self, row: &Row) -> Option<RowKey> {
        if self.key_indexes.is_empty() {
            return None;
        }
        let values: Option<Vec<&Value>> = self
            .key_indexes
            .iter()
            .map(|index| row.0.get(*index))
            .collect();
        key::encode_key(&values?)
    }

    /// The types of the primary key's columns, in key order.
    #[must_use]
    pub fn key_types(&self) -> Vec<DataType> {
        self.key_indexes
            .iter()
            .map(|index| self.current.columns[*index].data_type)
            .collect()
    }

    pub(crate) fn newest(&self) -> &StoredLayout {
        &self.newest
    }

    pub(crate) fn version(&self, version: u32) -> Option<&StoredLayout> {
        if version == self.current.schema_version {
            return Some(&self.newest);
        }
        self.older.get(&version).map(AsRef::as_ref)
    }

    /// What rows hold that were written before the column existed.
    pub(crate) fn initial(&self, column: usize) -> &Value {
        &self.initial[column]
    }
}

impl StoredLayout {
    fn new(def: Arc<TableDef>, current: &TableDef) -> Self {
        let (mut fixed_bytes, mut var_cells) = (0, 0);
        let cells: Vec<Cell> = def
            .columns
            .iter()
            .enumerate()
            .map(|(position, column)| {
                let place = match fixed_length(column.data_type) {
                    Some(length) => {
                        fixed_bytes += length;
                        Place::Fixed {
                            offset: fixed_bytes - length,
                            length,
                        }
                    }
                    None => {
                        var_cells += 1;
                        Place::Var {
                            index: var_cells - 1,
                        }
                    }
                };
                Cell {
                    null_bit: position + 1,
                    place,
                    data_type: column.data_type,
                }
            })
            .collect();
        let sources = current
            .columns
            .iter()
            .map(|column| Some(cells[def.columns.iter().position(|old| old.id == column.id)?]))
            .collect();
        let bitmap_bytes = (cells.len() + 1).div_ceil(8);
        Self {
            def,
            cells,
            sources,
            bitmap_bytes,
            fixed_bytes,
            var_cells,
        }
    }
}

/// Decimals up to here fit into 64 bits.
const SHORT_DECIMAL_DIGITS: u8 = 18;

/// Bytes of a stored value; `None` if they depend on the value.
fn fixed_length(data_type: DataType) -> Option<usize> {
    Some(match data_type {
        DataType::Boolean => 1,
        DataType::SmallInt => 2,
        DataType::Int | DataType::Float | DataType::Date => 4,
        DataType::BigInt
        | DataType::Double
        | DataType::Timestamp
        | DataType::DateTime
        | DataType::Time => 8,
        DataType::Decimal { precision, .. } if precision <= SHORT_DECIMAL_DIGITS => 8,
        DataType::Decimal { .. } | DataType::Uuid => 16,
        DataType::Text | DataType::Json | DataType::Bytes | DataType::Embedding(_) => return None,
    })
}

/// Whether every value of one type is also a value of the other: what MODIFY COLUMN may do.
#[must_use]
pub fn widens(from: DataType, to: DataType) -> bool {
    use DataType::{BigInt, Decimal, Double, Float, Int, SmallInt};
    match (from, to) {
        (SmallInt, Int | BigInt) | (Int, BigInt) | (Float, Double) => true,
        (
            Decimal {
                precision: p,
                scale: s,
            },
            Decimal { precision, scale },
        ) => s <= scale && i16::from(p) - i16::from(s) <= i16::from(precision) - i16::from(scale),
        _ => from == to,
    }
}

/// The value in a wider type; `None` if it does not have one.
pub(crate) fn widen(value: Value, to: DataType) -> Option<Value> {
    Some(match (value, to) {
        (Value::SmallInt(number), DataType::Int) => Value::Int(number.into()),
        (Value::SmallInt(number), DataType::BigInt) => Value::BigInt(number.into()),
        (Value::Int(number), DataType::BigInt) => Value::BigInt(number.into()),
        (Value::Float(number), DataType::Double) => Value::Double(number.into()),
        (Value::Decimal(number), DataType::Decimal { precision, scale }) => {
            Value::Decimal(number.rescale(precision, scale).ok()?)
        }
        (Value::Null, _) => Value::Null,
        (value, to) => return (value.data_type() == Some(to)).then_some(value),
    })
}
