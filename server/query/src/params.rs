//! `$1`, `$2`, … of queries: JSON values become literals of the types that the query wants.

use std::collections::HashMap;
use std::ops::ControlFlow;

use arrow::datatypes::FieldRef;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{self, Expr, VisitMut as _, VisitorMut};
use kalam_link_core::{DataType, Value};
use kalam_model::{ColumnDef, ColumnId};
use serde_json::Value as Json;

use crate::context::StatementContext;
use crate::error::Error;
use crate::names::World;
use crate::{planning, value};

/// Plans a query with its parameters. The types come from what each parameter is compared with; where nothing tells,
/// the JSON value does.
pub(crate) fn plan(
    world: &World<'_>,
    query: &ast::Query,
    context: &StatementContext,
) -> Result<LogicalPlan, Error> {
    let open = match world.plan(query, &context.namespace) {
        Ok(open) => open,
        // Some functions cannot be planned with an argument of unknown type.
        Err(_) => return world.plan(&with_literals(query, &context.params), &context.namespace),
    };
    let inferred = open
        .get_parameter_fields()
        .map_err(|error| world.told(error))?;
    let mut values = Vec::with_capacity(context.params.len());
    for (index, json) in context.params.iter().enumerate() {
        let field = inferred
            .get(&format!("${}", index + 1))
            .and_then(Option::as_ref);
        values.push(ScalarAndMetadata::from(scalar(index + 1, json, field)?));
    }
    let bound = open
        .replace_params_with_values(&ParamValues::List(values))
        .map_err(|error| world.told(error))?;
    planning::own_literals(bound).map_err(|error| world.told(error))
}

fn scalar(position: usize, json: &Json, field: Option<&FieldRef>) -> Result<ScalarValue, Error> {
    let data_type = field.and_then(|field| value::own_type(field));
    match data_type {
        Some(data_type) => {
            match kalam_sql::bind_param(json, &column(data_type)) {
                Ok(value) => Ok(value::scalar_of(&value, data_type)),
                // A number of another scale is compared with decimals as it is.
                Err(_)
                    if matches!(
                        (data_type, json),
                        (DataType::Decimal { .. }, Json::Number(_))
                    ) =>
                {
                    natural(position, json)
                }
                Err(error) => Err(Error::Parameter {
                    index: position,
                    reason: error.to_string(),
                }),
            }
        }
        None => natural(position, json),
    }
}

/// A nameless column: parameters are read by the rules of columns.
fn column(data_type: DataType) -> ColumnDef {
    ColumnDef {
        id: ColumnId(0),
        name: String::new(),
        data_type,
        nullable: true,
        default: None,
        max_chars: None,
        initial: Value::Null,
        comment: None,
    }
}

/// The literal that JSON itself suggests.
fn natural(position: usize, json: &Json) -> Result<ScalarValue, Error> {
    let value = kalam_sql::untyped_param(json).map_err(|error| Error::Parameter {
        index: position,
        reason: error.to_string(),
    })?;
    Ok(match value.data_type() {
        Some(data_type) => value::scalar_of(&value, data_type),
        None => ScalarValue::Null,
    })
}

/// The query with its parameters written as literals.
fn with_literals(query: &ast::Query, params: &[Json]) -> ast::Query {
    struct Literals<'a>(HashMap<String, &'a Json>);
    impl VisitorMut for Literals<'_> {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Value(value) = expr
                && let ast::Value::Placeholder(name) = &value.value
                && let Some(json) = self.0.get(name)
            {
                *expr = Expr::value(literal(json));
            }
            ControlFlow::Continue(())
        }
    }
    let mut query = query.clone();
    let named = params
        .iter()
        .enumerate()
        .map(|(index, json)| (format!("${}", index + 1), json));
    let _ = query.visit(&mut Literals(named.collect()));
    query
}

fn literal(json: &Json) -> ast::Value {
    match json {
        Json::Null => ast::Value::Null,
        Json::Bool(flag) => ast::Value::Boolean(*flag),
        Json::Number(number) => ast::Value::Number(number.to_string(), false),
        Json::String(text) => ast::Value::SingleQuotedString(text.clone()),
        nested => ast::Value::SingleQuotedString(nested.to_string()),
    }
}
