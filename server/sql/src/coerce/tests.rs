use kalam_link_core::{DataType as D, Value as V};

use super::*;
use crate::testing::column;

const DECIMAL: D = D::Decimal {
    precision: 5,
    scale: 2,
};

fn text(text: &str) -> V {
    V::Text(text.to_owned())
}

fn decimal(text: &str) -> V {
    V::Decimal(text.parse().unwrap())
}

/// Compares by type too, and tells -0 from 0.
fn taken(data_type: D, cases: &[(V, V)]) {
    for (given, expected) in cases {
        let value = coerce(given.clone(), &column("c", data_type));
        assert_eq!(
            value.as_ref().map(|value| format!("{value:?}")),
            Ok(format!("{expected:?}")),
            "{given:?} into {data_type}"
        );
    }
}

fn refused(data_type: D, cases: &[V]) {
    for given in cases {
        let value = coerce(given.clone(), &column("c", data_type));
        assert!(
            matches!(value, Err(Error::Column { .. })),
            "{given:?} into {data_type}: {value:?}"
        );
    }
}

/// A value of each type.
fn one_of_each() -> Vec<V> {
    vec![
        V::Boolean(true),
        V::SmallInt(1),
        V::Int(1),
        V::BigInt(1),
        V::Float(1.0),
        V::Double(1.0),
        decimal("1.00"),
        text("x"),
        V::Timestamp(0),
        V::DateTime(0),
        V::Date(0),
        V::Time(0),
        V::Json("{}".to_owned()),
        V::Bytes(vec![1]),
        V::Uuid([1; 16]),
        V::Embedding(vec![1.0, 2.0]),
    ]
}

#[test]
fn each_pair_of_types_is_taken_or_refused_as_documented() {
    const NUMBERS: [&str; 6] = ["SmallInt", "Int", "BigInt", "Float", "Double", "Decimal"];
    let accepted = |data_type: D| -> Vec<&str> {
        match data_type {
            D::Boolean => vec!["Boolean"],
            D::SmallInt | D::Int | D::BigInt | D::Float | D::Double | D::Decimal { .. } => {
                NUMBERS.to_vec()
            }
            D::Text => vec!["Text", "Json", "Uuid"],
            D::Timestamp | D::DateTime => vec!["Timestamp", "DateTime", "Date"],
            D::Date => vec!["Date"],
            D::Time => vec!["Time"],
            D::Json => vec!["Json"],
            D::Bytes => vec!["Bytes"],
            D::Uuid => vec!["Uuid"],
            D::Embedding(_) => vec!["Embedding"],
        }
    };
    for target in one_of_each() {
        let data_type = match target.data_type() {
            Some(D::Decimal { .. }) => DECIMAL,
            other => other.unwrap(),
        };
        for given in one_of_each() {
            let name = format!("{given:?}");
            let name = name.split('(').next().unwrap();
            let value = coerce(given.clone(), &column("c", data_type));
            assert_eq!(
                value.is_ok(),
                accepted(data_type).contains(&name),
                "{name} into {data_type}: {value:?}"
            );
        }
        assert!(matches!(
            coerce(V::Null, &column("c", data_type)),
            Ok(V::Null)
        ));
    }
}

#[test]
fn integers_are_exact() {
    taken(
        D::SmallInt,
        &[
            (V::BigInt(32_767), V::SmallInt(32_767)),
            (V::BigInt(-32_768), V::SmallInt(-32_768)),
            (decimal("7.00"), V::SmallInt(7)),
            (V::Double(7.0), V::SmallInt(7)),
            (V::Double(-0.0), V::SmallInt(0)),
            (text("-12"), V::SmallInt(-12)),
        ],
    );
    refused(
        D::SmallInt,
        &[
            V::BigInt(32_768),
            decimal("7.5"),
            V::Double(7.5),
            V::Double(f64::NAN),
            V::Double(f64::INFINITY),
            text(""),
            text("1.0"),
            text(" 1"),
            text("x"),
        ],
    );
    taken(
        D::BigInt,
        &[
            (text("9223372036854775807"), V::BigInt(i64::MAX)),
            (decimal("-9223372036854775808"), V::BigInt(i64::MIN)),
            (
                V::Double(9_007_199_254_740_992.0),
                V::BigInt(9_007_199_254_740_992),
            ),
        ],
    );
    refused(
        D::BigInt,
        &[
            text("9223372036854775808"),
            decimal("9223372036854775808"),
            V::Double(1e17),
        ],
    );
}

#[test]
fn floats_take_what_they_hold() {
    taken(
        D::Double,
        &[
            (V::BigInt(1 << 53), V::Double(9_007_199_254_740_992.0)),
            (decimal("0.1"), V::Double(0.1)),
            (V::Float(0.5), V::Double(0.5)),
            (V::Double(-0.0), V::Double(0.0)),
            (V::Double(f64::NEG_INFINITY), V::Double(f64::NEG_INFINITY)),
            (V::Double(-f64::NAN), V::Double(f64::NAN)),
            (text("1.5"), V::Double(1.5)),
            (text("NaN"), V::Double(f64::NAN)),
            (V::BigInt(i64::MIN), V::Double(-9_223_372_036_854_775_808.0)),
        ],
    );
    refused(
        D::Double,
        &[
            V::BigInt((1 << 53) + 1),
            V::BigInt(i64::MAX),
            text("x"),
            text("1e999"),
        ],
    );
    taken(
        D::Float,
        &[
            (V::Double(0.1), V::Float(0.1)),
            (decimal("0.1"), V::Float(0.1)),
            (V::BigInt(16_777_216), V::Float(16_777_216.0)),
            (V::Double(f64::INFINITY), V::Float(f32::INFINITY)),
            (V::Float(-0.0), V::Float(0.0)),
        ],
    );
    refused(D::Float, &[V::BigInt(16_777_217), V::Double(1e39)]);
}

#[test]
fn decimals_never_round() {
    taken(
        DECIMAL,
        &[
            (V::BigInt(999), decimal("999.00")),
            (decimal("1.5"), decimal("1.50")),
            (decimal("1.5000"), decimal("1.50")),
            (V::Double(0.1), decimal("0.10")),
            (V::Float(0.1), decimal("0.10")),
            (V::Double(-0.0), decimal("0.00")),
            (V::Double(1e2), decimal("100.00")),
            (text("-999.99"), decimal("-999.99")),
        ],
    );
    refused(
        DECIMAL,
        &[
            V::BigInt(1_000),
            decimal("0.001"),
            V::Double(0.1 + 0.2),
            V::Double(f64::NAN),
            V::Double(f64::INFINITY),
            V::Double(1e300),
            text("abc"),
            text(""),
        ],
    );
}

#[test]
fn text_is_limited_in_characters() {
    let limited = ColumnDef {
        max_chars: Some(3),
        ..column("c", D::Text)
    };
    assert_eq!(coerce(text("äöü"), &limited), Ok(text("äöü")));
    let error = coerce(text("abcd"), &limited);
    assert_eq!(
        error,
        Err(Error::TextTooLong {
            column: "c".to_owned(),
            max: 3
        })
    );
    let uuid = coerce(V::Uuid([0xab; 16]), &column("c", D::Text));
    assert_eq!(uuid, Ok(text("abababab-abab-abab-abab-abababababab")));
}

#[test]
fn times_are_read_from_iso_text() {
    const DAY: i64 = 86_400_000_000;
    taken(
        D::Timestamp,
        &[
            (text("1970-01-02"), V::Timestamp(DAY)),
            (text("1970-01-02T00:00"), V::Timestamp(DAY)),
            (text("1970-01-02 00:00:00.000001"), V::Timestamp(DAY + 1)),
            (text("1970-01-02T00:00:00Z"), V::Timestamp(DAY)),
            (text("1969-12-31T23:59:59.999999"), V::Timestamp(-1)),
            (V::Date(1), V::Timestamp(DAY)),
            (V::DateTime(5), V::Timestamp(5)),
        ],
    );
    refused(
        D::Timestamp,
        &[
            text("1970-01-02T00:00:00+01:00"),
            text("1970-01-02T00:00:00.0000001"),
            text("1970-02-30"),
            text("1970-01-02T25:00:00"),
            text("yesterday"),
            text(""),
            V::BigInt(0),
            V::Date(i32::MAX),
        ],
    );
    taken(
        D::DateTime,
        &[
            (text("1970-01-01T01:00:00+01:00"), V::DateTime(0)),
            (text("1970-01-01T00:00:00"), V::DateTime(0)),
            (V::Timestamp(5), V::DateTime(5)),
        ],
    );
    taken(D::Date, &[(text("2024-02-29"), V::Date(19_782))]);
    refused(
        D::Date,
        &[
            text("2023-02-29"),
            text("2024-02-29T00:00:00"),
            V::Timestamp(0),
            V::BigInt(1),
        ],
    );
    taken(
        D::Time,
        &[
            (text("00:00:01.5"), V::Time(1_500_000)),
            (text("23:59"), V::Time(DAY - 60_000_000)),
        ],
    );
    refused(D::Time, &[text("24:00:00"), text("1:00:00"), V::BigInt(1)]);
}

#[test]
fn json_uuid_bytes_and_embeddings_are_checked() {
    taken(
        D::Json,
        &[
            (
                text("{\"a\": [1, null]}"),
                V::Json("{\"a\": [1, null]}".to_owned()),
            ),
            (text("1"), V::Json("1".into())),
        ],
    );
    refused(
        D::Json,
        &[
            text("{"),
            text(""),
            text("{'a': 1}"),
            text("1 2"),
            V::BigInt(1),
        ],
    );
    let uuid = V::Uuid(parse_uuid("67e55044-10b1-426f-9247-bb680e5fe0c8").unwrap());
    taken(
        D::Uuid,
        &[
            (text("67E55044-10B1-426F-9247-BB680E5FE0C8"), uuid.clone()),
            (text("67e5504410b1426f9247bb680e5fe0c8"), uuid),
        ],
    );
    refused(
        D::Uuid,
        &[text("67e55044"), text(""), V::Bytes(vec![0; 16])],
    );
    taken(
        D::Bytes,
        &[(V::Json("[0, 255]".to_owned()), V::Bytes(vec![0, 255]))],
    );
    refused(
        D::Bytes,
        &[
            text("AP8="),
            V::Json("[256]".to_owned()),
            V::Json("{}".to_owned()),
        ],
    );
    taken(
        D::Embedding(2),
        &[
            (text("[0.5, -1]"), V::Embedding(vec![0.5, -1.0])),
            (V::Json("[1, 2]".to_owned()), V::Embedding(vec![1.0, 2.0])),
            (V::Embedding(vec![1.0, -0.0]), V::Embedding(vec![1.0, 0.0])),
        ],
    );
    refused(
        D::Embedding(2),
        &[
            text("[1]"),
            text("[1, 2, 3]"),
            text("1, 2"),
            text("[1, \"x\"]"),
            V::Embedding(vec![1.0]),
            text("[1, 1e39]"),
        ],
    );
}

#[test]
fn errors_name_the_column() {
    let error = coerce(V::Boolean(true), &column("count", D::Int)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column 'count': a value of type BOOLEAN does not go into INT"
    );
    let error = coerce(text("x"), &column("data", D::Bytes)).unwrap_err();
    assert!(error.hint().is_some());
}
