//! Integer arithmetic that fails on overflow, floats with one NaN and one zero, and text concatenation that fails before
//! memory runs out.
//!
//! DataFusion's operators wrap round silently. After types are settled, `+`, `-`, `*` and unary minus of integers,
//! all arithmetic of floats and `||` of texts become calls of the functions here, and so do casts that drop digits.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array as _, ArrayRef, AsArray as _, StringBuilder};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType as ArrowType, Float32Type, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable as _, LogicalPlan, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::narrowing::cast_as_call;
use crate::functions::VALUES_BYTES_MAX;

/// The rule that puts the functions in.
#[derive(Debug)]
pub(crate) struct CheckedArithmetic;

impl AnalyzerRule for CheckedArithmetic {
    fn name(&self) -> &'static str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(checked_node)?.data)
    }
}

fn checked_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut concerned = false;
    plan.apply_expressions(|expr| {
        expr.apply(|part| {
            if matches!(part, Expr::Negative(_) | Expr::Cast(_) | Expr::TryCast(_))
                || matches!(part, Expr::BinaryExpr(b) if Checked::of(b.op).is_some())
            {
                concerned = true;
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    if !concerned {
        return Ok(Transformed::no(plan));
    }
    let schema = match &plan {
        LogicalPlan::TableScan(scan) => DFSchema::clone(&scan.projected_schema),
        _ => merge_schema(&plan.inputs()),
    };
    let names = NamePreserver::new(&plan);
    let rewritten = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(expr
            .transform_up(|part| checked(part, &schema))?
            .update_data(|expr| name.restore(expr)))
    })?;
    rewritten.map_data(LogicalPlan::recompute_schema)
}

fn checked(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let kept = |left, right| {
                Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr {
                    left,
                    op,
                    right,
                })))
            };
            let Some(operation) = Checked::of(op) else {
                return kept(left, right);
            };
            // Columns of outer queries are of no concern here: their types are not in this schema.
            let (Ok(a), Ok(b)) = (left.get_type(schema), right.get_type(schema)) else {
                return kept(left, right);
            };
            if !operation.takes(&a, &b) {
                return kept(left, right);
            }
            Ok(Transformed::yes(
                operation.function().call(vec![*left, *right]),
            ))
        }
        Expr::Negative(inner) => match inner.get_type(schema) {
            Ok(data_type) if data_type.is_signed_integer() || is_float(&data_type) => {
                let zero = Expr::Literal(ScalarValue::new_zero(&data_type)?, None);
                Ok(Transformed::yes(
                    Checked::Subtract.function().call(vec![zero, *inner]),
                ))
            }
            _ => Ok(Transformed::no(Expr::Negative(inner))),
        },
        other => Ok(cast_as_call(other, schema)),
    }
}

/// An operation that checks its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Checked {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Concat,
}

impl Checked {
    const fn of(operator: Operator) -> Option<Self> {
        Some(match operator {
            Operator::Plus => Self::Add,
            Operator::Minus => Self::Subtract,
            Operator::Multiply => Self::Multiply,
            Operator::Divide => Self::Divide,
            Operator::Modulo => Self::Remainder,
            Operator::StringConcat => Self::Concat,
            _ => return None,
        })
    }

    fn takes(self, left: &ArrowType, right: &ArrowType) -> bool {
        let (ArrowType::Decimal128(..), ArrowType::Decimal128(..)) = (left, right) else {
            return left == right && self.takes_both(left);
        };
        // DataFusion simplifies `x % 1` to 0, also where x is not whole.
        self == Self::Remainder
    }

    fn takes_both(self, data_type: &ArrowType) -> bool {
        match self {
            Self::Concat => *data_type == ArrowType::Utf8,
            // DataFusion itself checks what integers are divided by.
            Self::Divide | Self::Remainder => is_float(data_type),
            Self::Add | Self::Subtract | Self::Multiply => {
                data_type.is_integer() || is_float(data_type)
            }
        }
    }

    fn function(self) -> &'static Arc<ScalarUDF> {
        static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 6]> = LazyLock::new(|| {
            [
                Checked::Add,
                Checked::Subtract,
                Checked::Multiply,
                Checked::Divide,
                Checked::Remainder,
                Checked::Concat,
            ]
            .map(|operation| {
                let signature = Signature::any(2, Volatility::Immutable);
                Arc::new(ScalarUDF::new_from_impl(CheckedFunction {
                    operation,
                    signature,
                }))
            })
        });
        &FUNCTIONS[self as usize]
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedFunction {
    operation: Checked,
    signature: Signature,
}

impl ScalarUDFImpl for CheckedFunction {
    fn name(&self) -> &str {
        match self.operation {
            Checked::Add => "checked_add",
            Checked::Subtract => "checked_subtract",
            Checked::Multiply => "checked_multiply",
            Checked::Divide => "checked_divide",
            Checked::Remainder => "checked_remainder",
            Checked::Concat => "checked_concat",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        match self.operation {
            Checked::Remainder => {
                BinaryTypeCoercer::new(&types[0], &Operator::Modulo, &types[1]).get_result_type()
            }
            _ => Ok(types[0].clone()),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalars = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if all_scalars { 1 } else { args.number_rows };
        let result = match self.operation {
            Checked::Concat => concat(&args.args, rows)?,
            Checked::Add => on_columns(&args.args, numeric::add)?,
            Checked::Subtract => on_columns(&args.args, numeric::sub)?,
            Checked::Multiply => on_columns(&args.args, numeric::mul)?,
            Checked::Divide => on_columns(&args.args, numeric::div)?,
            Checked::Remainder => on_columns(&args.args, numeric::rem)?,
        };
        let result = canonical(result);
        if all_scalars {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &result, 0,
            )?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

fn is_float(data_type: &ArrowType) -> bool {
    matches!(data_type, ArrowType::Float32 | ArrowType::Float64)
}

/// One NaN and one zero, so that floats compare, group and sort alike however they came about.
fn canonical(array: ArrayRef) -> ArrayRef {
    macro_rules! canonical {
        ($type:ty, $native:ty) => {{
            let floats = array.as_primitive::<$type>();
            let odd =
                |float: &$native| float.is_nan() || (*float == 0.0 && float.is_sign_negative());
            if !floats.values().iter().any(odd) {
                return array;
            }
            let one = |float: $native| {
                if float.is_nan() {
                    <$native>::NAN
                } else {
                    float + 0.0
                }
            };
            Arc::new(floats.unary::<_, $type>(one))
        }};
    }
    match array.data_type() {
        ArrowType::Float32 => canonical!(Float32Type, f32),
        ArrowType::Float64 => canonical!(Float64Type, f64),
        _ => array,
    }
}

type Kernel = fn(
    &dyn arrow::array::Datum,
    &dyn arrow::array::Datum,
) -> std::result::Result<ArrayRef, arrow::error::ArrowError>;

fn on_columns(args: &[ColumnarValue], kernel: Kernel) -> Result<ArrayRef> {
    Ok(match (&args[0], &args[1]) {
        (ColumnarValue::Array(a), ColumnarValue::Array(b)) => kernel(a, b)?,
        (ColumnarValue::Array(a), ColumnarValue::Scalar(b)) => kernel(a, &b.to_scalar()?)?,
        (ColumnarValue::Scalar(a), ColumnarValue::Array(b)) => kernel(&a.to_scalar()?, b)?,
        (ColumnarValue::Scalar(a), ColumnarValue::Scalar(b)) => {
            kernel(&a.to_array()?, &b.to_array()?)?
        }
    })
}

fn concat(args: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (a, b) = (args[0].to_array(rows)?, args[1].to_array(rows)?);
    let (a, b) = (a.as_string::<i32>(), b.as_string::<i32>());
    let bytes = a.value_data().len() + b.value_data().len();
    if bytes > VALUES_BYTES_MAX {
        return exec_err!("|| gives more than {VALUES_BYTES_MAX} bytes");
    }
    let mut joined = StringBuilder::with_capacity(rows, bytes);
    for row in 0..rows {
        if a.is_null(row) || b.is_null(row) {
            joined.append_null();
            continue;
        }
        let (left, right) = (a.value(row), b.value(row));
        let mut text = String::with_capacity(left.len() + right.len());
        text.push_str(left);
        text.push_str(right);
        joined.append_value(text);
    }
    Ok(Arc::new(joined.finish()))
}
