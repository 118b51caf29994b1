//! Evaluation of compiled expressions: three-valued logic, and nothing allocated for columns and constants.

use std::borrow::Cow;
use std::cmp::Ordering;

use kalam_link_core::{DataType, Value};

use crate::error::Error;
use crate::expr::{Comparison, EvalContext, Letters, Node, RowValues, Typed};
use crate::params;

pub(crate) mod arithmetic;
pub(crate) mod cast;
pub(crate) mod compare;
pub(crate) mod like;

use compare::compare;

static NULL: Value = Value::Null;

impl Typed {
    /// `context` is missing only while constants are folded, where nothing can ask for it.
    pub(crate) fn eval<'a>(
        &'a self,
        rows: &RowValues<'a>,
        context: Option<&EvalContext<'_>>,
    ) -> Result<Cow<'a, Value>, Error> {
        let value = match &self.node {
            Node::Constant(value) => return Ok(Cow::Borrowed(value)),
            Node::Column(index) => {
                return Ok(Cow::Borrowed(rows.current.get(*index).unwrap_or(&NULL)));
            }
            Node::Excluded(index) => {
                return Ok(Cow::Borrowed(rows.excluded.get(*index).unwrap_or(&NULL)));
            }
            Node::Seq => Value::BigInt(i64::try_from(rows.seq.0).map_err(|_| Error::Overflow)?),
            Node::Parameter { index, data_type } => {
                params::read(needed(context)?.params, *index, *data_type)?
            }
            Node::Cast {
                input,
                target,
                on_failure,
            } => cast::cast(input.eval(rows, context)?, *target, *on_failure)?,
            Node::Negate(input) => arithmetic::negate(&*input.eval(rows, context)?)?,
            Node::Arithmetic { operator, operands } => {
                let [left, right] = &**operands;
                let left = left.eval(rows, context)?;
                arithmetic::apply(*operator, &left, &*right.eval(rows, context)?)?
            }
            Node::Concat(operands) => concat(operands, rows, context)?,
            Node::Case {
                operand,
                branches,
                otherwise,
            } => {
                return case(operand.as_deref(), branches, otherwise, rows, context);
            }
            Node::Call {
                function,
                arguments,
            } => return function.eval(arguments, rows, context),
            Node::Compare { .. }
            | Node::IsDistinct(_)
            | Node::And(_)
            | Node::Or(_)
            | Node::Not(_)
            | Node::IsNull(_)
            | Node::Is { .. }
            | Node::InList { .. }
            | Node::Between(_)
            | Node::Like { .. } => self
                .truth(rows, context)?
                .map_or(Value::Null, Value::Boolean),
        };
        Ok(Cow::Owned(value))
    }

    /// The truth value; `None` is NULL.
    pub(crate) fn truth(
        &self,
        rows: &RowValues<'_>,
        context: Option<&EvalContext<'_>>,
    ) -> Result<Option<bool>, Error> {
        Ok(match &self.node {
            Node::Compare { operator, operands } => {
                let [left, right] = &**operands;
                ordered(left, right, rows, context)?.map(|order| operator.holds(order))
            }
            Node::IsDistinct(operands) => Some(is_distinct(operands, rows, context)?),
            Node::And(operands) => junction(operands, false, rows, context)?,
            Node::Or(operands) => junction(operands, true, rows, context)?,
            Node::Not(input) => input.truth(rows, context)?.map(|truth| !truth),
            Node::IsNull(input) => Some(input.eval(rows, context)?.is_null()),
            Node::Is { input, truth } => Some(input.truth(rows, context)? == *truth),
            Node::InList { input, list } => in_list(input, list, rows, context)?,
            Node::Between(operands) => between(operands, rows, context)?,
            Node::Like {
                operands,
                escape,
                letters,
            } => like(operands, *escape, *letters, rows, context)?,
            _ => match &*self.eval(rows, context)? {
                Value::Null => None,
                Value::Boolean(truth) => Some(*truth),
                other => return Err(not_boolean(other)),
            },
        })
    }
}

pub(crate) fn needed<'c, 'e>(
    context: Option<&'c EvalContext<'e>>,
) -> Result<&'c EvalContext<'e>, Error> {
    context
        .ok_or_else(|| Error::NotSimple("an expression that depends on the statement".to_owned()))
}

fn not_boolean(value: &Value) -> Error {
    let shown = value
        .data_type()
        .map_or_else(|| "NULL".to_owned(), |data_type| data_type.to_string());
    Error::Type {
        message: format!("a condition must be BOOLEAN, not {shown}"),
    }
}

impl Comparison {
    const fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// AND stops at FALSE, OR at TRUE: `decisive`.
fn junction(
    operands: &[Typed],
    decisive: bool,
    rows: &RowValues<'_>,
    context: Option<&EvalContext<'_>>,
) -> Result<Option<bool>, Error> {
    let mut result = Some(!decisive);
    for operand in operands {
        match operand.truth(rows, context)? {
            Some(truth) if truth == decisive => return Ok(Some(decisive)),
            Some(_) => {}
            None => result = None,
        }
    }
    Ok(result)
}

fn ordered(
    left: &Typed,
    right: &Typed,
    rows: &RowValues<'_>,
    context: Option<&EvalContext<'_>>,
) -> Result<Option<Ordering>, Error> {
    let left = left.eval(rows, context)?;
    let right = right.eval(rows, context)?;
    compare(&left, &right)
}

fn is_distinct(
    operands: &[Typed; 2],
    rows: &RowValues<'_>,
    context: Option<&EvalContext<'_>>,
) -> Result<bool, Error> {
    let [left, right] = operands;
    let left = left.eval(rows, context)?;
    let right = right.eval(rows, context)?;
    Ok(match compare(&left, &right)? {
        Some(order) => order.is_ne(),
        None => left.is_null() != right.is_null(),
    })
}

fn in_list(
    input: &Typed,
    list: &[Typed],
    rows: &RowValues<'_>,
    context: Option<&EvalContext<'_>>,
) -> Result<Option<bool>, Error> {
    let input = input.eval(rows, context)?;
    let mut result = Some(false);
    for item in list {
        match compare(&input, &*item.eval(rows, context)?)? {
            Some(Ordering::Equal) => return Ok(Some(true)),
            Some(_) => {}
            None => result = None,
        }
    }
    Ok(result)
}

fn between(
    operands: &[Typed; 3],
    rows: &RowValues<'_>,
    context: Option<&EvalContext<'_>>,
) -> Result<Option<bool>, Error> {
    let [input, low, high] = operands;
    let input = input.eval(rows, context)?;
    let above = compare(&input, &*low.eval(rows, context)?)?.map(Ordering::is_ge);
    if above == Some(false) {
        return Ok(above);
    }
    let below = compare(&input, &*high.eval(rows, context)?)?.map(Ordering::is_le);
    Ok(match (above, below) {
        (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    })
}

fn like(
    operands: &[Typed; 2],
    escape: char,
    letters: Letters,
    rows: &RowValues<'_>,
    context: Option<&EvalContext<'_>>,
) -> Result<Option<bool>, Error> {
    let [input, pattern] = operands;
    let input = text_of(input.eval(rows, context)?)?;
    let pattern = text_of(pattern.eval(rows, context)?)?;
    Ok(match (input, pattern) {
        (Some(input), Some(pattern)) => Some(like::matches(&input, &pattern, escape, letters)),
        _ => None,
    })
}

/// The text of a text value; `None` for NULL. Numbers are not taken for text.
pub(crate) fn text_of(value: Cow<'_, Value>) -> Result<Option<Cow<'_, str>>, Error> {
    Ok(Some(match value {
        Cow::Borrowed(Value::Text(text) | Value::Json(text)) => Cow::Borrowed(text.as_str()),
        Cow::Owned(Value::Text(text) | Value::Json(text)) => Cow::Owned(text),
        value => match &*value {
            Value::Null => return Ok(None),
            Value::Uuid(_) => Cow::Owned(cast::to_text(&value)?),
            other => return Err(wrong_type("text", other)),
        },
    }))
}

pub(crate) fn wrong_type(expected: &str, given: &Value) -> Error {
    let given = given
        .data_type()
        .map_or_else(|| "NULL".to_owned(), |data_type| data_type.to_string());
    Error::Type {
        message: format!("expected {expected}, got {given}"),
    }
}

fn concat(
    operands: &[Typed; 2],
    rows: &RowValues<'_>,
    context: Option<&EvalContext<'_>>,
) -> Result<Value, Error> {
    let [left, right] = operands;
    let left = left.eval(rows, context)?;
    let right = right.eval(rows, context)?;
    if left.is_null() || right.is_null() {
        return Ok(Value::Null);
    }
    let mut text = cast::to_text(&left)?;
    match &*right {
        Value::Text(more) | Value::Json(more) => text.push_str(more),
        other => text.push_str(&cast::to_text(other)?),
    }
    Ok(Value::Text(text))
}

fn case<'a>(
    operand: Option<&'a Typed>,
    branches: &'a [(Typed, Typed)],
    otherwise: &'a Typed,
    rows: &RowValues<'a>,
    context: Option<&EvalContext<'_>>,
) -> Result<Cow<'a, Value>, Error> {
    let operand = operand
        .map(|operand| operand.eval(rows, context))
        .transpose()?;
    for (when, then) in branches {
        let chosen = match &operand {
            None => when.truth(rows, context)? == Some(true),
            Some(operand) => {
                compare(operand, &*when.eval(rows, context)?)? == Some(Ordering::Equal)
            }
        };
        if chosen {
            return then.eval(rows, context);
        }
    }
    otherwise.eval(rows, context)
}

/// The type of a value that takes part in an operation.
pub(crate) fn type_of(value: &Value) -> Result<DataType, Error> {
    value
        .data_type()
        .ok_or_else(|| wrong_type("a value", value))
}

#[cfg(test)]
mod tests;
