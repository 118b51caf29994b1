//! A subscription whose names, parameters and caller are known.

use std::cmp::Ordering;

use kalam_link_core::{DataType, SeqId, UserId, Value};
use kalam_model::TableDef;
use serde_json::Value as Json;

use super::{ColumnName, Limit, SelectedName, Subscription, in_subscription};
use crate::error::Error;
use crate::eval::compare::compare;
use crate::expr::compile::{SEQ, qualifies};
use crate::predicate::Predicate;

/// A query that can be evaluated on single rows of a table.
#[derive(Clone, Debug)]
pub struct LiveQuery {
    /// As written after SELECT.
    pub selected: Vec<SelectedColumn>,
    /// Columns that the receiver needs: those selected, then the primary key and those of ORDER BY. Each once.
    pub carried: Vec<usize>,
    /// None lets every row pass.
    pub predicate: Option<Predicate>,
    pub order_by: Vec<OrderTerm>,
    pub limit: Option<u64>,
    /// Positions of the primary key.
    key: Vec<usize>,
}

/// What a name in SELECT or ORDER BY stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectedColumn {
    /// By position in the table.
    Column(usize),
    /// `_seq`.
    Seq,
}

/// A term of ORDER BY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderTerm {
    pub column: SelectedColumn,
    pub descending: bool,
    pub nulls_first: bool,
}

impl LiveQuery {
    /// Where one row stands beside another: by ORDER BY, then by primary key, then by `_seq`, so that the order is
    /// total. Each row is its values and its `_seq`.
    #[must_use]
    pub fn compare(&self, a: (&[Value], SeqId), b: (&[Value], SeqId)) -> Ordering {
        self.order_by
            .iter()
            .map(|term| term.compare(a, b))
            .chain(self.key.iter().map(|index| {
                let (left, right) = (&a.0[*index], &b.0[*index]);
                left.compare(right).unwrap_or(Ordering::Equal)
            }))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| a.1.cmp(&b.1))
    }
}

impl OrderTerm {
    fn compare(&self, a: (&[Value], SeqId), b: (&[Value], SeqId)) -> Ordering {
        let index = match self.column {
            SelectedColumn::Seq => return self.directed(a.1.cmp(&b.1)),
            SelectedColumn::Column(index) => index,
        };
        let (left, right) = (&a.0[index], &b.0[index]);
        let nulls = if self.nulls_first {
            Ordering::Less
        } else {
            Ordering::Greater
        };
        match (left.is_null(), right.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) => nulls,
            (false, true) => nulls.reverse(),
            // Values of one column have an order; those whose type has none were refused.
            (false, false) => self.directed(
                compare(left, right)
                    .ok()
                    .flatten()
                    .unwrap_or(Ordering::Equal),
            ),
        }
    }

    const fn directed(&self, order: Ordering) -> Ordering {
        if self.descending {
            order.reverse()
        } else {
            order
        }
    }
}

impl Subscription {
    /// Resolves the names, reads the parameters and puts `user` in the place of CURRENT_USER(). Refuses with INVALID_SQL
    /// or INVALID_PARAMETER what cannot be evaluated exactly, row by row.
    pub fn bind(
        &self,
        table: &TableDef,
        params: &[Json],
        user: &UserId,
    ) -> Result<LiveQuery, Error> {
        let (given, used) = (params.len(), self.parameters);
        if given > used {
            return Err(Error::SuperfluousParameters { given, used });
        }
        let predicate = self
            .filter
            .as_ref()
            .map(|filter| Predicate::bind(filter, table, self.alias.as_deref(), params, user))
            .transpose()
            .map_err(in_subscription)?;
        let selected = self.selected(table)?;
        let order_by = self
            .order_by
            .iter()
            .map(|term| {
                let column = self.column(&term.column, table)?;
                check_order(column, table)?;
                Ok(OrderTerm {
                    column,
                    descending: term.descending,
                    // As in a query: NULL counts as greater than every value.
                    nulls_first: term.nulls_first.unwrap_or(term.descending),
                })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let key: Vec<usize> = table.key_indexes().collect();
        Ok(LiveQuery {
            carried: carried(&selected, &key, &order_by),
            selected,
            predicate,
            order_by,
            limit: self.limit_of(params)?,
            key,
        })
    }

    fn selected(&self, table: &TableDef) -> Result<Vec<SelectedColumn>, Error> {
        let mut selected = Vec::new();
        for item in &self.columns {
            match item {
                SelectedName::All { qualifier } => {
                    if !qualifies(qualifier, table, self.alias.as_deref()) {
                        return Err(Error::UnknownColumn {
                            column: format!("{}.*", qualifier.join(".")),
                        });
                    }
                    selected.extend((0..table.columns.len()).map(SelectedColumn::Column));
                }
                SelectedName::Column(name) => {
                    let column = self.column(name, table)?;
                    if selected.contains(&column) {
                        return Err(Error::invalid(format!(
                            "column {name} is selected more than once"
                        )));
                    }
                    selected.push(column);
                }
            }
        }
        Ok(selected)
    }

    fn column(&self, name: &ColumnName, table: &TableDef) -> Result<SelectedColumn, Error> {
        let unknown = || Error::UnknownColumn {
            column: name.to_string(),
        };
        if !qualifies(&name.qualifier, table, self.alias.as_deref()) {
            return Err(unknown());
        }
        if name.name == SEQ {
            return Ok(SelectedColumn::Seq);
        }
        let index = table.column_index(&name.name).ok_or_else(unknown)?;
        Ok(SelectedColumn::Column(index))
    }

    fn limit_of(&self, params: &[Json]) -> Result<Option<u64>, Error> {
        let index = match self.limit {
            None => return Ok(None),
            Some(Limit::Rows(rows)) => return Ok(Some(rows)),
            Some(Limit::Parameter(index)) => index,
        };
        let given = params
            .get(index)
            .ok_or(Error::MissingParameter { index: index + 1 })?;
        if given.is_null() {
            return Ok(None);
        }
        let rows = given
            .as_u64()
            .or_else(|| given.as_str().and_then(|text| text.parse().ok()));
        rows.map(Some).ok_or_else(|| Error::Parameter {
            index: index + 1,
            message: "LIMIT takes a whole number of rows".to_owned(),
        })
    }
}

fn check_order(column: SelectedColumn, table: &TableDef) -> Result<(), Error> {
    let SelectedColumn::Column(index) = column else {
        return Ok(());
    };
    let column = &table.columns[index];
    match column.data_type {
        DataType::Embedding(_) => Err(Error::invalid(format!(
            "ORDER BY {} is not possible: its type {} has no order",
            column.name, column.data_type
        ))),
        _ => Ok(()),
    }
}

fn carried(selected: &[SelectedColumn], key: &[usize], order_by: &[OrderTerm]) -> Vec<usize> {
    let position = |column: &SelectedColumn| match column {
        SelectedColumn::Column(index) => Some(*index),
        SelectedColumn::Seq => None,
    };
    let mut carried: Vec<usize> = Vec::new();
    let all = selected
        .iter()
        .filter_map(position)
        .chain(key.iter().copied())
        .chain(order_by.iter().filter_map(|term| position(&term.column)));
    for index in all {
        if !carried.contains(&index) {
            carried.push(index);
        }
    }
    carried
}

#[cfg(test)]
mod tests;
