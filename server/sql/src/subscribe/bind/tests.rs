use kalam_link_core::ErrorCode;
use serde_json::json;

use super::*;
use crate::parse_subscription;
use crate::testing::{row, table, table_with_key};

fn bind_on(table: &TableDef, sql: &str, params: &[Json]) -> Result<LiveQuery, Error> {
    parse_subscription(sql)?.bind(table, params, &UserId::new("alice").unwrap())
}

#[track_caller]
fn bound(sql: &str) -> LiveQuery {
    bind_on(&table(), sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

#[track_caller]
fn check_refused(sql: &str, params: &[Json], code: ErrorCode, named: &str) {
    let error = match bind_on(&table(), sql, params) {
        Ok(query) => panic!("{sql}\nwas read as {query:?}"),
        Err(error) => error,
    };
    assert_eq!(error.code(), code, "{sql}\n{error}");
    assert!(error.to_string().contains(named), "{sql}\n{error}");
}

fn index(name: &str) -> usize {
    table().column_index(name).unwrap()
}

/// Columns by name, in a row that has only these.
fn with(values: &[(&str, Value)]) -> Vec<Value> {
    let mut row = row();
    for (name, value) in values {
        row[index(name)] = value.clone();
    }
    row
}

#[test]
fn a_star_is_every_column() {
    let query = bound("SELECT * FROM test.things");
    let all: Vec<usize> = (0..table().columns.len()).collect();
    assert_eq!(query.carried, all);
    assert_eq!(query.selected.len(), all.len());
    assert!(query.predicate.is_none());
    assert_eq!((query.order_by.len(), query.limit), (0, None));
}

#[test]
fn what_the_receiver_needs_is_carried_once() {
    let query = bound("SELECT name, _seq, things.int FROM test.things ORDER BY day, name DESC");
    assert_eq!(
        query.selected,
        [
            SelectedColumn::Column(index("name")),
            SelectedColumn::Seq,
            SelectedColumn::Column(index("int")),
        ]
    );
    // The key, and what orders the rows, beside what is selected.
    assert_eq!(
        query.carried,
        ["name", "int", "big", "day"].map(index).to_vec()
    );
}

#[test]
fn every_column_of_a_wide_key_is_carried() {
    let table = table_with_key(&["name", "big"]);
    let query = bind_on(&table, "SELECT int FROM test.things", &[]).unwrap();
    assert_eq!(query.carried, ["int", "name", "big"].map(index).to_vec());
}

#[test]
fn rows_are_ordered_as_by_a_query() {
    let query = bound("SELECT * FROM test.things ORDER BY absent DESC, name");
    let low = with(&[("absent", Value::Int(1)), ("name", Value::Text("a".into()))]);
    let high = with(&[("absent", Value::Int(9)), ("name", Value::Text("a".into()))]);
    let later = with(&[("absent", Value::Int(9)), ("name", Value::Text("b".into()))]);
    let null = with(&[]);
    let mut rows = [&low, &later, &null, &high];
    rows.sort_by(|a, b| query.compare((a, SeqId(1)), (b, SeqId(1))));
    assert_eq!(rows, [&null, &high, &later, &low]);
}

#[test]
fn nulls_stand_where_the_query_says() {
    let null = with(&[]);
    let one = with(&[("absent", Value::Int(1))]);
    for (order, null_is) in [
        ("absent", Ordering::Greater),
        ("absent DESC", Ordering::Less),
        ("absent NULLS FIRST", Ordering::Less),
        ("absent DESC NULLS LAST", Ordering::Greater),
    ] {
        let query = bound(&format!("SELECT * FROM test.things ORDER BY {order}"));
        assert_eq!(
            query.compare((&null, SeqId(1)), (&one, SeqId(1))),
            null_is,
            "{order}"
        );
    }
}

#[test]
fn rows_that_are_equal_by_order_stand_by_key_and_then_by_seq() {
    let query = bound("SELECT * FROM test.things ORDER BY name");
    let first = with(&[("big", Value::BigInt(1))]);
    let second = with(&[("big", Value::BigInt(2))]);
    let compared = |a, b| query.compare(a, b);
    assert!(compared((&first, SeqId(9)), (&second, SeqId(1))).is_lt());
    assert!(compared((&first, SeqId(9)), (&first, SeqId(1))).is_gt());
    assert!(compared((&first, SeqId(1)), (&first, SeqId(1))).is_eq());
}

#[test]
fn a_limit_may_be_a_parameter() {
    let sql = "SELECT * FROM test.things ORDER BY int LIMIT $1";
    let limit = |param| bind_on(&table(), sql, &[param]).unwrap().limit;
    assert_eq!(limit(json!(10)), Some(10));
    assert_eq!(limit(json!("10")), Some(10));
    assert_eq!(limit(Json::Null), None);
    for wrong in [json!(-1), json!(1.5), json!("ten"), json!(true)] {
        check_refused(sql, &[wrong], ErrorCode::InvalidParameter, "LIMIT");
    }
    check_refused(sql, &[], ErrorCode::InvalidParameter, "$1");
}

#[test]
fn a_name_that_is_not_there_is_refused() {
    for (sql, named) in [
        ("SELECT missing FROM test.things", "missing"),
        ("SELECT other.* FROM test.things", "other"),
        ("SELECT other.int FROM test.things", "other"),
        ("SELECT * FROM test.things WHERE missing = 1", "missing"),
        ("SELECT * FROM test.things ORDER BY missing", "missing"),
    ] {
        check_refused(sql, &[], ErrorCode::InvalidSql, named);
    }
}

#[test]
fn what_cannot_be_kept_up_is_refused() {
    for (sql, named) in [
        ("SELECT int, int FROM test.things", "int"),
        (
            "SELECT * FROM test.things WHERE at < NOW()",
            "cannot be evaluated",
        ),
        ("SELECT * FROM test.things ORDER BY vector", "vector"),
    ] {
        check_refused(sql, &[], ErrorCode::InvalidSql, named);
    }
    check_refused(
        "SELECT * FROM test.things WHERE int = $1",
        &[json!(1), json!(2)],
        ErrorCode::InvalidParameter,
        "2",
    );
}
