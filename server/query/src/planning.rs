//! Where KalamDB's SQL differs from DataFusion's: types of casts, arithmetic that does not wrap, literals of UUID and
//! EMBEDDING columns, and the errors.

mod arithmetic;
mod decimals;
mod errors;
mod literals;
mod narrowing;
mod wide;
mod yielding;

use arrow::datatypes::{DataType as ArrowType, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{self, TimezoneInfo};
use kalam_store::arrow_types;

pub(crate) use arithmetic::CheckedArithmetic;
pub(crate) use errors::{told, told_running};
pub(crate) use literals::own_literals;
pub(crate) use wide::narrower_batch;
pub(crate) use yielding::Yielding;

/// Types of CAST: KalamDB's own where it has one, DataFusion's for the others.
#[derive(Debug)]
pub(crate) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, written: &ast::DataType) -> Result<Option<FieldRef>> {
        if let Ok(own) = kalam_sql::cast_type(written) {
            return Ok(Some(arrow_types::typed_field("", own, true).into()));
        }
        Ok(match written {
            ast::DataType::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => {
                let utc =
                    ArrowType::Timestamp(TimeUnit::Microsecond, Some(arrow_types::UTC.into()));
                Some(arrow::datatypes::Field::new("", utc, true).into())
            }
            _ => None,
        })
    }
}
