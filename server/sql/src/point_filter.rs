//! Filters that name rows by their primary key, so that no scan is needed.

use std::cmp::Ordering;

use kalam_link_core::{DataType, Decimal, Value};
use kalam_model::TableDef;
use sqlparser::ast::{self, BinaryOperator};

use crate::coerce::{canonical, canonical_single, time};
use crate::error::Error;
use crate::eval::cast::is_foreign_time;
use crate::expr::compile::qualifies;
use crate::expr::sides::takes_cells;
use crate::expr::{ColumnScope, EvalContext, Expr, RowValues, compile};
use crate::params;

/// Longer IN lists are scanned for.
const KEYS_MAX: usize = 1_000;

/// `pk = constant [AND pk2 = constant …] [AND rest]` or `pk IN (constants) [AND rest]`.
#[derive(Clone, Debug)]
pub struct PointFilter {
    /// Each with one expression per key column, in key order.
    candidates: Vec<Vec<Expr>>,
    key_types: Vec<DataType>,
    /// What a row with such a key must fulfil besides.
    pub rest: Vec<ast::Expr>,
}

impl PointFilter {
    /// The keys that can match: values of the types of the key columns, in key order, rising and without repetition.
    /// `None` if a constant has a type in which equality is not that of the key, such as a DOUBLE for a BIGINT key:
    /// then the rows must be scanned for.
    pub fn keys(&self, context: &EvalContext<'_>) -> Result<Option<Vec<Vec<Value>>>, Error> {
        let mut keys = Vec::with_capacity(self.candidates.len());
        'candidates: for candidate in &self.candidates {
            let mut key = Vec::with_capacity(candidate.len());
            for (constant, data_type) in candidate.iter().zip(&self.key_types) {
                match equal_key(constant_value(constant, *data_type, context)?, *data_type) {
                    KeyPart::Equals(value) => key.push(value),
                    KeyPart::Never => continue 'candidates,
                    KeyPart::Unsure => return Ok(None),
                }
            }
            keys.push(key);
        }
        keys.sort_by(|a: &Vec<Value>, b| compare_keys(a, b));
        keys.dedup_by(|a, b| compare_keys(a, b).is_eq());
        Ok(Some(keys))
    }
}

fn compare_keys(a: &[Value], b: &[Value]) -> Ordering {
    a.iter()
        .zip(b)
        .filter_map(|(a, b)| a.compare(b))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn constant_value(
    constant: &Expr,
    data_type: DataType,
    context: &EvalContext<'_>,
) -> Result<Value, Error> {
    match constant.parameter() {
        Some(index) if takes_cells(data_type) || matches!(data_type, DataType::Decimal { .. }) => {
            params::read(context.params, index, Some(data_type))
        }
        _ => match (constant.exact_number(), data_type) {
            (Some(number), DataType::Decimal { .. }) => Ok(Value::Decimal(number)),
            _ => constant.eval(&RowValues::NONE, context),
        },
    }
}

/// The lookup that `filter` is, if it names its rows by their whole key.
#[must_use]
pub fn primary_key_lookup(
    filter: &ast::Expr,
    table: &TableDef,
    alias: Option<&str>,
) -> Option<PointFilter> {
    let key: Vec<usize> = table.key_indexes().collect();
    if key.is_empty() {
        return None;
    }
    let mut parts: Vec<Option<Expr>> = vec![None; key.len()];
    let mut list: Option<Vec<Expr>> = None;
    let mut rest = Vec::new();
    for conjunct in conjuncts(filter) {
        let column_part = |column: &ast::Expr| {
            let index = column_index(column, table, alias)?;
            key.iter().position(|key_index| *key_index == index)
        };
        match key_condition(conjunct, &column_part) {
            Some((part, Condition::Equals(constant)))
                if parts[part].is_none() && list.is_none() =>
            {
                parts[part] = Some(constant);
            }
            Some((_, Condition::OneOf(constants)))
                if key.len() == 1 && parts[0].is_none() && list.is_none() =>
            {
                list = Some(constants);
            }
            _ => rest.push(conjunct.clone()),
        }
    }
    let candidates = match list {
        Some(constants) => constants
            .into_iter()
            .map(|constant| vec![constant])
            .collect(),
        None => vec![parts.into_iter().collect::<Option<Vec<_>>>()?],
    };
    let key_types = key
        .iter()
        .map(|index| table.columns[*index].data_type)
        .collect();
    Some(PointFilter {
        candidates,
        key_types,
        rest,
    })
}

/// The operands of a chain of AND, in the order in which they are written.
fn conjuncts(filter: &ast::Expr) -> Vec<&ast::Expr> {
    let mut pending = vec![filter];
    let mut found = Vec::new();
    while let Some(expr) = pending.pop() {
        match expr {
            ast::Expr::Nested(inner) => pending.push(inner),
            ast::Expr::BinaryOp {
                left,
                op: BinaryOperator::And,
                right,
            } => pending.extend([&**right, &**left]),
            other => found.push(other),
        }
    }
    found
}

enum Condition {
    Equals(Expr),
    OneOf(Vec<Expr>),
}

/// The condition that `conjunct` puts on a part of the key.
fn key_condition(
    conjunct: &ast::Expr,
    column_part: &impl Fn(&ast::Expr) -> Option<usize>,
) -> Option<(usize, Condition)> {
    match conjunct {
        ast::Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        } => {
            let (part, other) = match (column_part(left), column_part(right)) {
                (Some(part), None) => (part, right),
                (None, Some(part)) => (part, left),
                _ => return None,
            };
            Some((part, Condition::Equals(constant(other)?)))
        }
        ast::Expr::InList {
            expr,
            list,
            negated: false,
        } if list.len() <= KEYS_MAX => {
            let part = column_part(expr)?;
            Some((
                part,
                Condition::OneOf(list.iter().map(constant).collect::<Option<_>>()?),
            ))
        }
        _ => None,
    }
}

fn constant(ast: &ast::Expr) -> Option<Expr> {
    compile(ast, &ColumnScope::None)
        .ok()
        .filter(|constant| !constant.is_volatile())
}

fn column_index(ast: &ast::Expr, table: &TableDef, alias: Option<&str>) -> Option<usize> {
    let names: Vec<String> = match ast {
        ast::Expr::Nested(inner) => return column_index(inner, table, alias),
        ast::Expr::Identifier(name) => vec![crate::fold(name)],
        ast::Expr::CompoundIdentifier(parts) => parts.iter().map(crate::fold).collect(),
        _ => return None,
    };
    let (name, qualifier) = names.split_last()?;
    qualifies(qualifier, table, alias)
        .then(|| table.column_index(name))
        .flatten()
}

pub(crate) enum KeyPart {
    Equals(Value),
    /// NULL, or beyond the type.
    Never,
    Unsure,
}

/// The one value of a key column that equals `constant`, as comparisons of these types go.
pub(crate) fn equal_key(constant: Value, data_type: DataType) -> KeyPart {
    use DataType as D;
    let sure = |value: Option<Value>| value.map_or(KeyPart::Unsure, KeyPart::Equals);
    match (data_type, constant) {
        (_, Value::Null) => KeyPart::Never,
        (D::Boolean, constant @ Value::Boolean(_))
        | (D::Bytes, constant @ Value::Bytes(_))
        | (D::Uuid, constant @ Value::Uuid(_))
        | (D::Date, constant @ Value::Date(_))
        | (D::Time, constant @ Value::Time(_)) => KeyPart::Equals(constant),
        (D::Bytes, Value::Text(text)) => KeyPart::Equals(Value::Bytes(text.into_bytes())),
        (D::SmallInt | D::Int | D::BigInt, constant) => match integer(&constant) {
            Some(number) => integer_key(number, data_type).map_or(KeyPart::Never, KeyPart::Equals),
            None => KeyPart::Unsure,
        },
        (D::Double, Value::Double(number)) => KeyPart::Equals(Value::Double(canonical(number))),
        (D::Float, Value::Float(number)) => KeyPart::Equals(Value::Float(canonical_single(number))),
        (D::Decimal { precision, scale }, constant) => sure(
            decimal(&constant)
                .and_then(|number| number.rescale(precision, scale).ok().map(Value::Decimal)),
        ),
        (D::Text, Value::Text(text) | Value::Json(text)) => KeyPart::Equals(Value::Text(text)),
        (D::Json, Value::Text(text) | Value::Json(text)) => KeyPart::Equals(Value::Json(text)),
        (D::Uuid, Value::Text(text)) => {
            sure(kalam_link_core::cell::parse_uuid(&text).map(Value::Uuid))
        }
        (D::Timestamp, Value::Timestamp(micros) | Value::DateTime(micros)) => {
            KeyPart::Equals(Value::Timestamp(micros))
        }
        (D::DateTime, Value::Timestamp(micros) | Value::DateTime(micros)) => {
            KeyPart::Equals(Value::DateTime(micros))
        }
        (D::Timestamp | D::DateTime | D::Date | D::Time, Value::Text(text)) => {
            sure(time_key(&text, data_type))
        }
        _ => KeyPart::Unsure,
    }
}

fn integer(constant: &Value) -> Option<i64> {
    match constant {
        Value::SmallInt(number) => Some(i64::from(*number)),
        Value::Int(number) => Some(i64::from(*number)),
        Value::BigInt(number) => Some(*number),
        Value::Text(text) => {
            let plain = text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-');
            plain.then(|| text.parse().ok()).flatten()
        }
        _ => None,
    }
}

fn integer_key(number: i64, data_type: DataType) -> Option<Value> {
    match data_type {
        DataType::SmallInt => i16::try_from(number).ok().map(Value::SmallInt),
        DataType::Int => i32::try_from(number).ok().map(Value::Int),
        _ => Some(Value::BigInt(number)),
    }
}

fn decimal(constant: &Value) -> Option<Decimal> {
    match constant {
        Value::Decimal(number) => Some(*number),
        Value::SmallInt(_) | Value::Int(_) | Value::BigInt(_) => {
            integer(constant).map(Decimal::from)
        }
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn time_key(text: &str, data_type: DataType) -> Option<Value> {
    if is_foreign_time(text, data_type) {
        return None;
    }
    match data_type {
        DataType::Date => time::parse_date(text).map(Value::Date),
        DataType::Time => time::parse_time(text).map(|time| Value::Time(time.micros)),
        DataType::Timestamp => {
            time::parse_date_time(text).map(|time| Value::Timestamp(time.utc_micros()))
        }
        _ => time::parse_date_time(text).map(|time| Value::DateTime(time.utc_micros())),
    }
}

#[cfg(test)]
mod tests;
