//! Numbers with a point beside decimals: the decimal that was written, not the DOUBLE next to it.
//!
//! DataFusion would compare the DOUBLE with 15 digits after the point: `price = 123456.78` would quietly be false.

use arrow::datatypes::DataType as ArrowType;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable as _, Operator};
use kalam_link_core::{DataType, Value};
use kalam_sql::BesideDecimal;

use crate::value::scalar_of;

/// The literals among the operands of arithmetic whose result is exact.
pub(super) fn fit_arithmetic(
    left: &mut Expr,
    operator: Operator,
    right: &mut Expr,
    schema: &DFSchema,
) -> Result<bool> {
    if !matches!(
        operator,
        Operator::Plus | Operator::Minus | Operator::Multiply
    ) {
        return Ok(false);
    }
    Ok(fit(left, right, schema)?.is_some_and(|exact| exact)
        | fit(right, left, schema)?.is_some_and(|exact| exact))
}

/// The literal `expr`, which is compared with `beside`. One that a DOUBLE has rounded would match nothing.
pub(super) fn fit_compared(expr: &mut Expr, beside: &Expr, schema: &DFSchema) -> Result<bool> {
    match fit(expr, beside, schema)? {
        Some(false) => {
            let error = kalam_sql::Error::Invalid {
                message: format!("the number {expr} has more than 15 digits beside a DECIMAL"),
                hint: Some("write it as text: '12345678901234567.89'"),
            };
            Err(DataFusionError::External(Box::new(crate::Error::Sql(
                error,
            ))))
        }
        fitted => Ok(fitted.is_some()),
    }
}

/// `Some(true)` if `expr` is exact now, `Some(false)` if its digits are lost, `None` if it is of no concern.
fn fit(expr: &mut Expr, beside: &Expr, schema: &DFSchema) -> Result<Option<bool>> {
    let Expr::Literal(ScalarValue::Float64(Some(number)), _) = expr else {
        return Ok(None);
    };
    // The type of what stands beside may not be known before types are settled: then nothing is exact.
    if !matches!(beside.get_type(schema), Ok(ArrowType::Decimal128(..))) {
        return Ok(None);
    }
    Ok(match kalam_sql::beside_decimal(*number) {
        BesideDecimal::Exact(decimal, data_type @ DataType::Decimal { .. }) => {
            *expr = Expr::Literal(scalar_of(&Value::Decimal(decimal), data_type), None);
            Some(true)
        }
        BesideDecimal::Rounded => Some(false),
        BesideDecimal::Exact(..) | BesideDecimal::Float => None,
    })
}
