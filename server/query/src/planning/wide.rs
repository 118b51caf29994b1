//! Batches of few rows for plans that hold large constants.
//!
//! DataFusion repeats a constant for each row of a batch: `repeat('x', 60000000)` beside 8,192 rows would need 500 GB,
//! which ends the process and not just the query.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::ExecutionPlan;

use crate::functions::VALUES_BYTES_MAX;

/// Rows of a batch for which every constant of the plan can be repeated; `None` if `usual` is not too many.
pub(crate) fn narrower_batch(plan: &Arc<dyn ExecutionPlan>, usual: usize) -> Result<Option<usize>> {
    let mut largest = 1;
    plan.apply(|node| {
        node.apply_expressions(&mut |expr| {
            expr.apply(|part| {
                if let Some(literal) = part.downcast_ref::<Literal>() {
                    largest = largest.max(literal.value().size());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    let rows = (VALUES_BYTES_MAX / largest).max(1);
    Ok((rows < usual).then_some(rows))
}
