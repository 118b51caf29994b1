//! Text beside UUID and EMBEDDING columns and numbers beside decimals, brought into the form of the column.
//!
//! UUIDs are lower-case text to DataFusion: without this, a comparison with an upper-case UUID would quietly be false.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array as _, AsArray as _, StringArray};
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable as _, LogicalPlan, Operator,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use kalam_link_core::DataType;
use kalam_link_core::Value;
use kalam_link_core::cell::{UuidText, parse_uuid, value_from_cell};

use super::decimals;
use crate::encode::wire_type;
use crate::value::embedding_scalar;

/// Functions that give one of their operands.
const CHOOSE: [&str; 5] = ["coalesce", "nullif", "nvl", "greatest", "least"];

/// Characters of a malformed text that an error shows.
const SHOWN_CHARS_MAX: usize = 60;

/// Rewrites the literals of a plan whose types are not settled yet.
pub(crate) fn own_literals(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan.transform_up_with_subqueries(rewrite_node)?.data)
}

fn rewrite_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if plan.inputs().is_empty() && !matches!(plan, LogicalPlan::Values(_)) {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    let mut changed = false;
    let plan = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|part| rewrite(part, &schema))?;
        changed |= rewritten.transformed;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })?;
    if changed {
        plan.map_data(LogicalPlan::recompute_schema)
    } else {
        Ok(plan)
    }
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (mut left, mut right) = (left, right);
            let changed = if compares(op) {
                fit(&mut left, &right, schema)? | fit(&mut right, &left, schema)?
            } else {
                decimals::fit_arithmetic(&mut left, op, &mut right, schema)?
            };
            let expr = Expr::BinaryExpr(BinaryExpr { left, op, right });
            Ok(Transformed::new_transformed(expr, changed))
        }
        Expr::InList(InList {
            expr,
            mut list,
            negated,
        }) => {
            let mut changed = false;
            for item in &mut list {
                changed |= fit(item, &expr, schema)?;
            }
            if list.iter().any(|item| !matches!(item, Expr::Literal(..))) {
                return Ok(Transformed::yes(one_of(&expr, list, negated)));
            }
            Ok(Transformed::new_transformed(
                Expr::InList(InList {
                    expr,
                    list,
                    negated,
                }),
                changed,
            ))
        }
        Expr::Between(Between {
            expr,
            negated,
            mut low,
            mut high,
        }) => {
            let changed = fit(&mut low, &expr, schema)? | fit(&mut high, &expr, schema)?;
            Ok(Transformed::new_transformed(
                Expr::Between(Between {
                    expr,
                    negated,
                    low,
                    high,
                }),
                changed,
            ))
        }
        Expr::ScalarFunction(mut call) if CHOOSE.contains(&call.name()) => {
            let mut operands: Vec<&mut Expr> = call.args.iter_mut().collect();
            let changed = fit_among(&mut operands, schema)?;
            Ok(Transformed::new_transformed(
                Expr::ScalarFunction(call),
                changed,
            ))
        }
        Expr::Case(mut case) => {
            let results = case.when_then_expr.iter_mut().map(|(_, then)| &mut **then);
            let mut operands: Vec<&mut Expr> =
                results.chain(case.else_expr.as_deref_mut()).collect();
            let changed = fit_among(&mut operands, schema)?;
            Ok(Transformed::new_transformed(Expr::Case(case), changed))
        }
        Expr::Cast(Cast { expr, field }) if wire_type(&field) == DataType::Uuid => {
            if own_type(&expr, schema) == Some(DataType::Uuid) {
                return Ok(Transformed::no(Expr::Cast(Cast { expr, field })));
            }
            Ok(Transformed::yes(TO_UUID.call(vec![*expr])))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// The error that an evaluation without planner gives.
fn invalid(text: &str, data_type: DataType) -> DataFusionError {
    let shown = text.chars().take(SHOWN_CHARS_MAX).collect();
    let error = kalam_sql::Error::InvalidValue { shown, data_type };
    DataFusionError::External(Box::new(crate::Error::Sql(error)))
}

fn compares(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// Brings the literals among expressions of which one is chosen into the form of the others.
fn fit_among(operands: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    let typed = operands
        .iter()
        .find(|operand| own_type(operand, schema).is_some_and(has_own_form))
        .map(|operand| (**operand).clone());
    let Some(typed) = typed else {
        return Ok(false);
    };
    let mut changed = false;
    for operand in operands {
        if matches!(operand, Expr::Literal(ScalarValue::Utf8(Some(_)), _)) {
            changed |= fit(operand, &typed, schema)?;
        }
    }
    Ok(changed)
}

/// Whether text has to be brought into another form to stand for a value of the type.
fn has_own_form(data_type: DataType) -> bool {
    matches!(data_type, DataType::Uuid | DataType::Embedding(_))
}

/// `IN` with items that are no literals, as comparisons: DataFusion forgets that one of them is NULL.
fn one_of(expr: &Expr, list: Vec<Expr>, negated: bool) -> Expr {
    let any = list
        .into_iter()
        .map(|item| expr.clone().eq(item))
        .reduce(Expr::or)
        .unwrap_or_else(|| datafusion::prelude::lit(false));
    if negated { !any } else { any }
}

/// Brings the literal `expr` into the form of `beside`; says whether it did.
fn fit(expr: &mut Expr, beside: &Expr, schema: &DFSchema) -> Result<bool> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = expr else {
        return decimals::fit_compared(expr, beside, schema);
    };
    let fitting = match own_type(beside, schema) {
        Some(DataType::Uuid) => match parse_uuid(text) {
            Some(bytes) => ScalarValue::Utf8(Some(UuidText(&bytes).to_string())),
            None => return Err(invalid(text, DataType::Uuid)),
        },
        Some(data_type @ DataType::Embedding(_)) => {
            match value_from_cell(&serde_json::Value::String(text.clone()), data_type) {
                Ok(Value::Embedding(floats)) => embedding_scalar(&floats),
                _ => return Err(invalid(text, data_type)),
            }
        }
        _ => return Ok(false),
    };
    *expr = Expr::Literal(fitting, None);
    Ok(true)
}

/// The type of a column, if `expr` gives values of one, perhaps renamed or beside others.
fn own_type(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    // What these give is that of their operands, but their fields do not say so.
    let among = |operands: &mut dyn Iterator<Item = &Expr>| {
        operands
            .filter_map(|operand| own_type(operand, schema))
            .find(|data_type| has_own_form(*data_type))
    };
    match expr {
        Expr::ScalarFunction(call) if CHOOSE.contains(&call.name()) => among(&mut call.args.iter()),
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| &**then);
            among(&mut results.chain(case.else_expr.as_deref()))
        }
        Expr::Column(_) | Expr::Alias(_) | Expr::Cast(_) | Expr::ScalarFunction(_) => {
            let (_, field) = expr.to_field(schema).ok()?;
            Some(wire_type(&field))
        }
        _ => None,
    }
}

static TO_UUID: LazyLock<ScalarUDF> = LazyLock::new(|| {
    ScalarUDF::new_from_impl(ToUuid {
        signature: Signature::exact(vec![ArrowType::Utf8], Volatility::Immutable),
    })
});

/// CAST(… AS UUID): any form of a UUID to the one that is stored.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToUuid {
    signature: Signature,
}

impl ScalarUDFImpl for ToUuid {
    fn name(&self) -> &str {
        "to_uuid"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[ArrowType]) -> Result<ArrowType> {
        Ok(ArrowType::Utf8)
    }

    fn return_field_from_args(
        &self,
        args: datafusion::logical_expr::ReturnFieldArgs<'_>,
    ) -> Result<arrow::datatypes::FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(kalam_store::arrow_types::typed_field(self.name(), DataType::Uuid, nullable).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = args.args[0].to_array(args.number_rows)?;
        let texts = texts.as_string::<i32>();
        let uuids = (0..texts.len()).map(|row| {
            if texts.is_null(row) {
                return Ok(None);
            }
            let bytes = parse_uuid(texts.value(row))
                .ok_or_else(|| invalid(texts.value(row), DataType::Uuid))?;
            Ok(Some(UuidText(&bytes).to_string()))
        });
        Ok(ColumnarValue::Array(Arc::new(
            uuids.collect::<Result<StringArray>>()?,
        )))
    }
}
