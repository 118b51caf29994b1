//! Which filter may go where, with the reason.
//!
//! | Filter | Where | Why |
//! |---|---|---|
//! | any expression of columns, literals and functions that are not volatile | the scan, exact | the scan evaluates it with DataFusion's own code before it decodes the other columns, so the result is the same and LIMIT can follow |
//! | comparison of `_seq` with a literal | also narrows the range that is read | rows are stored in `_seq` order |
//! | `=` or IN with literals on every column of the primary key | also becomes lookups in the key index | at most one live row per key and scope; not for STREAM tables, which have no key index |
//! | comparison of the first column of the primary key with literals | also becomes a range of the key index | keys are stored in the order of their values; a range of many keys is left to the scan |
//! | volatile functions | above the scan | must be evaluated once per row that reaches them |
//! | subqueries, outer references | above the scan | need a plan of their own |
//!
//! Narrowing never replaces the filter: each row that is read is still checked.

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use kalam_link_core::{DataType, SeqId, Value};
use kalam_model::{RowKey, TableDef};
use kalam_store::hot::KeyRange;

use crate::value;

pub(crate) use kalam_store::arrow_types::SEQ_COLUMN;

/// More keys than this are read faster by a scan.
const KEYS_MAX: usize = 1_024;

/// Whether the scan may evaluate `filter`.
pub(crate) fn placement(filter: &Expr) -> TableProviderFilterPushDown {
    let mut evaluable = !filter.is_volatile();
    let visited = filter.apply(|expr| {
        if matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::Exists(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Placeholder(_)
                | Expr::ScalarVariable(..)
        ) {
            evaluable = false;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    if visited.is_ok() && evaluable {
        TableProviderFilterPushDown::Exact
    } else {
        TableProviderFilterPushDown::Unsupported
    }
}

/// Sequence numbers that a scan has to read, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeqRange {
    pub first: SeqId,
    pub last: SeqId,
}

impl SeqRange {
    pub const ALL: Self = Self {
        first: SeqId::ZERO,
        last: SeqId(u64::MAX),
    };

    pub fn is_empty(self) -> bool {
        self.first > self.last
    }

    fn at_least(&mut self, seq: u64) {
        self.first = self.first.max(SeqId(seq));
    }

    fn at_most(&mut self, seq: Option<u64>) {
        match seq {
            Some(seq) => self.last = self.last.min(SeqId(seq)),
            None => {
                *self = Self {
                    first: SeqId(1),
                    last: SeqId::ZERO,
                }
            }
        }
    }

    fn narrow(&mut self, operator: Operator, bound: i64) {
        // Sequence numbers are not negative: bounds below zero let all rows through or none.
        let at = u64::try_from(bound).ok();
        match operator {
            Operator::Eq => {
                self.at_least(at.unwrap_or(0));
                self.at_most(at);
            }
            Operator::Gt => self.at_least(at.map_or(0, |at| at.saturating_add(1))),
            Operator::GtEq => self.at_least(at.unwrap_or(0)),
            Operator::Lt => self.at_most(at.and_then(|at| at.checked_sub(1))),
            Operator::LtEq => self.at_most(at),
            _ => {}
        }
    }
}

/// The range of `_seq` outside of which no row passes all `filters`.
pub(crate) fn seq_range(filters: &[Expr]) -> SeqRange {
    let mut range = SeqRange::ALL;
    for filter in filters {
        match filter {
            Expr::BinaryExpr(comparison) => {
                if let Some((column, operator, ScalarValue::Int64(Some(bound)))) =
                    column_and_literal(comparison)
                    && column == SEQ_COLUMN
                {
                    range.narrow(operator, *bound);
                }
            }
            Expr::Between(between) if !between.negated && is_column(&between.expr, SEQ_COLUMN) => {
                if let Expr::Literal(ScalarValue::Int64(Some(low)), _) = &*between.low {
                    range.narrow(Operator::GtEq, *low);
                }
                if let Expr::Literal(ScalarValue::Int64(Some(high)), _) = &*between.high {
                    range.narrow(Operator::LtEq, *high);
                }
            }
            _ => {}
        }
    }
    range
}

/// The only keys that can pass all `filters`, if they name every column of the primary key.
pub(crate) fn keys(filters: &[Expr], table: &TableDef) -> Option<Vec<RowKey>> {
    let mut keys = vec![Vec::<Value>::new()];
    let mut any = false;
    for index in table.key_indexes() {
        any = true;
        let column = &table.columns[index];
        let values = filters
            .iter()
            .find_map(|filter| allowed_values(filter, &column.name))?;
        let values = values
            .into_iter()
            .map(|scalar| value::value_of(scalar, column.data_type))
            .collect::<Option<Vec<_>>>()?;
        keys = keys
            .iter()
            .flat_map(|key| {
                values
                    .iter()
                    .map(|value| key.iter().cloned().chain([value.clone()]).collect())
            })
            .collect();
        if keys.len() > KEYS_MAX {
            return None;
        }
    }
    if !any {
        return None;
    }
    keys.iter()
        .map(|key| kalam_store::key::encode_key(&key.iter().collect::<Vec<_>>()))
        .collect()
}

/// The range of keys outside of which no row passes all `filters`, by the first column of the primary key; `None` if they
/// leave out none.
pub(crate) fn key_range(filters: &[Expr], table: &TableDef) -> Option<KeyRange> {
    let column = &table.columns[table.key_indexes().next()?];
    if !is_ordered_alike(column.data_type) {
        return None;
    }
    let mut range = KeyRange::default();
    let mut narrow = |operator: Operator, scalar: &ScalarValue| {
        let beginning = value::value_of(scalar, column.data_type)
            .and_then(|bound| kalam_store::key::encode_key(&[&bound]));
        // NULL compares with nothing, and is left to the filter.
        let Some(beginning) = beginning else { return };
        match operator {
            Operator::Eq => {
                range.at_least(&beginning);
                range.at_most(&beginning);
            }
            Operator::Gt => range.above(&beginning),
            Operator::GtEq => range.at_least(&beginning),
            Operator::Lt => range.below(&beginning),
            Operator::LtEq => range.at_most(&beginning),
            _ => {}
        }
    };
    for filter in filters {
        match filter {
            Expr::BinaryExpr(comparison) => {
                if let Some((name, operator, scalar)) = column_and_literal(comparison)
                    && name == column.name
                {
                    narrow(operator, scalar);
                }
            }
            Expr::Between(between)
                if !between.negated && is_column(&between.expr, &column.name) =>
            {
                if let Expr::Literal(low, _) = &*between.low {
                    narrow(Operator::GtEq, low);
                }
                if let Expr::Literal(high, _) = &*between.high {
                    narrow(Operator::LtEq, high);
                }
            }
            _ => {}
        }
    }
    (!range.is_whole()).then_some(range)
}

/// Whether DataFusion compares values of the type as their keys are stored, and writes literals of the column's own type.
const fn is_ordered_alike(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::SmallInt
            | DataType::Int
            | DataType::BigInt
            | DataType::Text
            | DataType::Timestamp
            | DataType::DateTime
            | DataType::Date
            | DataType::Time
    )
}

/// The literals that `filter` allows in `column`, if it is an equality. NULL equals nothing.
fn allowed_values<'a>(filter: &'a Expr, column: &str) -> Option<Vec<&'a ScalarValue>> {
    match filter {
        Expr::BinaryExpr(comparison) => match column_and_literal(comparison) {
            Some((name, Operator::Eq, scalar)) if name == column => Some(if scalar.is_null() {
                Vec::new()
            } else {
                vec![scalar]
            }),
            _ => or_values(comparison, column),
        },
        Expr::InList(list) if !list.negated && is_column(&list.expr, column) => {
            let literals = list.list.iter().map(|item| match item {
                Expr::Literal(scalar, _) => Some(scalar),
                _ => None,
            });
            let literals = literals.collect::<Option<Vec<_>>>()?;
            Some(
                literals
                    .into_iter()
                    .filter(|scalar| !scalar.is_null())
                    .collect(),
            )
        }
        _ => None,
    }
}

/// Short IN lists reach the scan as `a = 1 OR a = 2`.
fn or_values<'a>(either: &'a BinaryExpr, column: &str) -> Option<Vec<&'a ScalarValue>> {
    if either.op != Operator::Or {
        return None;
    }
    let mut values = allowed_values(&either.left, column)?;
    values.extend(allowed_values(&either.right, column)?);
    Some(values)
}

/// `column operator literal`, turned round if it was written the other way.
fn column_and_literal(comparison: &BinaryExpr) -> Option<(&str, Operator, &ScalarValue)> {
    match (&*comparison.left, &*comparison.right) {
        (Expr::Column(column), Expr::Literal(scalar, _)) => {
            Some((&column.name, comparison.op, scalar))
        }
        (Expr::Literal(scalar, _), Expr::Column(column)) => comparison
            .op
            .swap()
            .map(|swapped| (column.name.as_str(), swapped, scalar)),
        _ => None,
    }
}

fn is_column(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Column(column) if column.name == name)
}

#[cfg(test)]
mod tests;
