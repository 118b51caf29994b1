//! The WebSocket part of the wire contract, line by line.

mod access;
mod changes;
mod encoding;
mod endings;
mod filters;
mod load;
mod login;
mod overload;
mod query;
mod renewal;
mod resume;
mod sql;
mod windows;

use serde_json::{Value, json};

use super::{prepared, prepared_with};
use crate::harness::TestNode;

/// A table that everybody reads.
const BOARD: &str = "CREATE TABLE app.board (id BIGINT PRIMARY KEY, body TEXT, n INT) WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC')";
/// A table of which everybody has rows.
const NOTES: &str = "CREATE TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT, n INT)";
/// Rows that end after an hour.
const TYPING: &str = "CREATE TABLE app.typing (what TEXT) WITH (TYPE='STREAM', TTL_SECONDS=3600)";

/// A server with [`BOARD`].
async fn board() -> TestNode {
    prepared(&[BOARD]).await
}

/// Adds rows `ids` to the board; `n` is the id, too.
async fn post(node: &TestNode, ids: impl IntoIterator<Item = u32>) {
    let rows: Vec<String> = ids
        .into_iter()
        .map(|id| format!("({id}, 'row {id}', {id})"))
        .collect();
    let sql = format!("INSERT INTO app.board VALUES {}", rows.join(", "));
    node.sql_ok("root", &sql).await;
}

async fn root(node: &TestNode, sql: &str) {
    node.sql_ok("root", sql).await;
}

/// Rows of the answer to a SELECT by root.
async fn selected(node: &TestNode, sql: &str) -> Value {
    node.sql_ok("root", sql).await["results"][0]["rows"].clone()
}

/// Names of an object's fields, in alphabetical order.
fn keys(object: &Value) -> Vec<&str> {
    let map = object
        .as_object()
        .unwrap_or_else(|| panic!("no object: {object}"));
    let mut names: Vec<&str> = map.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// BIGINT cells, as rows have them.
fn ids(ids: impl IntoIterator<Item = u32>) -> Vec<Value> {
    ids.into_iter().map(|id| json!(id.to_string())).collect()
}

/// The seq in a row's `_seq` cell, which is text.
fn seq(row: &Value) -> u64 {
    row["_seq"]
        .as_str()
        .unwrap_or_else(|| panic!("no _seq: {row}"))
        .parse()
        .unwrap()
}
