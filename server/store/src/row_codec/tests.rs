use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes as arrow_types;
use kalam_link_core::cell::parse_uuid;
use kalam_link_core::{ErrorCode, SeqId};
use kalam_model::{ColumnDef, TableDef};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::layout::widens;
use crate::testing::{cell, column, data_type, table};

fn layouts(versions: &[&TableDef]) -> Arc<Layouts> {
    Arc::new(Layouts::new(versions.iter().copied().cloned().collect()))
}

/// Types of a table's columns and rows of them.
fn rows() -> impl Strategy<Value = (Vec<DataType>, Vec<Row>)> {
    vec(data_type(), 1..12).prop_flat_map(|types| {
        let row = types
            .iter()
            .map(|data_type| cell(*data_type))
            .collect::<Vec<_>>();
        (Just(types), vec(row.prop_map(Row), 1..5))
    })
}

/// The next version of a table.
fn altered(table: &TableDef, change: impl FnOnce(&mut Vec<ColumnDef>)) -> TableDef {
    let mut table = table.clone();
    table.schema_version += 1;
    change(&mut table.columns);
    table
}

/// A cell of an Arrow array as a value.
fn arrow_value(array: &ArrayRef, row: usize, data_type: DataType) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match data_type {
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::SmallInt => {
            Value::SmallInt(array.as_primitive::<arrow_types::Int16Type>().value(row))
        }
        DataType::Int => Value::Int(array.as_primitive::<arrow_types::Int32Type>().value(row)),
        DataType::BigInt => {
            Value::BigInt(array.as_primitive::<arrow_types::Int64Type>().value(row))
        }
        DataType::Float => {
            Value::Float(array.as_primitive::<arrow_types::Float32Type>().value(row))
        }
        DataType::Double => {
            Value::Double(array.as_primitive::<arrow_types::Float64Type>().value(row))
        }
        DataType::Decimal { scale, .. } => {
            let unscaled = array
                .as_primitive::<arrow_types::Decimal128Type>()
                .value(row);
            Value::Decimal(Decimal::new(unscaled, scale).unwrap())
        }
        DataType::Text => Value::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Json => Value::Json(array.as_string::<i32>().value(row).to_owned()),
        DataType::Uuid => Value::Uuid(parse_uuid(array.as_string::<i32>().value(row)).unwrap()),
        DataType::Timestamp => Value::Timestamp(
            array
                .as_primitive::<arrow_types::TimestampMicrosecondType>()
                .value(row),
        ),
        DataType::DateTime => Value::DateTime(
            array
                .as_primitive::<arrow_types::TimestampMicrosecondType>()
                .value(row),
        ),
        DataType::Date => Value::Date(array.as_primitive::<arrow_types::Date32Type>().value(row)),
        DataType::Time => Value::Time(
            array
                .as_primitive::<arrow_types::Time64MicrosecondType>()
                .value(row),
        ),
        DataType::Bytes => Value::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::Embedding(_) => {
            let list = array.as_fixed_size_list().value(row);
            Value::Embedding(
                list.as_primitive::<arrow_types::Float32Type>()
                    .values()
                    .to_vec(),
            )
        }
    }
}

/// Checks that Arrow holds the same as `decode`, in every column and `_seq`.
fn check_arrow(layouts: &Arc<Layouts>, stored: &[Vec<u8>]) {
    let columns = &layouts.current().columns;
    let projection: Vec<usize> = (0..=columns.len()).rev().collect();
    let mut builders = ColumnBuilders::new(layouts, &projection, stored.len());
    for (index, bytes) in stored.iter().enumerate() {
        builders.append(SeqId(index as u64 + 1), bytes).unwrap();
    }
    let batch = builders.finish().unwrap();
    assert_eq!(batch.num_rows(), stored.len());
    for (index, bytes) in stored.iter().enumerate() {
        check_arrow_row(&batch, index, &decode(layouts, bytes).unwrap(), columns);
    }
}

fn check_arrow_row(batch: &RecordBatch, index: usize, row: &Row, columns: &[ColumnDef]) {
    let seq = arrow_value(batch.column(0), index, DataType::BigInt);
    assert_eq!(seq, Value::BigInt(index as i64 + 1));
    for (array, (value, column)) in batch.columns().iter().rev().zip(row.0.iter().zip(columns)) {
        assert_eq!(
            arrow_value(array, index, column.data_type),
            *value,
            "{}",
            column.name
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn rows_round_trip_and_arrow_equals_decode((types, rows) in rows()) {
        let layouts = layouts(&[&table(&types)]);
        let stored: Vec<_> = rows.iter().map(|row| encode(&layouts, row).unwrap()).collect();
        for (row, bytes) in rows.iter().zip(&stored) {
            prop_assert_eq!(&decode(&layouts, bytes).unwrap(), row);
            let last = types.len() - 1;
            let some = decode_columns(&layouts, bytes, &[last, 0]).unwrap();
            prop_assert_eq!(some, [row.0[last].clone(), row.0[0].clone()]);
        }
        check_arrow(&layouts, &stored);
    }

    #[test]
    fn i11_rows_of_older_versions_stay_readable(
        (types, rows) in rows(), dropped in any::<prop::sample::Index>(), added in data_type(), initial in any::<i32>(),
    ) {
        let first = table(&types);
        let dropped = dropped.index(types.len());
        let second = altered(&first, |columns| {
            columns.remove(dropped);
            columns.insert(0, column(100, "added", added));
            columns.push(ColumnDef { initial: Value::Int(initial), ..column(101, "counter", DataType::Int) });
        });
        let third = altered(&second, |columns| {
            // A new column may have the name of a dropped one.
            columns.push(column(102, &format!("c{dropped}"), types[dropped]));
            columns.iter_mut().find(|c| c.name == "counter").unwrap().data_type = DataType::BigInt;
        });
        let old = layouts(&[&first]);
        let stored: Vec<_> = rows.iter().map(|row| encode(&old, row).unwrap()).collect();
        let new = Arc::new(old.with(second).with(third));
        for (row, bytes) in rows.iter().zip(&stored) {
            let mut expected = row.0.clone();
            expected.remove(dropped);
            expected.insert(0, Value::Null);
            expected.push(Value::BigInt(initial.into()));
            expected.push(Value::Null);
            prop_assert_eq!(decode(&new, bytes).unwrap().0, expected);
        }
        check_arrow(&new, &stored);
    }

    #[test]
    fn corrupt_rows_are_errors_or_other_rows(
        (types, rows) in rows(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let layouts = layouts(&[&table(&types)]);
        let whole = encode(&layouts, &rows[0]).unwrap();
        let mut changed = whole.clone();
        changed[at.index(whole.len())] = byte;
        let mut builders = ColumnBuilders::new(&layouts, &(0..types.len()).collect::<Vec<_>>(), 1);
        if decode(&layouts, &changed).is_ok() {
            builders.append(SeqId(1), &changed).unwrap();
        } else {
            // Arrow may be more lenient: it does not check the digits of a decimal.
            drop(builders.append(SeqId(1), &changed));
        }
        let short = decode(&layouts, &whole[..cut.index(whole.len())]).unwrap_err();
        prop_assert_eq!(short.code(), ErrorCode::DataCorrupt);
        let mut long = whole;
        long.push(byte);
        prop_assert_eq!(decode(&layouts, &long).unwrap_err().code(), ErrorCode::DataCorrupt);
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..200), types in vec(data_type(), 0..5)) {
        let layouts = layouts(&[&table(&types)]);
        drop(decode(&layouts, &bytes));
        drop(decode(&layouts, &[&[1, 1], bytes.as_slice()].concat()));
    }
}

fn check_widening(from: DataType, to: DataType, old: Value, new: Value) {
    assert!(widens(from, to) && !widens(to, from));
    let first = table(&[DataType::Int, from]);
    let second = altered(&first, |columns| columns[1].data_type = to);
    let stored = encode(&layouts(&[&first]), &Row(vec![Value::Int(1), old])).unwrap();
    let layouts = layouts(&[&first, &second]);
    assert_eq!(decode(&layouts, &stored).unwrap().0[1], new);
    check_arrow(&layouts, &[stored]);
}

#[test]
fn i11_widened_columns_read_old_values() {
    let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
    check_widening(
        DataType::SmallInt,
        DataType::Int,
        Value::SmallInt(-7),
        Value::Int(-7),
    );
    check_widening(
        DataType::SmallInt,
        DataType::BigInt,
        Value::SmallInt(-7),
        Value::BigInt(-7),
    );
    check_widening(
        DataType::Int,
        DataType::BigInt,
        Value::Int(i32::MIN),
        Value::BigInt(i32::MIN.into()),
    );
    check_widening(
        DataType::Float,
        DataType::Double,
        Value::Float(0.5),
        Value::Double(0.5),
    );
    let of = |precision, scale| DataType::Decimal { precision, scale };
    check_widening(of(10, 2), of(12, 2), decimal("12.50"), decimal("12.50"));
    check_widening(of(10, 2), of(38, 2), decimal("-12.50"), decimal("-12.50"));
    check_widening(of(10, 2), of(20, 4), decimal("12.50"), decimal("12.5000"));
    assert!(!widens(of(10, 2), of(10, 4)));
    assert!(!widens(DataType::Text, DataType::Json));
}

#[test]
fn a_long_row_has_wide_ends() {
    let layouts = layouts(&[&table(&[DataType::Int, DataType::Text, DataType::Text])]);
    let long = "x".repeat(70_000);
    let row = Row(vec![
        Value::Int(1),
        Value::Text(long),
        Value::Text("end".into()),
    ]);
    let stored = encode(&layouts, &row).unwrap();
    assert_eq!(decode(&layouts, &stored).unwrap(), row);
    check_arrow(&layouts, &[stored]);
}

/// Figure D1: 155 bytes a row, with both keys and before compression.
#[test]
fn a_chat_row_is_small() {
    let types = [
        DataType::BigInt,
        DataType::BigInt,
        DataType::Text,
        DataType::Text,
        DataType::Timestamp,
    ];
    let layouts = layouts(&[&table(&types)]);
    let row = Row(vec![
        Value::BigInt(1 << 60),
        Value::BigInt(1 << 60),
        Value::Text("user".into()),
        Value::Text("x".repeat(40)),
        Value::Timestamp(1 << 50),
    ]);
    assert_eq!(
        encode(&layouts, &row).unwrap().len(),
        1 + 1 + 1 + 24 + 4 + 44
    );
}

#[test]
fn rows_of_an_unknown_version_ask_for_another_catalog() {
    let first = table(&[DataType::Int]);
    let second = altered(&first, |columns| {
        columns.push(column(5, "new", DataType::Int))
    });
    let row = Row(vec![Value::Int(1), Value::Int(2)]);
    let stored = encode(&layouts(&[&first, &second]), &row).unwrap();
    let error = decode(&layouts(&[&first]), &stored).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Conflict);
}

#[test]
fn values_of_another_type_are_refused() {
    let layouts = layouts(&[&table(&[DataType::Int, DataType::Text])]);
    let check = |values: Vec<Value>| {
        assert_eq!(
            encode(&layouts, &Row(values)).unwrap_err().code(),
            ErrorCode::InternalError
        );
    };
    check(vec![Value::BigInt(1), Value::Null]);
    check(vec![Value::Int(1), Value::Json("{}".into())]);
    check(vec![Value::Int(1)]);
}

#[test]
fn a_projection_of_no_column_counts_rows() {
    let layouts = layouts(&[&table(&[DataType::Int])]);
    let stored = encode(&layouts, &Row(vec![Value::Int(1)])).unwrap();
    let mut builders = ColumnBuilders::new(&layouts, &[], 0);
    builders.append(SeqId(1), &stored).unwrap();
    builders.append(SeqId(2), &stored).unwrap();
    assert_eq!(
        (builders.finish().unwrap().num_rows(), builders.rows()),
        (2, 0)
    );
}

#[test]
fn a_null_in_a_column_that_is_not_null_is_corrupt() {
    let mut def = table(&[DataType::Int]);
    let stored = encode(&layouts(&[&def]), &Row(vec![Value::Null])).unwrap();
    def.columns[0].nullable = false;
    let mut builders = ColumnBuilders::new(&layouts(&[&def]), &[0], 1);
    builders.append(SeqId(1), &stored).unwrap();
    assert_eq!(
        builders.finish().unwrap_err().code(),
        ErrorCode::DataCorrupt
    );
}

#[test]
fn the_key_of_a_row_follows_key_order() {
    let mut def = table(&[DataType::Int, DataType::Text]);
    def.primary_key = vec![def.columns[1].id, def.columns[0].id];
    let layouts = layouts(&[&def]);
    let key = layouts
        .key_of(&Row(vec![Value::Int(1), Value::Text("a".into())]))
        .unwrap();
    let values = crate::key::decode_key(&key, &layouts.key_types()).unwrap();
    assert_eq!(values, [Value::Text("a".into()), Value::Int(1)]);
    assert_eq!(layouts.key_of(&Row(vec![Value::Int(1), Value::Null])), None);
}
