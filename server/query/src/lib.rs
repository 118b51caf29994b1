//! SQL in, results out: parsing, rights, routing, planning and the conditional writes.
//!
//! Reads and writes by primary key go straight to the engine ([`point`]); everything else is planned by DataFusion. This
//! is the only crate that knows DataFusion.

mod cache;
mod context;
mod ddl;
mod dml;
mod encode;
mod error;
mod executor;
mod functions;
mod ids;
mod live;
mod names;
mod params;
mod planning;
mod point;
mod pushdown;
mod requests;
mod resolve;
mod result;
mod scan;
mod select;
mod system;
mod table;
mod transaction;
mod users;
mod value;
mod visible;
mod wildcard;

pub use encode::ndjson_rows;
pub use error::Error;
pub use executor::{Executor, Limits, Outcome, RequestMeta, RowStream, ServerFacts, SettingRow};
