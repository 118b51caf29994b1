use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    Field as ArrowField, Fields, Int32Type, IntervalDayTime, IntervalMonthDayNano, Schema,
    TimeUnit, UInt64Type,
};

use super::*;

/// The cells of one column, and the type that the wire names for it.
fn check(array: impl Array + 'static, cells: &str, data_type: DataType) {
    let array: ArrayRef = Arc::new(array);
    let field = ArrowField::new("c", array.data_type().clone(), true);
    assert_eq!(
        wire_type(&field),
        data_type,
        "type of {}",
        array.data_type()
    );
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap();
    let mut out = Vec::new();
    json_rows(&batch, &mut out).unwrap();
    let rows: Vec<Vec<serde_json::Value>> =
        serde_json::from_slice(&[b"[", out.as_slice(), b"]"].concat()).unwrap();
    let column = rows
        .into_iter()
        .map(|mut row| row.remove(0))
        .collect::<Vec<_>>();
    assert_eq!(serde_json::to_string(&column).unwrap(), cells);
}

#[test]
fn numbers_keep_every_digit() {
    check(
        BooleanArray::from(vec![Some(true), None]),
        "[true,null]",
        DataType::Boolean,
    );
    check(Int8Array::from(vec![-1]), "[-1]", DataType::SmallInt);
    check(
        Int16Array::from(vec![i16::MIN]),
        "[-32768]",
        DataType::SmallInt,
    );
    check(
        Int32Array::from(vec![i32::MAX]),
        "[2147483647]",
        DataType::Int,
    );
    check(
        Int64Array::from(vec![i64::MIN]),
        r#"["-9223372036854775808"]"#,
        DataType::BigInt,
    );
    check(UInt8Array::from(vec![255]), r#"["255"]"#, DataType::BigInt);
    check(UInt16Array::from(vec![1]), r#"["1"]"#, DataType::BigInt);
    check(UInt32Array::from(vec![1]), r#"["1"]"#, DataType::BigInt);
    check(
        UInt64Array::from(vec![u64::MAX]),
        r#"["18446744073709551615"]"#,
        DataType::BigInt,
    );
    let decimals = Decimal128Array::from(vec![-5, 1234])
        .with_precision_and_scale(10, 2)
        .unwrap();
    check(
        decimals,
        r#"["-0.05","12.34"]"#,
        DataType::Decimal {
            precision: 10,
            scale: 2,
        },
    );
}

#[test]
fn floats_that_json_lacks_are_text() {
    let doubles = Float64Array::from(vec![0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]);
    check(
        doubles,
        r#"[0.1,"NaN","Infinity","-Infinity",-0.0]"#,
        DataType::Double,
    );
    check(Float32Array::from(vec![0.1]), "[0.1]", DataType::Float);
}

#[test]
fn text_is_escaped_in_every_layout() {
    let text = "a\"\\\n\u{1}😀\u{2028}";
    let json = serde_json::to_string(&[text]).unwrap();
    check(StringArray::from(vec![text]), &json, DataType::Text);
    check(LargeStringArray::from(vec![text]), &json, DataType::Text);
    check(StringViewArray::from(vec![text]), &json, DataType::Text);
    let dictionary = DictionaryArray::<Int32Type>::from_iter([Some("x"), None, Some("x")]);
    check(dictionary, r#"["x",null,"x"]"#, DataType::Text);
    check(NullArray::new(2), "[null,null]", DataType::Text);
}

#[test]
fn bytes_are_lists_of_numbers() {
    let bytes: &[u8] = &[0, 255];
    check(
        BinaryArray::from(vec![Some(bytes), None]),
        "[[0,255],null]",
        DataType::Bytes,
    );
    check(
        LargeBinaryArray::from(vec![bytes]),
        "[[0,255]]",
        DataType::Bytes,
    );
    check(
        BinaryViewArray::from(vec![bytes]),
        "[[0,255]]",
        DataType::Bytes,
    );
    let fixed = FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap();
    check(fixed, "[[0,255]]", DataType::Bytes);
}

#[test]
fn times_are_microseconds_and_dates_days() {
    check(Date32Array::from(vec![-1]), "[-1]", DataType::Date);
    check(Date64Array::from(vec![-1]), "[-1]", DataType::Date);
    check(
        TimestampSecondArray::from(vec![2]),
        "[2000000]",
        DataType::Timestamp,
    );
    check(
        TimestampMillisecondArray::from(vec![2]),
        "[2000]",
        DataType::Timestamp,
    );
    check(
        TimestampMicrosecondArray::from(vec![2]).with_timezone("UTC"),
        "[2]",
        DataType::DateTime,
    );
    check(
        TimestampNanosecondArray::from(vec![-1]),
        "[-1]",
        DataType::Timestamp,
    );
    check(
        Time32SecondArray::from(vec![1]),
        "[1000000]",
        DataType::Time,
    );
    check(
        Time64NanosecondArray::from(vec![1_999]),
        "[1]",
        DataType::Time,
    );
}

#[test]
fn intervals_are_iso_8601() {
    let parts = IntervalMonthDayNanoArray::from(vec![
        IntervalMonthDayNano::new(14, 3, 3_661_500_000_000),
        IntervalMonthDayNano::new(0, 0, 0),
        IntervalMonthDayNano::new(0, -1, -500_000_000),
    ]);
    check(
        parts,
        r#"["P1Y2M3DT1H1M1.5S","PT0S","P-1DT-0.5S"]"#,
        DataType::Text,
    );
    check(
        IntervalYearMonthArray::from(vec![13]),
        r#"["P1Y1M"]"#,
        DataType::Text,
    );
    check(
        IntervalDayTimeArray::from(vec![IntervalDayTime::new(1, 1_500)]),
        r#"["P1DT1.5S"]"#,
        DataType::Text,
    );
    check(
        DurationMillisecondArray::from(vec![90_000]),
        r#"["PT1M30S"]"#,
        DataType::Text,
    );
}

#[test]
fn nested_values_are_json() {
    let list = ListArray::from_iter_primitive::<UInt64Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    check(list, r#"[["1",null],null,[]]"#, DataType::Json);
    let fields = Fields::from(vec![ArrowField::new(
        "a\"b",
        arrow::datatypes::DataType::Int32,
        true,
    )]);
    let object = StructArray::new(
        fields,
        vec![Arc::new(Int32Array::from(vec![Some(1), None]))],
        None,
    );
    check(object, r#"[{"a\"b":1},{"a\"b":null}]"#, DataType::Json);
    let mut map = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
    map.keys().append_value(7);
    map.values().append_value("x");
    map.append(true).unwrap();
    check(map.finish(), r#"[{"7":"x"}]"#, DataType::Json);
    let item = Arc::new(ArrowField::new_list_field(
        arrow::datatypes::DataType::Float32,
        true,
    ));
    let vectors =
        FixedSizeListArray::new(item, 2, Arc::new(Float32Array::from(vec![0.5, -1.0])), None);
    check(vectors, "[[0.5,-1.0]]", DataType::Embedding(2));
    let item = Arc::new(ArrowField::new_list_field(
        arrow::datatypes::DataType::Timestamp(TimeUnit::Second, None),
        true,
    ));
    let offsets = OffsetBuffer::new(vec![0, 1].into());
    let times = ListArray::new(
        item,
        offsets,
        Arc::new(TimestampSecondArray::from(vec![1])),
        None,
    );
    check(times, "[[1000000]]", DataType::Json);
}

#[test]
fn metadata_names_the_type_only_where_it_fits() {
    let uuid = kalam_store::arrow_types::typed_field("id", DataType::Uuid, false);
    assert_eq!(wire_type(&uuid), DataType::Uuid);
    let cast = uuid.clone().with_data_type(ArrowType::Int64);
    assert_eq!(wire_type(&cast), DataType::BigInt);
    let fields = fields_of(&Schema::new(vec![uuid]));
    assert_eq!(fields[0].flags, [FieldFlag::NotNull]);
}

#[test]
fn each_ndjson_row_is_a_line() {
    let schema = Schema::new(vec![
        ArrowField::new("a", ArrowType::Int32, true),
        ArrowField::new("b", ArrowType::Utf8, true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![1, 2])),
        Arc::new(StringArray::from(vec!["x", "y"])),
    ];
    let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    let mut out = Vec::new();
    ndjson_rows(&batch, &mut out).unwrap();
    assert_eq!(out, b"[1,\"x\"]\n[2,\"y\"]\n");
    let mut rows = Vec::new();
    json_rows(&batch, &mut rows).unwrap();
    assert_eq!(raw_rows(rows).get(), "[[1,\"x\"],[2,\"y\"]]");
}
