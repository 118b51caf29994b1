use proptest::prelude::*;
use serde_json::json;

use super::*;

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
                    &RowObject::from_iter([("c".to_owned(), cell.clone())]),
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
                term.append(&RowObject::from_iter([("c".to_owned(), cell)]), &mut out);
                out
            };
            assert_eq!(encode(Json::Null) < encode(json!(1)), nulls_first);
            let mut missing = Vec::new();
            term.append(&RowObject::new(), &mut missing);
            assert_eq!(missing, encode(Json::Null));
        }
    }
}

#[test]
fn minus_zero_is_zero() {
    let mut zeros = [Vec::new(), Vec::new()];
    append_float(-0.0, &mut zeros[0]);
    append_float(0.0, &mut zeros[1]);
    assert_eq!(zeros[0], zeros[1]);
}

proptest! {
    /// The bytes agree with `Value::compare`, also when another column follows.
    #[test]
    fn bytes_order_as_values_do(a in texts(), b in texts(), x in any::<f64>(), y in any::<f64>()) {
        let encode = |text: &str, number: f64| {
            let mut out = Vec::new();
            append_value(&Value::Text(text.to_owned()), &mut out);
            append_value(&Value::Double(number), &mut out);
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
