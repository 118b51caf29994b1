//! The scalar functions that need no planner.

use std::borrow::Cow;
use std::cmp::Ordering;

use kalam_link_core::{DataType, Value};
use sqlparser::ast;

use crate::coerce::time::DAY_MICROS;
use crate::error::Error;
use crate::eval::{arithmetic, cast, compare::compare, needed, text_of};
use crate::expr::types::{comparison_type, is_integer, is_numeric, is_text};
use crate::expr::{EvalContext, RowValues, Ty, Typed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Now,
    CurrentDate,
    CurrentUser,
    SnowflakeId,
    UuidV7,
    Ulid,
    Lower,
    Upper,
    Length,
    Abs,
    Concat,
    Coalesce,
    NullIf,
    Greatest,
    Least,
}

/// Name (lower case) and arguments of a call without OVER, FILTER, DISTINCT or named arguments.
pub(crate) fn simple_call(function: &ast::Function) -> Option<(String, Vec<&ast::Expr>)> {
    let ast::Function {
        name,
        parameters,
        args,
        filter: None,
        null_treatment: None,
        over: None,
        within_group,
        ..
    } = function
    else {
        return None;
    };
    let [ast::ObjectNamePart::Identifier(name)] = name.0.as_slice() else {
        return None;
    };
    if !matches!(parameters, ast::FunctionArguments::None) || !within_group.is_empty() {
        return None;
    }
    let arguments = match args {
        ast::FunctionArguments::None => Vec::new(),
        ast::FunctionArguments::Subquery(_) => return None,
        ast::FunctionArguments::List(list) => {
            if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
                return None;
            }
            list.args
                .iter()
                .map(plain_argument)
                .collect::<Option<_>>()?
        }
    };
    Some((name.value.to_ascii_lowercase(), arguments))
}

fn plain_argument(argument: &ast::FunctionArg) -> Option<&ast::Expr> {
    match argument {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

impl Function {
    pub(crate) fn find(name: &str) -> Option<Self> {
        Some(match name {
            "now" | "current_timestamp" => Self::Now,
            "current_date" => Self::CurrentDate,
            "current_user" => Self::CurrentUser,
            "snowflake_id" => Self::SnowflakeId,
            "uuid_v7" => Self::UuidV7,
            "ulid" => Self::Ulid,
            "lower" => Self::Lower,
            "upper" => Self::Upper,
            "length" | "char_length" | "character_length" => Self::Length,
            "abs" => Self::Abs,
            "concat" => Self::Concat,
            "coalesce" => Self::Coalesce,
            "nullif" => Self::NullIf,
            "greatest" => Self::Greatest,
            "least" => Self::Least,
            _ => return None,
        })
    }

    pub(crate) fn takes(self, count: usize) -> bool {
        match self {
            Self::Now
            | Self::CurrentDate
            | Self::CurrentUser
            | Self::SnowflakeId
            | Self::UuidV7
            | Self::Ulid => count == 0,
            Self::Lower | Self::Upper | Self::Length | Self::Abs => count == 1,
            Self::NullIf => count == 2,
            Self::Concat | Self::Coalesce | Self::Greatest | Self::Least => count >= 1,
        }
    }

    /// Another value for each call.
    pub(crate) const fn is_volatile(self) -> bool {
        matches!(self, Self::SnowflakeId | Self::UuidV7 | Self::Ulid)
    }

    /// For functions that give back one of their arguments: the type to which all are brought.
    pub(crate) fn common_type(self) -> Option<fn(DataType, DataType) -> Option<DataType>> {
        match self {
            Self::Coalesce => Some(coalesce_type),
            Self::NullIf | Self::Greatest | Self::Least => Some(choice_type),
            _ => None,
        }
    }

    /// For the other functions; `None` if the planner must see to the types.
    pub(crate) fn result_type(self, arguments: &[Ty]) -> Option<Ty> {
        let all = |accepts: fn(DataType) -> bool| {
            arguments.iter().all(|ty| ty.known().is_none_or(accepts))
        };
        let known = |data_type| Some(Ty::Known(data_type));
        match self {
            // DataFusion's NOW() has no time zone either.
            Self::Now => known(DataType::Timestamp),
            Self::CurrentDate => known(DataType::Date),
            Self::SnowflakeId => known(DataType::BigInt),
            Self::UuidV7 => known(DataType::Uuid),
            Self::CurrentUser | Self::Ulid => known(DataType::Text),
            Self::Lower | Self::Upper if all(is_text) => known(DataType::Text),
            Self::Length if all(is_text) => known(DataType::Int),
            // ABS(NULL) is a DOUBLE to DataFusion.
            Self::Abs if all(is_numeric) => arguments.first().copied().filter(|ty| *ty != Ty::Null),
            Self::Concat if all(has_plain_text_form) => known(DataType::Text),
            _ => None,
        }
    }

    pub(crate) fn eval<'a>(
        self,
        arguments: &'a [Typed],
        rows: &RowValues<'a>,
        context: Option<&EvalContext<'_>>,
    ) -> Result<Cow<'a, Value>, Error> {
        let first = || match arguments.first() {
            Some(argument) => argument.eval(rows, context),
            None => Ok(Cow::Owned(Value::Null)),
        };
        let value = match self {
            Self::Now => Value::Timestamp(needed(context)?.now.0),
            Self::CurrentDate => {
                let days = needed(context)?.now.0.div_euclid(DAY_MICROS);
                Value::Date(i32::try_from(days).map_err(|_| Error::OutOfRange {
                    data_type: DataType::Date,
                })?)
            }
            Self::CurrentUser => Value::Text(needed(context)?.user.as_str().to_owned()),
            Self::SnowflakeId => {
                let context = needed(context)?;
                Value::BigInt(context.ids.snowflake(context.now))
            }
            Self::UuidV7 => {
                let context = needed(context)?;
                Value::Uuid(context.ids.uuid_v7(context.now))
            }
            Self::Ulid => {
                let context = needed(context)?;
                Value::Text(context.ids.ulid(context.now))
            }
            Self::Lower => map_text(first()?, |text| Value::Text(text.to_lowercase()))?,
            Self::Upper => map_text(first()?, |text| Value::Text(text.to_uppercase()))?,
            Self::Length => map_text(first()?, |text| {
                Value::Int(i32::try_from(text.chars().count()).unwrap_or(i32::MAX))
            })?,
            Self::Abs => arithmetic::absolute(&*first()?)?,
            Self::Concat => concat(arguments, rows, context)?,
            Self::Coalesce => return coalesce(arguments, rows, context),
            Self::NullIf => return null_if(arguments, rows, context),
            Self::Greatest => return choose(arguments, Ordering::Greater, rows, context),
            Self::Least => return choose(arguments, Ordering::Less, rows, context),
        };
        Ok(Cow::Owned(value))
    }
}

const fn has_plain_text_form(data_type: DataType) -> bool {
    is_text(data_type) || is_integer(data_type) || matches!(data_type, DataType::Boolean)
}

/// Text with other types is left to the planner, whose rules for COALESCE are its own.
fn coalesce_type(left: DataType, right: DataType) -> Option<DataType> {
    match (left, right) {
        (DataType::Embedding(_), _) | (_, DataType::Embedding(_)) => None,
        _ if is_text(left) != is_text(right) => None,
        (DataType::Date, _) | (_, DataType::Date) if left != right => None,
        _ => {
            if is_text(left) {
                Some(DataType::Text)
            } else {
                comparison_type(left, right)
            }
        }
    }
}

fn choice_type(left: DataType, right: DataType) -> Option<DataType> {
    coalesce_type(left, right)
}

fn map_text(value: Cow<'_, Value>, map: impl FnOnce(&str) -> Value) -> Result<Value, Error> {
    Ok(text_of(value)?.map_or(Value::Null, |text| map(&text)))
}

/// NULL counts as empty.
fn concat(
    arguments: &[Typed],
    rows: &RowValues<'_>,
    context: Option<&EvalContext<'_>>,
) -> Result<Value, Error> {
    let mut joined = String::new();
    for argument in arguments {
        match &*argument.eval(rows, context)? {
            Value::Null => {}
            Value::Text(text) | Value::Json(text) => joined.push_str(text),
            other => joined.push_str(&cast::to_text(other)?),
        }
    }
    Ok(Value::Text(joined))
}

fn coalesce<'a>(
    arguments: &'a [Typed],
    rows: &RowValues<'a>,
    context: Option<&EvalContext<'_>>,
) -> Result<Cow<'a, Value>, Error> {
    for argument in arguments {
        let value = argument.eval(rows, context)?;
        if !value.is_null() {
            return Ok(value);
        }
    }
    Ok(Cow::Owned(Value::Null))
}

fn null_if<'a>(
    arguments: &'a [Typed],
    rows: &RowValues<'a>,
    context: Option<&EvalContext<'_>>,
) -> Result<Cow<'a, Value>, Error> {
    let [value, unwanted] = arguments else {
        return Ok(Cow::Owned(Value::Null));
    };
    let value = value.eval(rows, context)?;
    let equal = compare(&value, &*unwanted.eval(rows, context)?)? == Some(Ordering::Equal);
    Ok(if equal {
        Cow::Owned(Value::Null)
    } else {
        value
    })
}

/// GREATEST and LEAST pass over NULL; of equal values the first stays.
fn choose<'a>(
    arguments: &'a [Typed],
    wanted: Ordering,
    rows: &RowValues<'a>,
    context: Option<&EvalContext<'_>>,
) -> Result<Cow<'a, Value>, Error> {
    let mut chosen: Cow<'a, Value> = Cow::Owned(Value::Null);
    for argument in arguments {
        let value = argument.eval(rows, context)?;
        let better = chosen.is_null() || compare(&value, &chosen)? == Some(wanted);
        if better && !value.is_null() {
            chosen = value;
        }
    }
    Ok(chosen)
}
