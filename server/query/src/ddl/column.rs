//! Columns as CREATE TABLE and ALTER TABLE define them.

use kalam_link_core::Value;
use kalam_model::{ColumnDef, ColumnId};
use kalam_sql::RowValues;
use kalam_sql::ast;
use kalam_sql::statement::NewColumn;

use crate::error::Error;
use crate::executor::Call;

/// The definition of a new column, its default checked.
pub(crate) fn define(call: &Call<'_>, id: ColumnId, new: &NewColumn) -> Result<ColumnDef, Error> {
    let mut column = ColumnDef {
        id,
        name: new.name.clone(),
        data_type: new.data_type,
        nullable: new.nullable,
        default: None,
        max_chars: new.max_chars,
        initial: Value::Null,
        comment: None,
    };
    if let Some(default) = &new.default {
        set_default(call, &mut column, default)?;
    }
    Ok(column)
}

/// Sets a default after evaluating it once.
pub(crate) fn set_default(
    call: &Call<'_>,
    column: &mut ColumnDef,
    default: &ast::Expr,
) -> Result<(), Error> {
    column.default = Some(kalam_sql::canonical(default));
    default_value(call, column).map(drop)
}

/// What the default gives at this moment; NULL without one.
pub(crate) fn default_value(call: &Call<'_>, column: &ColumnDef) -> Result<Value, Error> {
    let refused = |error: kalam_sql::Error| {
        let reason = match error {
            kalam_sql::Error::NotSimple(what) => format!("the default cannot hold `{what}`"),
            other => format!("the default is not possible: {other}"),
        };
        Error::definition(&column.name, reason)
    };
    match kalam_sql::compile_default(column).map_err(refused)? {
        Some(default) => default
            .assign(&RowValues::NONE, &call.eval(), column)
            .map_err(refused),
        None => Ok(Value::Null),
    }
}
