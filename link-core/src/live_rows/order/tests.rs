use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cell::append_cell;
use crate::message::RowObject;
use crate::value::Value;
use serde_json::Value as Json;

/// Rows with these cells, in this order, compare so in either direction.
fn check(data_type: DataType, rising: &[Json]) {
    for descending in [false, true] {
        let term = Term {
            column: "c".into(),
            data_type,
            descending,
            nulls_first: false,
        };
        let encoded: Vec<Vec<u8>> = rising
            .iter()
            .map(|cell| {
                let mut out = Vec::new();
                term.append(
                    &Row::from(&RowObject::from_iter([("c".to_owned(), cell.clone())])),
                    &mut out,
                );
                out
            })
            .collect();
        for (pair, cells) in encoded.windows(2).zip(rising.windows(2)) {
            assert_eq!(
                pair[0] < pair[1],
                !descending,
                "{data_type} {} {} descending: {descending}",
                cells[0],
                cells[1]
            );
        }
    }
}

#[test]
fn cells_compare_by_the_type_of_their_column() {
    check(DataType::Boolean, &[json!(false), json!(true)]);
    check(DataType::Int, &[json!(-10), json!(-9), json!(0), json!(10)]);
    check(
        DataType::BigInt,
        &[
            json!("-9223372036854775808"),
            json!("-1"),
            json!("9"),
            json!("10"),
            json!("9223372036854775807"),
        ],
    );
    check(
        DataType::Decimal {
            precision: 38,
            scale: 2,
        },
        &[
            json!("-100.5"),
            json!("-9.25"),
            json!("0"),
            json!("9.3"),
            json!("10"),
            json!("123456789012345678901234567890.01"),
        ],
    );
    check(
        DataType::Double,
        &[
            json!("-Infinity"),
            json!(-1.5),
            json!(0.0),
            json!(1e-300),
            json!(2),
            json!("Infinity"),
            json!("NaN"),
        ],
    );
    check(
        DataType::Text,
        &[
            json!(""),
            json!("\u{0}"),
            json!("A"),
            json!("a"),
            json!("a\u{0}"),
            json!("aa"),
            json!("é"),
            json!("\u{ffff}"),
            json!("😀"),
        ],
    );
    check(
        DataType::Bytes,
        &[
            json!([]),
            json!([0]),
            json!([0, 0]),
            json!([0, 1]),
            json!([255]),
        ],
    );
    check(
        DataType::Uuid,
        &[
            json!("00000000-0000-0000-0000-00000000000a"),
            json!("F0000000-0000-0000-0000-000000000000"),
        ],
    );
    check(DataType::Timestamp, &[json!(-1), json!(0), json!(1)]);
}

#[test]
fn nulls_stand_where_they_are_asked_to() {
    for descending in [false, true] {
        for nulls_first in [false, true] {
            let term = Term {
                column: "c".into(),
                data_type: DataType::Int,
                descending,
                nulls_first,
            };
            let encode = |cell: Json| {
                let mut out = Vec::new();
                term.append(
                    &Row::from(&RowObject::from_iter([("c".to_owned(), cell)])),
                    &mut out,
                );
                out
            };
            assert_eq!(encode(Json::Null) < encode(json!(1)), nulls_first);
            let mut missing = Vec::new();
            term.append(&Row::from(&RowObject::new()), &mut missing);
            assert_eq!(missing, encode(Json::Null));
        }
    }
}

#[test]
fn the_same_number_is_the_same_however_it_is_written() {
    for same in [
        &["0", "-0", "0.000", "0e9", "-0.0"][..],
        &["1", "1.0", "1e0", "0.1e1", "10e-1"],
        &["-1200", "-1.2e3", "-1200.0", "-0.0012E6"],
    ] {
        let encoded = same.iter().map(|text| {
            let mut out = Vec::new();
            append_number(text, &mut out).unwrap();
            out
        });
        let different: std::collections::BTreeSet<_> = encoded.collect();
        assert_eq!(different.len(), 1, "{same:?}");
    }
}

#[test]
fn what_is_no_number_has_no_place_among_them() {
    for text in [
        "",
        "-",
        "x",
        "1x",
        ".5",
        "1e",
        "1e99999999999",
        "0x1",
        "1-",
        "٣",
    ] {
        assert_eq!(append_number(text, &mut Vec::new()), None, "{text}");
    }
}

proptest! {
    /// The bytes agree with `Value::compare`, also when another column follows.
    #[test]
    fn bytes_order_as_values_do(a in texts(), b in texts(), x in any::<f64>(), y in any::<f64>()) {
        let encode = |text: &str, number: f64| {
            let mut out = Vec::new();
            for (value, data_type) in [
                (Value::Text(text.to_owned()), DataType::Text),
                (Value::Double(number), DataType::Double),
            ] {
                let mut cell = Vec::new();
                append_cell(&value, &mut cell);
                append_ordered(str::from_utf8(&cell).unwrap(), data_type, &mut out).unwrap();
            }
            out
        };
        let expected = Value::Text(a.clone())
            .compare(&Value::Text(b.clone()))
            .unwrap()
            .then(Value::Double(x).compare(&Value::Double(y)).unwrap());
        prop_assert_eq!(encode(&a, x).cmp(&encode(&b, y)), expected);
    }
}

fn texts() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![Just('\u{0}'), Just('\u{1}'), Just('a'), any::<char>()],
        0..4,
    )
    .prop_map(String::from_iter)
}
