//! Defaults of columns: constant expressions, kept as text.

use kalam_model::ColumnDef;

use crate::error::Error;
use crate::expr::{ColumnScope, Expr, compile};

/// The compiled default of a column, if it has one. Its value for a row is
/// [`assign`](Expr::assign)`(&RowValues::NONE, …)`.
pub fn compile_default(column: &ColumnDef) -> Result<Option<Expr>, Error> {
    let Some(text) = &column.default else {
        return Ok(None);
    };
    compile(&crate::parse_expr(text)?, &ColumnScope::None).map(Some)
}

#[cfg(test)]
mod tests {
    use kalam_link_core::{DataType, Value};

    use super::*;
    use crate::expr::RowValues;
    use crate::testing::{Ids, column, now, with_context};

    fn check(text: &str, data_type: DataType, expected: Value) {
        let column = ColumnDef {
            default: Some(text.to_owned()),
            ..column("c", data_type)
        };
        let compiled = compile_default(&column).unwrap().unwrap();
        let value = with_context(&[], |context| {
            compiled.assign(&RowValues::NONE, context, &column)
        });
        assert_eq!(value, Ok(expected), "{text}");
    }

    #[test]
    fn defaults_are_evaluated_for_their_column() {
        let tenth = Value::Decimal("0.10".parse().unwrap());
        check(
            "0.10",
            DataType::Decimal {
                precision: 4,
                scale: 2,
            },
            tenth,
        );
        check(
            "SNOWFLAKE_ID()",
            DataType::BigInt,
            Value::BigInt(Ids::SNOWFLAKE),
        );
        check("'draft'", DataType::Text, Value::Text("draft".to_owned()));
        check("NOW()", DataType::DateTime, Value::DateTime(now().0));
        check("ULID()", DataType::Text, Value::Text(Ids::ULID.to_owned()));
        check("NULL", DataType::Int, Value::Null);
        assert!(matches!(
            compile_default(&column("c", DataType::Int)),
            Ok(None)
        ));
    }
}
