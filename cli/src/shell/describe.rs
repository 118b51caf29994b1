//! Statements behind the commands that describe what there is.

use kalam_link::{Json, QueryResult, SqlResponse};

use crate::error::Error;
use crate::output::Rows;
use crate::shell::Shell;

pub const USERS: &str = "SELECT user_id, username, role, email, created_at, locked_until FROM system.users \
    WHERE deleted_at IS NULL ORDER BY username";
pub const JOBS: &str = "SELECT job_id, job_type, status, message, progress, created_at, finished_at \
    FROM system.jobs ORDER BY created_at DESC";
pub const LIVE_QUERIES: &str = "SELECT live_id, user_id, namespace_id, table_name, status, query, changes, \
    created_at FROM system.live ORDER BY created_at";

/// Tables of one namespace, or of all that the caller sees. No planner takes part.
///
/// # Errors
///
/// The server's.
pub async fn tables(shell: &mut Shell, namespace: Option<&str>) -> Result<(), Error> {
    let namespaces = match namespace {
        Some(namespace) => vec![namespace.to_owned()],
        None => names(&shell.query("SHOW NAMESPACES").await?, 0),
    };
    if namespaces.is_empty() {
        return shell.write_rows(Rows {
            schema: &[],
            rows: &[],
        });
    }
    let statements = namespaces
        .iter()
        .map(|name| format!("SHOW TABLES IN {}", quoted(name)));
    let response = shell
        .query(&statements.collect::<Vec<_>>().join("; "))
        .await?;
    let schema = response
        .results
        .first()
        .map(|result| result.schema.clone())
        .unwrap_or_default();
    let rows: Vec<Vec<Json>> = response.results.into_iter().flat_map(rows_of).collect();
    shell.write_rows(Rows {
        schema: &schema,
        rows: &rows,
    })
}

fn rows_of(result: QueryResult) -> Vec<Vec<Json>> {
    result.rows.unwrap_or_default()
}

/// The texts of one column of the first result.
#[must_use]
pub fn names(response: &SqlResponse, column: usize) -> Vec<String> {
    let rows = response
        .results
        .first()
        .and_then(|result| result.rows.as_deref());
    let cells = rows
        .unwrap_or_default()
        .iter()
        .filter_map(|row| row.get(column)?.as_str());
    cells.map(str::to_owned).collect()
}

/// A name as a statement writes it: without quotes where it needs none.
#[must_use]
pub fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') && name.chars().all(plain) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}
