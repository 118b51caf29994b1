//! SQL text to typed statements, and expressions to values.
//!
//! Parsing is sqlparser's with the dialect of this crate; what sqlparser does not know is read from its tokens. Nothing
//! here touches storage, and randomness and time come in through arguments.

mod admin;
mod coerce;
mod ddl;
mod defaults;
mod dialect;
mod dml;
pub mod error;
mod eval;
mod expr;
mod functions;
mod input;
mod options;
mod params;
mod parse;
mod point_filter;
mod predicate;
mod query;
pub mod statement;
mod subscribe;
#[cfg(test)]
mod testing;
mod tokens;
mod types;

pub use coerce::coerce;
pub use ddl::{COLUMNS_MAX, check_options};
pub use defaults::compile_default;
pub use dialect::NESTING_MAX;
pub use error::Error;
pub use expr::literal::{BesideDecimal, beside_decimal};
pub use expr::{ColumnScope, EvalContext, Expr, IdSource, RowValues, compile};
pub use input::fold;
pub use params::{bind_param, highest_parameter, untyped_param};
pub use parse::{
    CODE_BYTES_MAX, Parsed, STATEMENTS_MAX, canonical, canonical_query, parse, parse_expr,
    parse_query,
};
pub use point_filter::{PointFilter, primary_key_lookup};
pub use predicate::Predicate;
pub use query::RELATIONS_MAX;
pub use sqlparser::ast;
pub use subscribe::bind::{LiveQuery, OrderTerm, SelectedColumn};
pub use subscribe::{ColumnName, Limit, OrderName, SelectedName, Subscription, parse_subscription};
pub use tokens::{EXPRESSION_DEPTH_MAX, PARAMETERS_MAX, SET_OPERATIONS_MAX};
pub use types::cast_type;
