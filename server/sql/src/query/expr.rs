//! What an expression may contain.

use sqlparser::ast::{
    AccessExpr, CastKind, CeilFloorKind, CharacterLength, DataType, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident,
    Interval, Value, WindowType,
};

use super::{check_order_list, refuse, single_part};
use crate::error::Error;
use crate::input::fold;

/// A column of earlier versions that marked deleted rows.
const DELETED_COLUMN: &str = "_deleted";

pub(super) fn check_node(expr: &Expr) -> Result<(), Error> {
    match expr {
        Expr::Identifier(name) => check_column(std::slice::from_ref(name)),
        Expr::CompoundIdentifier(parts) => check_column(parts),
        Expr::Function(function) => check_function(function),
        Expr::Cast {
            kind,
            expr: _,
            data_type,
            array,
            format,
        } => {
            refuse(*kind == CastKind::SafeCast, "SAFE_CAST")?;
            refuse(*array, "CAST to an array of another type")?;
            refuse(format.is_some(), "FORMAT in a cast")?;
            check_cast(data_type)
        }
        Expr::Like { any, .. } | Expr::ILike { any, .. } => refuse(*any, "LIKE ANY"),
        Expr::Ceil { field, .. } | Expr::Floor { field, .. } => match field {
            CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime) => Ok(()),
            _ => Err(Error::unsupported("a second argument of CEIL or FLOOR")),
        },
        Expr::Trim {
            trim_characters, ..
        } => refuse(trim_characters.is_some(), "a second argument of TRIM"),
        Expr::TypedString(typed) => refuse(typed.uses_odbc_syntax, "an ODBC literal"),
        Expr::Interval(interval) => check_interval(interval),
        Expr::CompoundFieldAccess {
            root: _,
            access_chain,
        } => refuse(
            access_chain
                .iter()
                .any(|access| matches!(access, AccessExpr::Dot(_))),
            "a field of an expression",
        ),
        Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::BinaryOp { .. }
        | Expr::SimilarTo { .. }
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. }
        | Expr::UnaryOp { .. }
        | Expr::AtTimeZone { .. }
        | Expr::Extract { .. }
        | Expr::Position { .. }
        | Expr::Substring { .. }
        | Expr::Overlay { .. }
        | Expr::Nested(_)
        | Expr::Value(_)
        | Expr::Case { .. }
        | Expr::Exists { .. }
        | Expr::Subquery(_)
        | Expr::GroupingSets(_)
        | Expr::Cube(_)
        | Expr::Rollup(_)
        | Expr::Tuple(_)
        | Expr::Array(_)
        | Expr::Wildcard(_)
        | Expr::QualifiedWildcard(..) => Ok(()),
        other => Err(foreign(other)),
    }
}

/// The refusal of an expression of other databases.
fn foreign(expr: &Expr) -> Error {
    let name = match expr {
        Expr::Convert { .. } => {
            return Error::UnsupportedClause {
                clause: "CONVERT".to_owned(),
                hint: Some("write CAST(… AS …)"),
            };
        }
        Expr::Prefixed { prefix, .. } => {
            return Error::unsupported(format!("`{prefix}` before a string"));
        }
        Expr::JsonAccess { .. } => "`:` after an expression",
        Expr::IsNormalized { .. } => "IS NORMALIZED",
        Expr::InUnnest { .. } => "IN UNNEST",
        Expr::RLike { .. } => "RLIKE or REGEXP",
        Expr::Collate { .. } => "COLLATE",
        Expr::Struct { .. } => "STRUCT (…)",
        Expr::Named { .. } => "a name inside STRUCT",
        Expr::Dictionary(_) | Expr::Map(_) => "{…}",
        Expr::MatchAgainst { .. } => "MATCH … AGAINST",
        Expr::OuterJoin(_) => "(+)",
        Expr::Prior(_) => "PRIOR",
        Expr::Lambda(_) => "a lambda",
        Expr::MemberOf(_) => "MEMBER OF",
        _ => "this expression",
    };
    Error::unsupported(name)
}

/// Also used for the columns that INSERT and UPDATE name.
pub(crate) fn check_column(parts: &[Ident]) -> Result<(), Error> {
    if parts.iter().any(|part| fold(part) == DELETED_COLUMN) {
        return Err(Error::Replaced {
            what: "the column `_deleted`",
            hint: "deleted rows are gone from every query: leave the condition out, and write DELETE to delete",
        });
    }
    // sqlparser takes a string after a dot for a name.
    refuse(
        parts.iter().any(|part| part.quote_style == Some('\'')),
        "a string instead of a column name",
    )
}

fn check_cast(data_type: &DataType) -> Result<(), Error> {
    match data_type {
        DataType::Varchar(Some(length))
        | DataType::Char(Some(length))
        | DataType::Character(Some(length))
        | DataType::CharVarying(Some(length))
        | DataType::CharacterVarying(Some(length)) => {
            let (CharacterLength::IntegerLength { .. } | CharacterLength::Max) = length;
            Err(Error::UnsupportedClause {
                clause: format!("a cast to {data_type}"),
                hint: Some("cast to TEXT, and cut with left(text, n)"),
            })
        }
        _ => Ok(()),
    }
}

fn check_function(function: &Function) -> Result<(), Error> {
    let Function {
        name,
        uses_odbc_syntax,
        parameters,
        args,
        filter: _,
        null_treatment: _,
        over,
        within_group,
    } = function;
    refuse(*uses_odbc_syntax, "{fn …}")?;
    refuse(
        *parameters != FunctionArguments::None,
        "two lists of arguments",
    )?;
    if single_part(name).is_none() {
        return Err(Error::UnknownFunction {
            function: name.to_string(),
        });
    }
    check_order_list(within_group)?;
    if let Some(WindowType::WindowSpec(window)) = over {
        check_order_list(&window.order_by)?;
    }
    match args {
        FunctionArguments::None => Ok(()),
        FunctionArguments::Subquery(_) => Err(Error::unsupported(
            "a query as the only argument of a function",
        )),
        FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: _,
            args,
            clauses,
        }) => {
            args.iter().try_for_each(check_argument)?;
            clauses.iter().try_for_each(|clause| match clause {
                FunctionArgumentClause::IgnoreOrRespectNulls(_) => Ok(()),
                FunctionArgumentClause::OrderBy(list) => check_order_list(list),
                other => Err(Error::unsupported(format!("`{other}` inside a function"))),
            })
        }
    }
}

fn check_argument(argument: &FunctionArg) -> Result<(), Error> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::WildcardWithOptions(_)) => {
            Err(Error::unsupported("options of * inside a function"))
        }
        FunctionArg::Unnamed(_) => Ok(()),
        FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => {
            Err(Error::unsupported("a function argument by name"))
        }
    }
}

pub(super) fn check_value(value: &Value) -> Result<(), Error> {
    match value {
        Value::Number(_, false)
        | Value::SingleQuotedString(_)
        | Value::HexStringLiteral(_)
        | Value::Boolean(_)
        | Value::Null => Ok(()),
        Value::Placeholder(name) if name.starts_with('$') => Ok(()),
        Value::Placeholder(name) => Err(Error::Invalid {
            message: format!("invalid parameter `{name}`"),
            hint: Some("parameters are $1, $2, …"),
        }),
        Value::Number(_, true) => Err(Error::unsupported("a letter after a number")),
        Value::NationalStringLiteral(_) => Err(Error::UnsupportedClause {
            clause: "N'…'".to_owned(),
            hint: Some("text is Unicode: leave out the N"),
        }),
        _ => Err(Error::unsupported("this kind of literal")),
    }
}

fn check_interval(interval: &Interval) -> Result<(), Error> {
    let Interval {
        value: _,
        leading_field: _,
        leading_precision,
        last_field,
        fractional_seconds_precision,
    } = interval;
    refuse(
        leading_precision.is_some() || fractional_seconds_precision.is_some(),
        "a precision of INTERVAL",
    )?;
    refuse(last_field.is_some(), "INTERVAL … TO …")
}
