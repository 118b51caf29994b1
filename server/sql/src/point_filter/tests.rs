use kalam_link_core::Value as V;
use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{table_with_key, with_context};

/// What a filter comes to.
struct Lookup {
    keys: Option<Vec<Vec<V>>>,
    rest: Vec<String>,
}

fn lookup(filter: &str, key: &[&str], params: &[Json]) -> Option<Lookup> {
    let table = table_with_key(key);
    let found = primary_key_lookup(&crate::parse_expr(filter).unwrap(), &table, None)?;
    let keys = with_context(params, |context| found.keys(context)).unwrap();
    Some(Lookup {
        keys,
        rest: found.rest.iter().map(ToString::to_string).collect(),
    })
}

fn keys(filter: &str, key: &[&str]) -> Vec<Vec<V>> {
    lookup(filter, key, &[]).unwrap().keys.unwrap()
}

#[test]
fn equality_with_the_whole_key_is_a_lookup() {
    assert_eq!(keys("big = 5", &["big"]), [[V::BigInt(5)]]);
    assert_eq!(keys("5 = things.big", &["big"]), [[V::BigInt(5)]]);
    assert_eq!(keys("(big = '5')", &["big"]), [[V::BigInt(5)]]);
    assert_eq!(keys("big = 2 + 3", &["big"]), [[V::BigInt(5)]]);
    assert_eq!(
        keys("name = 'a' AND big = 5", &["big", "name"]),
        [[V::BigInt(5), V::Text("a".into())]]
    );
    assert_eq!(
        keys("big IN (3, 1, 3, 2)", &["big"]),
        [[V::BigInt(1)], [V::BigInt(2)], [V::BigInt(3)]]
    );
    assert_eq!(keys("big = NULL", &["big"]), Vec::<Vec<V>>::new());
    assert_eq!(keys("big IN (1, NULL)", &["big"]), [[V::BigInt(1)]]);
    assert_eq!(keys("small = 40000", &["small"]), Vec::<Vec<V>>::new());
}

#[test]
fn other_conditions_remain() {
    let found = lookup(
        "flag AND big = 5 AND (name = 'a' AND big = 6)",
        &["big"],
        &[],
    )
    .unwrap();
    assert_eq!(found.keys, Some(vec![vec![V::BigInt(5)]]));
    assert_eq!(found.rest, ["flag", "name = 'a'", "big = 6"]);
}

#[test]
fn anything_else_is_no_lookup() {
    for filter in [
        "big > 5",
        "big = 5 OR name = 'a'",
        "NOT big = 5",
        "big = int",
        "big = big",
        "big NOT IN (1)",
        "name = 'a'",
        "big + 1 = 5",
        "other.big = 5",
        "big = SNOWFLAKE_ID()",
        "big IN (SELECT 1)",
    ] {
        assert!(lookup(filter, &["big"], &[]).is_none(), "{filter}");
    }
    assert!(lookup("big = 5", &["big", "name"], &[]).is_none());
    assert!(lookup("big IN (5) AND name = 'a'", &["big", "name"], &[]).is_none());
    assert!(lookup("big = 5", &[], &[]).is_none());
}

#[test]
fn keys_of_each_type_are_found() {
    let uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    for (column, constant, expected) in [
        ("flag", "TRUE", V::Boolean(true)),
        ("small", "7", V::SmallInt(7)),
        ("int", "'100'", V::Int(100)),
        ("double", "2.5", V::Double(2.5)),
        ("price", "12", V::Decimal("12.00".parse().unwrap())),
        ("price", "'12.5'", V::Decimal("12.50".parse().unwrap())),
        ("name", "'alice'", V::Text("alice".into())),
        ("name", "CURRENT_USER()", V::Text("alice".into())),
        ("at", "'1970-01-01 00:00:01'", V::Timestamp(1_000_000)),
        (
            "utc",
            "TIMESTAMP '1970-01-01 00:00:01'",
            V::DateTime(1_000_000),
        ),
        ("day", "'1970-01-02'", V::Date(1)),
        ("clock", "TIME '00:00:01'", V::Time(1_000_000)),
        ("data", "X'00ff'", V::Bytes(vec![0, 255])),
        (
            "uuid",
            &format!("'{uuid}'"),
            V::Uuid(kalam_link_core::cell::parse_uuid(uuid).unwrap()),
        ),
    ] {
        assert_eq!(
            keys(&format!("{column} = {constant}"), &[column]),
            [[expected]],
            "{column} = {constant}"
        );
    }
}

#[test]
fn constants_of_another_kind_are_left_to_a_scan() {
    for (column, constant) in [
        ("big", "5.0"),
        ("big", "' 5'"),
        ("name", "5"),
        ("price", "12.555"),
        ("price", "'12.555'"),
        ("single", "1.5"),
        ("at", "'1970-1-1'"),
    ] {
        let found = lookup(&format!("{column} = {constant}"), &[column], &[]).unwrap();
        assert_eq!(found.keys, None, "{column} = {constant}");
    }
}

#[test]
fn parameters_are_keys() {
    let with = |column: &str, param: Json| {
        lookup(&format!("{column} = $1"), &[column], &[param])
            .unwrap()
            .keys
            .unwrap()
    };
    assert_eq!(with("big", json!(5)), [[V::BigInt(5)]]);
    assert_eq!(with("big", json!("5")), [[V::BigInt(5)]]);
    assert_eq!(with("big", json!(null)), Vec::<Vec<V>>::new());
    assert_eq!(with("name", json!("x")), [[V::Text("x".into())]]);
    assert_eq!(with("at", json!(5)), [[V::Timestamp(5)]]);
    assert_eq!(with("data", json!("AP8=")), [[V::Bytes(vec![0, 255])]]);
}
