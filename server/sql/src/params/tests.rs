use kalam_link_core::{DataType as D, Value as V};
use serde_json::json;

use super::*;
use crate::testing::column;

fn bound(json: &Json, data_type: D) -> Result<String, Error> {
    bind_param(json, &column("c", data_type)).map(|value| format!("{value:?}"))
}

#[test]
fn whole_cells_take_every_form_of_the_wire() {
    for (json, data_type, expected) in [
        (json!(null), D::Int, V::Null),
        (json!(true), D::Boolean, V::Boolean(true)),
        (json!(5), D::SmallInt, V::SmallInt(5)),
        (json!("5"), D::BigInt, V::BigInt(5)),
        (json!("9223372036854775807"), D::BigInt, V::BigInt(i64::MAX)),
        (
            json!("1.50"),
            D::Decimal {
                precision: 5,
                scale: 2,
            },
            V::Decimal("1.50".parse().unwrap()),
        ),
        (json!("NaN"), D::Double, V::Double(f64::NAN)),
        (json!(-0.0), D::Double, V::Double(0.0)),
        (json!(0.5), D::Float, V::Float(0.5)),
        (json!("x"), D::Text, V::Text("x".into())),
        (json!(7), D::Timestamp, V::Timestamp(7)),
        (
            json!("1970-01-01T00:00:00.000007"),
            D::Timestamp,
            V::Timestamp(7),
        ),
        (
            json!("1970-01-01T01:00:00+01:00"),
            D::DateTime,
            V::DateTime(0),
        ),
        (json!(19_782), D::Date, V::Date(19_782)),
        (json!("2024-02-29"), D::Date, V::Date(19_782)),
        (json!("00:00:01"), D::Time, V::Time(1_000_000)),
        (json!({"a": 1}), D::Json, V::Json("{\"a\":1}".into())),
        (json!("AP8="), D::Bytes, V::Bytes(vec![0, 255])),
        (json!([0, 255]), D::Bytes, V::Bytes(vec![0, 255])),
        (
            json!("01010101-0101-0101-0101-010101010101"),
            D::Uuid,
            V::Uuid([1; 16]),
        ),
        (
            json!([0.5, -1]),
            D::Embedding(2),
            V::Embedding(vec![0.5, -1.0]),
        ),
        (
            json!("[0.5, -1]"),
            D::Embedding(2),
            V::Embedding(vec![0.5, -1.0]),
        ),
    ] {
        assert_eq!(
            bound(&json, data_type),
            Ok(format!("{expected:?}")),
            "{json} as {data_type}"
        );
    }
}

#[test]
fn cells_of_the_wrong_type_are_refused() {
    for (json, data_type) in [
        (json!(1), D::Boolean),
        (json!(40_000), D::SmallInt),
        (json!(1.5), D::Int),
        (json!(1e40), D::Float),
        (
            json!("1.234"),
            D::Decimal {
                precision: 5,
                scale: 2,
            },
        ),
        (json!(5), D::Text),
        (json!("soon"), D::Timestamp),
        (json!("{"), D::Json),
        (json!("not base64!"), D::Bytes),
        (json!([1]), D::Embedding(2)),
        (json!("x"), D::Uuid),
    ] {
        let error = bound(&json, data_type);
        assert!(
            matches!(error, Err(Error::Column { .. })),
            "{json} as {data_type}: {error:?}"
        );
    }
    let limited = ColumnDef {
        max_chars: Some(1),
        ..column("c", D::Text)
    };
    assert!(matches!(
        bind_param(&json!("ab"), &limited),
        Err(Error::TextTooLong { .. })
    ));
}

#[test]
fn untyped_parameters_are_literals() {
    for (json, expected) in [
        (json!(null), V::Null),
        (json!(false), V::Boolean(false)),
        (json!(-1), V::BigInt(-1)),
        (
            json!(18_446_744_073_709_551_615_u64),
            V::Decimal("18446744073709551615".parse().unwrap()),
        ),
        (json!(1.5), V::Double(1.5)),
        (json!("x"), V::Text("x".into())),
        (json!([1, 2]), V::Json("[1,2]".into())),
        (json!({"a": []}), V::Json("{\"a\":[]}".into())),
    ] {
        let value = untyped_param(&json).map(|value| format!("{value:?}"));
        assert_eq!(value, Ok(format!("{expected:?}")), "{json}");
    }
}

#[test]
fn the_highest_parameter_is_found_anywhere() {
    for (text, highest) in [
        ("1", 0),
        ("$1", 1),
        ("a = $2 AND b IN ($1, $7)", 7),
        ("f($3)", 3),
    ] {
        assert_eq!(
            highest_parameter(&crate::parse_expr(text).unwrap()),
            highest,
            "{text}"
        );
    }
}
