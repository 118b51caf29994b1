//! The filter of a live query: SQL's three-valued logic over one row, without a planner. It gives for each row what
//! DataFusion gives for the same filter; what it could not evaluate so is refused when the subscription begins.

use kalam_link_core::{SeqId, UserId, Value};
use kalam_model::TableDef;
use serde_json::Value as Json;
use sqlparser::ast;

use crate::error::Error;
use crate::expr::settle::Settle;
use crate::expr::{ColumnScope, Comparison, Node, RowValues, Typed, compile};
use crate::point_filter::{KeyPart, equal_key};

/// A row filter with the values of its parameters and of CURRENT_USER() in it.
#[derive(Clone, Debug)]
pub struct Predicate {
    root: Typed,
    equality: Option<(usize, Value)>,
}

impl Predicate {
    /// Refuses whatever depends on more than the row, and whatever only the planner can evaluate.
    pub fn bind(
        filter: &ast::Expr,
        table: &TableDef,
        alias: Option<&str>,
        params: &[Json],
        user: &UserId,
    ) -> Result<Self, Error> {
        let compiled = compile(filter, &ColumnScope::Table { table, alias })?;
        let settle = Settle {
            params,
            user,
            ast: filter,
        };
        let root = settle.filter(compiled.root)?;
        let equality = equality(&root, table);
        Ok(Self { root, equality })
    }

    /// Whether the row passes: a filter that is NULL does not let it. `row` has the values of all columns, `seq` is its
    /// `_seq`. Errors are those of the expression on this row, such as a division by zero.
    pub fn matches(&self, row: &[Value], seq: SeqId) -> Result<bool, Error> {
        Ok(self.root.truth(&RowValues::new(row, seq), None)? == Some(true))
    }

    /// A column, and the one value in it with which a row can pass; if the filter is such that one follows.
    #[must_use]
    pub fn equality(&self) -> Option<(usize, &Value)> {
        let (column, value) = self.equality.as_ref()?;
        Some((*column, value))
    }
}

fn equality(root: &Typed, table: &TableDef) -> Option<(usize, Value)> {
    let conjuncts = match &root.node {
        Node::And(operands) => operands.as_slice(),
        _ => std::slice::from_ref(root),
    };
    conjuncts.iter().find_map(|conjunct| {
        let Node::Compare {
            operator: Comparison::Equal,
            operands,
        } = &conjunct.node
        else {
            return None;
        };
        let (column, constant) = match (&operands[0].node, &operands[1].node) {
            (Node::Column(column), Node::Constant(constant))
            | (Node::Constant(constant), Node::Column(column)) => (*column, constant),
            _ => return None,
        };
        match equal_key(constant.clone(), table.columns[column].data_type) {
            KeyPart::Equals(value) => Some((column, value)),
            KeyPart::Never | KeyPart::Unsure => None,
        }
    })
}

#[cfg(test)]
mod tests;
