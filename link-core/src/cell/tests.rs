use proptest::prelude::*;

use super::*;

fn check(value: Value, json: &str) {
    let mut out = Vec::new();
    append_cell(&value, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), json);
    if let Some(data_type) = value.data_type() {
        let cell: Json = serde_json::from_str(json).unwrap();
        assert_eq!(
            value_from_cell(&cell, data_type),
            Ok(value),
            "{json} does not read back"
        );
    }
}

#[test]
fn every_type_has_its_cell_and_reads_back() {
    check(Value::Null, "null");
    check(Value::Boolean(true), "true");
    check(Value::SmallInt(-5), "-5");
    check(Value::Int(7), "7");
    check(Value::BigInt(i64::MAX), "\"9223372036854775807\"");
    check(Value::Float(0.1), "0.1");
    check(Value::Double(0.1), "0.1");
    check(Value::Double(f64::NAN), "\"NaN\"");
    check(Value::Double(f64::NEG_INFINITY), "\"-Infinity\"");
    check(Value::Decimal("12.50".parse().unwrap()), "\"12.50\"");
    check(
        Value::Text("a\"\u{1f600}\n".into()),
        "\"a\\\"\u{1f600}\\n\"",
    );
    check(Value::Timestamp(1_700_000_000_000_000), "1700000000000000");
    check(Value::DateTime(-1), "-1");
    check(Value::Date(-1), "-1");
    check(Value::Time(0), "0");
    check(Value::Json("{\"a\":1}".into()), "\"{\\\"a\\\":1}\"");
    check(Value::Bytes(vec![0, 255]), "[0,255]");
    check(
        Value::Uuid([0x11; 16]),
        "\"11111111-1111-1111-1111-111111111111\"",
    );
    check(Value::Embedding(vec![0.5, -1.0]), "[0.5,-1.0]");
}

proptest! {
    #[test]
    fn floats_keep_their_last_bit(double in any::<f64>(), float in any::<f32>()) {
        let read = |value: Value, data_type| {
            let mut cell = Vec::new();
            append_cell(&value, &mut cell);
            value_from_cell(&serde_json::from_slice(&cell).unwrap(), data_type).unwrap()
        };
        let Value::Double(back) = read(Value::Double(double), DataType::Double) else {
            panic!("not a double");
        };
        prop_assert!(back.to_bits() == double.to_bits() || double.is_nan());
        let Value::Float(back) = read(Value::Float(float), DataType::Float) else {
            panic!("not a float");
        };
        prop_assert!(back.to_bits() == float.to_bits() || float.is_nan());
    }
}

#[test]
fn values_out_of_range_are_refused() {
    for (json, data_type) in [
        ("40000", DataType::SmallInt),
        ("1.5", DataType::Int),
        ("\"9223372036854775808\"", DataType::BigInt),
        ("1e39", DataType::Float),
        ("86400000000", DataType::Time),
        ("\"{\"", DataType::Json),
        ("[256]", DataType::Bytes),
        ("[1]", DataType::Embedding(2)),
        (
            "\"12.505\"",
            DataType::Decimal {
                precision: 10,
                scale: 2,
            },
        ),
        ("\"x\"", DataType::Uuid),
        ("1", DataType::Text),
    ] {
        let cell: Json = serde_json::from_str(json).unwrap();
        assert!(
            value_from_cell(&cell, data_type).is_err(),
            "{json} as {data_type}"
        );
    }
}
