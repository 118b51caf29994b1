//! Functions: DataFusion's, those of KalamDB, and bounds on what a single call may produce.

mod growth;
mod ids;
mod session;
mod sum;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use kalam_engine::Engine;
use kalam_model::{Timestamp, UserId};

/// Bytes of values that one call of a function may give for one batch.
pub(crate) const VALUES_BYTES_MAX: usize = 64 << 20;

/// Functions of DataFusion that tell about the server or read from files.
const LEFT_OUT: [&str; 3] = ["version", "input_file_name", "file_row_index"];

/// The functions that are the same in every statement.
pub(crate) fn all() -> Vec<Arc<ScalarUDF>> {
    SessionStateDefaults::default_scalar_functions()
        .into_iter()
        .filter(|function| !LEFT_OUT.contains(&function.name()))
        .map(growth::bounded)
        .collect()
}

/// The aggregate functions.
pub(crate) fn aggregates() -> Vec<Arc<AggregateUDF>> {
    SessionStateDefaults::default_aggregate_functions()
        .into_iter()
        .map(sum::checked)
        .collect()
}

/// The functions of one statement, by name: who asks and when is fixed when it is planned (I8).
pub(crate) fn bound(
    engine: &Arc<Engine>,
    user: &UserId,
    now: Timestamp,
) -> BTreeMap<String, Arc<ScalarUDF>> {
    let mut functions = BTreeMap::new();
    for function in ids::all(engine, now)
        .into_iter()
        .chain(session::all(user, now))
    {
        let function = Arc::new(function);
        for alias in function.aliases() {
            functions.insert(alias.clone(), Arc::clone(&function));
        }
        functions.insert(function.name().to_owned(), function);
    }
    functions
}
