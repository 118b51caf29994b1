use kalam_link_core::{ErrorCode, SeqId, UserId, Value};
use serde_json::json;

use super::*;
use crate::testing::{row, table};

#[track_caller]
fn bound(filter: &str, params: &[Json]) -> Result<Predicate, Error> {
    let user = UserId::new("alice").unwrap();
    let filter = crate::parse_expr(filter).unwrap();
    Predicate::bind(&filter, &table(), Some("t"), params, &user)
}

#[track_caller]
fn passes_with(filter: &str, params: &[Json]) -> bool {
    bound(filter, params)
        .unwrap_or_else(|error| panic!("{filter}: {error}"))
        .matches(&row(), SeqId(42))
        .unwrap_or_else(|error| panic!("{filter}: {error}"))
}

#[track_caller]
fn equality_of(filter: &str, params: &[Json]) -> Option<(String, Value)> {
    let predicate = bound(filter, params).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let (column, value) = predicate.equality()?;
    Some((table().columns[column].name.clone(), value.clone()))
}

fn found(column: &str, value: Value) -> Option<(String, Value)> {
    Some((column.to_owned(), value))
}

#[test]
fn only_what_is_true_passes() {
    for passing in [
        "int = 100",
        "t.int = 100 AND flag",
        "absent IS NULL",
        "absent = 1 OR int = 100",
        "NOT (int < 100)",
        "int IN (1, 100, NULL)",
        "int BETWEEN 99 AND 101",
        "name LIKE 'a%' AND name ILIKE '%ICE'",
        "CASE WHEN absent = 1 THEN FALSE ELSE TRUE END",
        "COALESCE(nothing, 'none') = 'none'",
        "LOWER(UPPER(name)) = name",
        "CAST(int AS TEXT) = '100'",
        "int * 2 + 1 = 201",
        "_seq = 42",
        "name = CURRENT_USER()",
    ] {
        assert!(passes_with(passing, &[]), "{passing}");
    }
    for stopped in [
        "int = 101",
        "absent = 1",
        "NOT (absent = 1)",
        "absent = NULL",
        "absent <> 1 AND flag",
        "int NOT IN (1, NULL)",
        "NULL",
        "_seq > 42",
    ] {
        assert!(!passes_with(stopped, &[]), "{stopped}");
    }
}

#[test]
fn a_parameter_takes_the_type_of_what_it_is_compared_with() {
    for (filter, params) in [
        ("big = $1", vec![json!("1000")]),
        ("big = $1", vec![json!(1000)]),
        ("price > $1", vec![json!("12.49")]),
        ("name = $1 AND int >= $2", vec![json!("alice"), json!(100)]),
        ("int IN ($1, $2)", vec![json!(1), json!(100)]),
        ("int BETWEEN $1 AND $2", vec![json!(1), json!(100)]),
        ("$1 = 'a'", vec![json!("a")]),
        ("$1", vec![json!(true)]),
        ("COALESCE(absent, $1) = 5", vec![json!(5)]),
    ] {
        assert!(passes_with(filter, &params), "{filter}");
    }
    assert!(!passes_with("int = $1", &[Json::Null]));
}

#[test]
fn what_depends_on_more_than_the_row_is_refused() {
    for filter in [
        "at < NOW()",
        "day = CURRENT_DATE",
        "big = SNOWFLAKE_ID()",
        "name = ULID()",
        "int IN (SELECT 1)",
        "count(*) > 1",
        "regexp_like(name, 'a')",
    ] {
        let error = bound(filter, &[]).expect_err(filter);
        assert!(matches!(error, Error::NotSimple(_)), "{filter}: {error:?}");
    }
}

#[test]
fn a_filter_that_is_no_truth_value_is_refused() {
    for filter in ["int", "name", "int + 1"] {
        bound(filter, &[]).expect_err(filter);
    }
    bound("$1", &[json!(7)]).expect_err("a number");
}

#[test]
fn a_parameter_that_is_missing_or_does_not_fit_is_named() {
    let error = bound("int = $2", &[json!(1)]).expect_err("missing");
    assert_eq!(error.code(), ErrorCode::InvalidParameter, "{error}");
    assert!(error.to_string().contains("$2"), "{error}");
}

#[test]
fn what_fails_for_every_row_is_refused() {
    for filter in [
        "0 = (0 % 0) % 1",
        "int > 1 / 0",
        "int = 9223372036854775807 + 1",
        "name = CAST('x' AS INT) || 'y'",
        "int IN (1, ABS(1 / 0))",
    ] {
        bound(filter, &[]).expect_err(filter);
    }
    bound("int = 100 / $1", &[json!(0)]).expect_err("a parameter that is zero");
    assert!(!passes_with("(100 / (int - 100) IS NULL) IS UNKNOWN", &[]));
}

#[test]
fn a_decimal_is_compared_with_numbers_as_written_or_with_columns() {
    for taken in ["price = 12.5", "price = CAST(int AS DOUBLE)"] {
        bound(taken, &[]).unwrap_or_else(|error| panic!("{taken}: {error}"));
    }
    for hidden in [
        "price = NULLIF(12.5, 1.5)",
        "price IN (1, ABS(12.5))",
        "flag OR price IS DISTINCT FROM COALESCE(NULL, 12.5)",
        "price BETWEEN 1 AND ABS(12.5)",
    ] {
        let error = bound(hidden, &[]).expect_err(hidden);
        assert!(matches!(error, Error::NotSimple(_)), "{hidden}: {error:?}");
    }
}

#[test]
fn what_fails_on_a_row_is_an_error_and_not_a_miss() {
    let predicate = bound("100 / (int - 100) > 1", &[]).unwrap();
    predicate
        .matches(&row(), SeqId(42))
        .expect_err("division by zero");
}

#[test]
fn a_column_that_must_have_one_value_is_found() {
    assert_eq!(equality_of("int = 7", &[]), found("int", Value::Int(7)));
    assert_eq!(equality_of("7 = int", &[]), found("int", Value::Int(7)));
    assert_eq!(
        equality_of("flag AND name = $1 AND int > 3", &[json!("bob")]),
        found("name", Value::Text("bob".to_owned()))
    );
    assert_eq!(
        equality_of("name = CURRENT_USER()", &[]),
        found("name", Value::Text("alice".to_owned()))
    );
    assert_eq!(
        equality_of("big = $1", &[json!("9007199254740993")]),
        found("big", Value::BigInt(9_007_199_254_740_993))
    );
}

#[test]
fn a_column_that_may_have_several_values_is_not() {
    for filter in [
        "int = 7 OR name = 'bob'",
        "int > 7",
        "int <> 7",
        "int IN (7, 8)",
        "int = small",
        "int + 1 = 7",
        "NOT (int = 7)",
        "absent = NULL",
        "int IS NULL",
    ] {
        assert_eq!(equality_of(filter, &[]), None, "{filter}");
    }
}
