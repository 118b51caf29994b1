//! Casts of decimals that drop digits.
//!
//! DataFusion takes a cast off a column that is compared with a constant and casts the constant instead. For a decimal
//! that loses its fraction the two differ: `CAST(1.5 AS BIGINT) = 1` is true, `1.5 = 1.000` is not. As calls of the
//! function here such casts stay where they are.

use std::sync::Arc;

use arrow::compute::CastOptions;
use arrow::datatypes::DataType as ArrowType;
use arrow::util::display::FormatOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

/// A cast that may drop digits after the point as a call; every other expression as it is.
pub(super) fn cast_as_call(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let (input, target, failure) = match &expr {
        Expr::Cast(cast) => (&cast.expr, cast.field.data_type(), Failure::Error),
        Expr::TryCast(cast) => (&cast.expr, cast.field.data_type(), Failure::Null),
        _ => return Transformed::no(expr),
    };
    if !input
        .get_type(schema)
        .is_ok_and(|own| narrows(&own, target))
    {
        return Transformed::no(expr);
    }
    let cast = NarrowingCast {
        target: target.clone(),
        failure,
        signature: Signature::any(1, Volatility::Immutable),
    };
    let input = Expr::clone(input);
    Transformed::yes(Arc::new(ScalarUDF::new_from_impl(cast)).call(vec![input]))
}

fn narrows(from: &ArrowType, to: &ArrowType) -> bool {
    let ArrowType::Decimal128(_, scale) = from else {
        return false;
    };
    match to {
        ArrowType::Decimal128(_, kept) => *kept < *scale,
        _ => *scale > 0 && to.is_integer(),
    }
}

/// What becomes of a value that the new type cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Failure {
    /// CAST.
    Error,
    /// TRY_CAST.
    Null,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NarrowingCast {
    target: ArrowType,
    failure: Failure,
    signature: Signature,
}

impl ScalarUDFImpl for NarrowingCast {
    fn name(&self) -> &str {
        "narrowing_cast"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[ArrowType]) -> Result<ArrowType> {
        Ok(self.target.clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let options = CastOptions {
            safe: self.failure == Failure::Null,
            format_options: FormatOptions::default(),
        };
        args.args[0].cast_to(&self.target, Some(&options))
    }
}
